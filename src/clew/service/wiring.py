"""The composition root: the only place that knows which journal, sandbox, tools and interceptors there are."""

import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import msgspec

from clew._version import __version__
from clew.core.errors import NotFound, UsageError
from clew.gate.effect import Driver
from clew.gate.interceptor import Interceptor
from clew.gate.ports.clock import Clock
from clew.gate.ports.embedding import EmbeddingClient
from clew.gate.ports.journal import Blobs, Journal
from clew.gate.ports.model import ModelClient
from clew.gate.ports.tool import Tool, ToolSpec
from clew.manifest.compiled import Plan
from clew.manifest.plan import load
from clew.models.adapters import client_of, embedder_of
from clew.models.catalog import Catalog, Provider, catalog_of
from clew.models.embedding import Embeddings
from clew.models.gateway import Gateway
from clew.models.price import Pricer
from clew.models.reuse import SameService, cached_models
from clew.policies.cache import Cache
from clew.policies.milestones import Milestones
from clew.policies.modes import Modes
from clew.policies.redact import Credentials, Redactor
from clew.runtime.clock import SystemClock
from clew.runtime.embedding import embedding_of
from clew.runtime.handlers import Handlers
from clew.runtime.host import Surroundings
from clew.runtime.memory import searching
from clew.runtime.project import Project
from clew.runtime.scheduler import Scheduler
from clew.runtime.streams import StreamHub
from clew.runtime.threads import Threads
from clew.sandbox import languages
from clew.service.memory import Memories
from clew.service.milestones import Alerts
from clew.service.secrets import Learned, ProjectSecrets
from clew.service.settings import Settings, sandbox_of
from clew.stores.answers import JournalAnswers
from clew.stores.memory.journal import MemoryJournal
from clew.stores.projections import shipped
from clew.stores.selection import Selector
from clew.stores.sqlite.journal import SqliteJournal
from clew.telemetry import tracer
from clew.tools.builtin import builtin
from clew.tools.driver import HandlerTool, Means, ToolDriver, spec_of
from clew.tools.mcp import McpServers

_plans = msgspec.json.Decoder(Plan)


class Workspace:
    """One state directory, opened: journal, blobs, clock, threads, and the scheduler of what runs here. ``close`` it.

    ``models`` answers in place of every provider's own client.
    """

    def __init__(
        self, settings: Settings, *, clock: Clock | None = None, create: bool = True, models: ModelClient | None = None
    ) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.threads = Threads()
        self.owner = f"p{secrets.token_hex(4)}"
        self.tracer = tracer(settings.otlp, lambda text: self.redactor.text(text))
        self.journal, self.blobs = open_journal(settings, self.clock, create=create)
        self.scheduler = Scheduler(self.journal, self._child_world)
        self.scheduler.watchers.append(Alerts(self.clock, self.journal, self.scheduler))
        if self.tracer is not None:
            self.scheduler.watchers.append(self.tracer)
            self.scheduler.on_adopted = self.tracer.recall
        self._models = models
        self._secrets = Learned(settings.redact_fields, settings.redact_prefixes)
        self.streams = StreamHub(lambda: self.redactor)
        self.memories = Memories(settings.directory, self.clock.now)
        self._gateways: list[Gateway | Embeddings] = []
        self._servers: list[McpServers] = []
        self._worlds: dict[tuple[str, str], Surroundings] = {}
        self._addresses: dict[int, tuple[Plan, str]] = {}
        """By identity, with the plan itself, so that the identity stays its own."""

    async def close(self) -> None:
        async with AsyncExitStack() as stack:  # whatever one of them raises, the others are closed too
            stack.callback(self.threads.close)
            stack.push_async_callback(self.journal.close)
            for gateway in self._gateways:
                stack.push_async_callback(gateway.close)
            stack.push_async_callback(self.memories.close)
            for servers in self._servers:
                stack.push_async_callback(servers.close)
            if self.tracer is not None:
                stack.push_async_callback(self.tracer.close)
            stack.push_async_callback(self.scheduler.close)

    # -- projects and plans ------------------------------------------------------------------------------------

    async def world(self, plan: Plan, directory: Path) -> Surroundings:
        """What drives runs of this plan, with the plan recorded as a blob."""
        self._secrets.of(plan, directory)
        known = self._addresses.get(id(plan))
        if known is None:
            known = self._addresses[id(plan)] = plan, await self.blobs.put(msgspec.json.encode(plan))
        return self._world(known[1], plan, directory)

    async def recorded_plan(self, address: str) -> Plan:
        """The plan that a run was started with."""
        return _plans.decode(await self.blobs.get(address))

    @property
    def redactor(self) -> Redactor:
        """Masks every secret that is known by now, wherever a value is shown."""
        return self._secrets.redactor

    async def recorded_world(self, address: str, directory: Path) -> Surroundings:
        return self._world(address, await self.recorded_plan(address), directory)

    def _world(self, address: str, plan: Plan, directory: Path) -> Surroundings:
        key = (address, str(directory))
        if key not in self._worlds:
            if self.tracer is not None:
                self.tracer.know(address, plan)
            handlers = Handlers(directory)
            servers = McpServers(directory, self._secrets.of(plan, directory), self.clock)
            self._servers.append(servers)
            tools = project_tools(plan, handlers, self.threads, servers)
            specs = {name: tool.spec for name, tool in tools.items()}
            credentials = Credentials(self._secrets.of(plan, directory))
            project = Project(plan, address, handlers, self.threads, specs, mask=credentials.clean)
            catalog = catalog_of(plan)
            self._worlds[key] = Surroundings(
                journal=self.journal,
                clock=self.clock,
                project=project,
                drivers=self._drivers(project, catalog, tools),
                interceptors=self._interceptors(project, catalog, credentials),
                owner=self.owner,
                engine=__version__,
            )
        return self._worlds[key]

    def tool_specs(self, plan: Plan, handlers: Handlers) -> dict[str, ToolSpec]:
        """What the gate must know of the plan's tools, where none of them is called."""
        servers = McpServers(handlers.project, ProjectSecrets(plan, handlers.project), self.clock)
        return {name: tool.spec for name, tool in project_tools(plan, handlers, self.threads, servers).items()}

    def _drivers(self, project: Project, catalog: Catalog, tools: dict[str, Tool]) -> dict[str, Driver]:
        """By the kind of effect that they perform."""
        drivers: dict[str, Driver] = {}
        if embedding_of(project.plan) is not None:
            embeddings = Embeddings(catalog, self._embedders(project), clock=self.clock, price=Pricer())
            self._gateways.append(embeddings)
            drivers["embedding"] = embeddings
        drivers["context"] = self.memories.driver(project.plan, project.directory, drivers.get("embedding"))
        if catalog.providers:
            gateway = Gateway(catalog, self._clients(project), clock=self.clock, streams=self.streams, price=Pricer())
            self._gateways.append(gateway)
            drivers["model"] = gateway
        if tools:
            known = self._secrets.of(project.plan, project.directory)
            means = Means(sandbox_of(self.settings), self.streams, known, drivers["context"], searching(project.plan))
            drivers["tool"] = ToolDriver(project.plan, project.directory, tools, means)
        if any(agent.pool for agent in project.plan.agents.values()):
            drivers["selection"] = Selector(self.journal)
        return drivers

    def _clients(self, project: Project) -> Callable[[Provider], ModelClient]:
        """How a provider's client is made."""
        given, known = self._models, self._secrets.of(project.plan, project.directory)
        return partial(client_of, secrets=known) if given is None else lambda _: given

    def _embedders(self, project: Project) -> Callable[[Provider], EmbeddingClient]:
        """How the client of a provider's embedding models is made; where ``models`` stands in for providers, offline ones."""
        known = self._secrets.of(project.plan, project.directory)
        if self._models is None:
            return partial(embedder_of, secrets=known)
        return lambda provider: embedder_of(msgspec.structs.replace(provider, type="offline"), known)

    def _interceptors(self, project: Project, catalog: Catalog, credentials: Credentials) -> tuple[Interceptor, ...]:
        """Outermost first, in the order that ``clew.policies`` fixes."""
        same = SameService(catalog, project.address, self.recorded_plan)
        return (
            Modes(),
            Milestones(),
            Cache(JournalAnswers(self.journal), cached_models(catalog), same),
            credentials,
        )

    async def _child_world(self, parent: Surroundings, workflow: str) -> tuple[Surroundings, str]:
        """The project that a child run names: a path relative to the parent's project."""
        directory = parent.project.directory.joinpath(workflow).resolve()
        plan = load(directory)
        return await self.world(plan, directory), start_of(plan, None)


def open_journal(settings: Settings, clock: Clock, *, create: bool) -> tuple[Journal, Blobs]:
    """The journal of the state directory, and its blobs. Raises NotFound where there is none and ``create`` is off."""
    if settings.directory is None:
        memory = MemoryJournal(projections=shipped(), clock=clock)
        return memory, memory.blobs
    path = settings.directory / "journal.db"
    if not create and not path.exists():
        raise NotFound(f"no runs are kept in {settings.directory}", hint="start one with: clew run PROJECT")
    sqlite = SqliteJournal.open(path, projections=shipped(), clock=clock)
    return sqlite, sqlite.blobs


def project_tools(plan: Plan, handlers: Handlers, threads: Threads, servers: McpServers) -> dict[str, Tool]:
    """The plan's tools, ready to be called."""
    tools: dict[str, Tool] = {}
    for name, tool in plan.tools.items():
        if tool.type == "builtin":
            tools[name] = builtin(name, tool, languages)
        elif tool.type == "handler":
            load = partial(handlers.get, tool.handler or "")
            tools[name] = HandlerTool(spec_of(name, tool), load, threads.run, threads.interrupt)
        else:
            repeat = tool.repeat_safe or tool.on_in_doubt == "retry"
            tools[name] = servers.tool(
                spec_of(name, tool), tool.server or {}, tool.name or name, pin=tool.pin, repeat=repeat
            )
    return tools


def start_of(plan: Plan, start: str | None) -> str:
    """The node that a run starts at: the one named, else the default. Raises UsageError for what is no start."""
    starts = {n.id: n for n in plan.graph.nodes if n.role == "start"}
    if start is None:
        return next((n.id for n in starts.values() if n.default), next(iter(starts)))
    if start not in starts:
        raise UsageError(f"{start!r} is no start of {plan.workflow!r}; its starts are {', '.join(starts)}")
    return start
