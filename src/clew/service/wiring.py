"""The composition root: the only place that knows which journal, sandbox, tools and interceptors there are."""

import os
import secrets
from functools import partial
from pathlib import Path

import msgspec

from clew._version import __version__
from clew.core.errors import NotFound, UsageError
from clew.gate.interceptor import Interceptor
from clew.gate.ports.clock import Clock
from clew.gate.ports.journal import Blobs, Journal
from clew.gate.ports.tool import Tool
from clew.manifest.compiled import Plan
from clew.manifest.plan import load
from clew.policies.modes import Modes
from clew.policies.redact import Credentials, Redactor
from clew.runtime.clock import SystemClock
from clew.runtime.handlers import Handlers
from clew.runtime.host import Surroundings
from clew.runtime.project import Project
from clew.runtime.scheduler import Scheduler
from clew.runtime.threads import Threads
from clew.sandbox.default import default
from clew.service.settings import Settings
from clew.stores.memory.journal import MemoryJournal
from clew.stores.projections import shipped
from clew.stores.sqlite.journal import SqliteJournal
from clew.tools.builtin import builtin
from clew.tools.driver import HandlerTool, ToolDriver, spec_of

_plans = msgspec.json.Decoder(Plan)


class Workspace:
    """One state directory, opened: journal, blobs, clock, threads, and the scheduler of what runs here. ``close`` it."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None, create: bool = True) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.threads = Threads()
        self.owner = f"p{secrets.token_hex(4)}"
        self.journal, self.blobs = open_journal(settings, self.clock, create=create)
        self.scheduler = Scheduler(self.journal, self._child_world)
        self._secrets: set[str] = set()
        self.redactor = self._new_redactor()
        self._worlds: dict[tuple[str, str], Surroundings] = {}
        self._addresses: dict[int, tuple[Plan, str]] = {}
        """By identity, with the plan itself, so that the identity stays its own."""

    async def close(self) -> None:
        await self.scheduler.close()
        await self.journal.close()
        self.threads.close()

    # -- projects and plans ------------------------------------------------------------------------------------

    async def world(self, plan: Plan, directory: Path) -> Surroundings:
        """What drives runs of this plan, with the plan recorded as a blob."""
        self._learn_secrets(plan)
        known = self._addresses.get(id(plan))
        if known is None:
            known = self._addresses[id(plan)] = plan, await self.blobs.put(msgspec.json.encode(plan))
        return self._world(known[1], plan, directory)

    async def recorded_plan(self, address: str) -> Plan:
        """The plan that a run was started with."""
        plan = _plans.decode(await self.blobs.get(address))
        self._learn_secrets(plan)
        return plan

    def _learn_secrets(self, plan: Plan) -> None:
        """What the plan's credentials are is masked wherever a value is shown."""
        new = set(secrets_of(plan)) - self._secrets
        if new:
            self._secrets |= new
            self.redactor = self._new_redactor()

    def _new_redactor(self) -> Redactor:
        settings = self.settings
        return Redactor(fields=settings.redact_fields, prefixes=settings.redact_prefixes, values=sorted(self._secrets))

    async def recorded_world(self, address: str, directory: Path) -> Surroundings:
        return self._world(address, await self.recorded_plan(address), directory)

    def _world(self, address: str, plan: Plan, directory: Path) -> Surroundings:
        key = (address, str(directory))
        if key not in self._worlds:
            handlers = Handlers(directory)
            tools = project_tools(plan, handlers, self.threads)
            project = Project(plan, address, handlers, self.threads, {name: tool.spec for name, tool in tools.items()})
            self._worlds[key] = Surroundings(
                journal=self.journal,
                clock=self.clock,
                project=project,
                drivers={"tool": ToolDriver(plan, project.directory, tools, default())} if tools else {},
                interceptors=interceptors(plan),
                owner=self.owner,
                engine=__version__,
            )
        return self._worlds[key]

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


def project_tools(plan: Plan, handlers: Handlers, threads: Threads) -> dict[str, Tool]:
    """The plan's tools, ready to be called. Raises UsageError for kinds that no driver is here for."""
    tools: dict[str, Tool] = {}
    for name, tool in plan.tools.items():
        if tool.type == "builtin":
            tools[name] = builtin(name)
        elif tool.type == "handler":
            tools[name] = HandlerTool(spec_of(name, tool), partial(handlers.get, tool.handler or ""), threads.run)
        else:
            raise UsageError(f"tool {name!r}: no driver for {tool.type!r} tools is installed")
    return tools


def interceptors(plan: Plan) -> tuple[Interceptor, ...]:
    """Outermost first, in the order that ``clew.policies`` fixes."""
    return Modes(), Credentials(secrets_of(plan))


def secrets_of(plan: Plan) -> tuple[str, ...]:
    """Values of the credentials that the manifests name, to be removed from whatever comes back through the gate."""
    found: list[str] = []
    for credential in plan.sections.get("provider_credentials", ()):
        variable = credential.get("auth", {}).get("env_var")
        if variable and os.environ.get(variable):
            found.append(os.environ[variable])
    return tuple(found)


def start_of(plan: Plan, start: str | None) -> str:
    """The node that a run starts at: the one named, else the default. Raises UsageError for what is no start."""
    starts = {n.id: n for n in plan.graph.nodes if n.role == "start"}
    if start is None:
        return next((n.id for n in starts.values() if n.default), next(iter(starts)))
    if start not in starts:
        raise UsageError(f"{start!r} is no start of {plan.workflow!r}; its starts are {', '.join(starts)}")
    return start
