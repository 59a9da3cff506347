"""The Python API: ``Engine`` and its async form. Each method is one use case; nothing is decided here."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from clew.core.errors import Conflict, NotFound, UsageError
from clew.core.events import Event
from clew.core.states import ENDED
from clew.gate.ports.clock import Clock
from clew.gate.ports.journal import Finding, Head, Record, RunFilter, RunRow
from clew.gate.ports.model import ModelClient
from clew.gate.ports.stream import Chunk
from clew.manifest.compiled import Plan
from clew.runtime.host import Debugger, Host
from clew.runtime.streams import woven
from clew.service import decide as deciding
from clew.service import fork as forking
from clew.service import inspect as inspecting
from clew.service import queue, runs
from clew.service import replay as replaying
from clew.service.portal import Portal
from clew.service.runs import Waiting
from clew.service.settings import Settings, read
from clew.service.wiring import Workspace


class RunResult(Mapping[str, Any]):
    """How a run stands: ``output``, ``status``, ``run_id``, ``state``, ``error``, ``cost``, ``waiting``; also a mapping of these.

    ``unpriced`` is how many calls ``cost`` does not hold, because their price is not known. ``history`` is the run's events.
    ``status`` is None while the run has not ended.
    """

    def __init__(self, result: runs.RunResult, history: list[Record]) -> None:
        self.output = result.output
        self.status = result.status
        self.run_id = result.run_id
        self.state = result.state
        self.error = result.error
        self.cost = result.cost
        self.unpriced = result.unpriced
        self.waiting = result.waiting
        self.history = history

    def _fields(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if not k.startswith("_")}

    def __getitem__(self, key: str) -> Any:
        return self._fields()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields())

    def __len__(self) -> int:
        return len(self._fields())

    def __repr__(self) -> str:
        return (
            f"RunResult(run_id={self.run_id!r}, state={self.state!r}, status={self.status!r}, output={self.output!r})"
        )


class Handle:
    """A run under way. One that is driven here is held by its host, so that its error is not missed."""

    def __init__(self, engine: "AsyncEngine", run: str) -> None:
        self._engine = engine
        self.run_id = run
        self._host = engine.workspace.scheduler.hosts.get(run)

    async def result(self) -> RunResult:
        """Wait until the run has ended, however long its waits are; an answer may come from another process."""
        host = self._host
        if host is not None:
            await host.ended.wait()
            if host.error is not None:
                raise host.error
        else:
            async with aclosing(self._engine.follow(self.run_id)) as events:
                async for _ in events:
                    pass
        return await self._engine.result(self.run_id)

    async def settled(self) -> RunResult:
        """Wait until the run has ended or waits for somebody outside (a human, or whoever paused it)."""
        host = self._host
        if host is not None:
            await host.settled()
            if host.error is not None:
                raise host.error
        return await self._engine.result(self.run_id)

    async def events(self, after: int = 0) -> AsyncGenerator[Event]:
        """Events as they become durable, from the first; ends with the run."""
        async with aclosing(self._engine.follow(self.run_id, after)) as records:
            async for record in records:
                yield record.event

    async def stream(self, after: int = 0) -> AsyncGenerator[Event | Chunk]:
        """Events as ``events`` gives them, and between them what models say while they speak, here and in child runs.

        Chunks are provisional, redacted, and come from a run that is driven here only; a slow reader may lose some (a ``reset``
        without a key says so). The recorded outcome holds the whole answer.
        """
        with self._engine.workspace.streams.listen(self.run_id) as listener:
            async with aclosing(self.events(after)) as events, aclosing(woven(events, listener)) as both:
                async for item in both:
                    yield item

    async def cancel(self, reason: str = "") -> None:
        await runs.cancel(self._engine.workspace, self.run_id, reason, self._engine.workspace.settings.user)


class AsyncEngine:
    """One project on one state directory. Use it on one event loop, as an async context manager or with ``close``."""

    def __init__(
        self, plan: Plan | None, directory: Path, settings: Settings, *,
        clock: Clock | None = None, models: ModelClient | None = None, create: bool = True,
    ) -> None:  # fmt: skip
        self._plan = plan
        self.directory = directory
        self.settings = settings
        self._clock, self._models, self._create = clock, models, create
        self._workspace: Workspace | None = None

    @property
    def plan(self) -> Plan:
        if self._plan is None:
            raise UsageError(
                "this engine was opened on a state directory only", hint="open it with a project to start runs"
            )
        return self._plan

    @property
    def workspace(self) -> Workspace:
        """Opened with the first use."""
        if self._workspace is None:
            self._workspace = Workspace(self.settings, clock=self._clock, create=self._create, models=self._models)
        return self._workspace

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give up what runs, in order: it goes on with ``resume``."""
        workspace, self._workspace = self._workspace, None
        if workspace is not None:
            await workspace.close()

    # -- runs --------------------------------------------------------------------------------------------------

    async def start(
        self, input: Any = None, start: str | None = None, mode: str | None = None, *,  # noqa: A002 - the word of the contract
        request: runs.RunRequest | None = None, debugger: Debugger | None = None,
    ) -> Handle:  # fmt: skip
        """Start a run and return at once. ``request`` sets what else there is to set."""
        wanted = request or runs.RunRequest(input=input, start=start, mode=mode or "implement")
        host = await runs.start(self.workspace, self.plan, self.directory, wanted, debugger)
        return Handle(self, host if isinstance(host, str) else host.run)

    async def run(self, input: Any = None, start: str | None = None, mode: str | None = None) -> RunResult:  # noqa: A002
        """Run to the end, or until a human is needed (``state`` is then ``waiting``; the run goes on with ``approve``)."""
        handle = await self.start(input, start, mode)
        return await self._settle(handle)

    async def settle(self, run: str) -> RunResult:
        """Wait until a run that was taken up here has ended or waits for somebody outside; then it is let go."""
        return await self._settle(Handle(self, run))

    async def _settle(self, handle: Handle) -> RunResult:
        result = await handle.settled()
        host = self.workspace.scheduler.hosts.get(handle.run_id)
        if host is not None and result.state not in ENDED:
            await self.workspace.scheduler.let_go(host, "waits for somebody outside")
        elif result.state in ENDED and "." in handle.run_id:
            await self._go_on_with_parent(handle.run_id.rpartition(".")[0])
        return result

    async def _go_on_with_parent(self, run: str) -> None:
        """A child ended that was driven alone: whoever waits for it goes on here, unless another process drives it."""
        row = await self.workspace.journal.row(run)
        if row.state in ENDED:
            return
        try:
            await runs.resume(self.workspace, run)
        except Conflict:
            return
        await self._settle(Handle(self, run))

    async def enqueue(self, input: Any = None, start: str | None = None, mode: str | None = None) -> str:  # noqa: A002
        """Put a run into the queue; returns its id."""
        request = runs.RunRequest(input=input, start=start, mode=mode or "implement")
        return await runs.enqueue(self.workspace, self.plan, self.directory, request)

    async def run_queued(self, max_concurrency: int | None = None) -> list[RunResult]:
        """Drive everything queued, oldest first, and queue the new tasks that come out of it."""
        return [await self.result(run) for run in await queue.drive(self.workspace, max_concurrency)]

    async def resume(
        self, run: str | None = None, *, accept: bool = False, debugger: Debugger | None = None
    ) -> list[RunResult]:
        """Go on with one run, or with every interrupted one that nobody drives."""
        if run is None:
            await runs.end_orphans(self.workspace)
        names = [run] if run else [row.run for row in await runs.resumable(self.workspace)]
        taken: list[Handle] = []
        for name in names:
            try:
                host = await runs.resume(self.workspace, name, accept=accept, debugger=debugger)
            except Conflict as conflict:
                if run is None and conflict.code == "driven":  # by a living process; a dead one's runs are taken over
                    continue
                raise
            if host.machine.paused:
                with runs.passed_on(host):
                    await host.unpause(self.settings.user)
            taken.append(Handle(self, name))
        return list(await asyncio.gather(*(self._settle(handle) for handle in taken)))

    async def approve(
        self, run: str, value: Any = None, *, key: str | None = None, by: str = "", why: str = ""
    ) -> RunResult:
        """Agree to, or answer, what a run asks; ``value`` is the answer or the edited arguments. The run goes on here."""
        edited = {} if value is None else {"value": value}
        decision = deciding.Decision(approve=True, by=by or self.settings.user, why=why, **edited)
        return await self.decide(run, decision, key)

    async def reject(self, run: str, *, key: str | None = None, by: str = "", why: str = "") -> RunResult:
        """Refuse what a run asks."""
        return await self.decide(run, deciding.Decision(approve=False, by=by or self.settings.user, why=why), key)

    async def decide(self, run: str, decision: deciding.Decision, key: str | None = None) -> RunResult:
        host = await deciding.decide(self.workspace, run, decision, key)
        if host is not None:  # the question may be a child run's
            await self._settle(Handle(self, host.run))
        return await self.result(run)

    async def cancel(self, run: str, reason: str = "") -> RunResult:
        """End a run now."""
        host = await runs.cancel(self.workspace, run, reason, self.settings.user)
        if host is not None:
            await host.ended.wait()
            await self.workspace.scheduler.children.settled()
        return await self.result(run)

    # -- looking back ------------------------------------------------------------------------------------------

    async def result(self, run: str) -> RunResult:
        """How a run stands."""
        return RunResult(await runs.result(self.workspace, run), await self.workspace.journal.read(run))

    async def runs(self, where: RunFilter | None = None) -> list[RunRow]:
        """The run list, newest first."""
        return await self.workspace.journal.runs(where or RunFilter())

    async def find(self, prefix: str | None = None) -> str:
        """The id of the run whose id begins so; of the newest without a prefix."""
        return await runs.find(self.workspace, prefix)

    async def follow(self, run: str, after: int = 0) -> AsyncGenerator[Record]:
        """Events of a run as they come, also from another process."""
        async for record in self.workspace.journal.follow(run, after):
            yield record

    async def waiting(self, run: str | None = None) -> list[Waiting]:
        """Open questions to humans."""
        return await runs.waiting(self.workspace, run)

    async def inspect(self, run: str, at: int | None = None) -> inspecting.Inspection:
        """The run read back; its state at any event."""
        return await inspecting.inspect(self.workspace, run, at)

    async def replay(self, run: str, *, handlers: bool = False) -> replaying.ReplayReport:
        """Verify the run against its record without performing anything."""
        return await replaying.replay(self.workspace, run, handlers=handlers)

    async def verify(self, run: str | None = None, head: Head | None = None) -> list[Finding]:
        """What is wrong with chain, ledger and payloads; an empty list is a clean bill."""
        if run is not None:
            await self.workspace.journal.row(run)
        return await self.workspace.journal.verify(run, head)

    async def prepare_fork(self, request: forking.ForkRequest) -> forking.Prepared:
        """Preflight: what a fork keeps and what it will perform anew."""
        return await forking.prepare(self.workspace, request)

    async def fork(
        self, run: str, at: int, sets: dict[str, Any] | None = None, *, project: Path | None = None
    ) -> RunResult:
        """Fork at event ``at`` with ``sets`` (dotted path -> value) in its content, and run the fork."""
        plan, directory = runs.load_project(project) if project else (None, None)
        request = forking.ForkRequest(run=run, at=at, sets=sets or {}, plan=plan, directory=directory)
        host = await forking.fork(self.workspace, await self.prepare_fork(request))
        return await self._settle(Handle(self, host.run))

    def host(self, run: str) -> Host:
        """The live host of a run that is driven here. Raises NotFound."""
        try:
            return self.workspace.scheduler.hosts[run]
        except KeyError:
            raise NotFound(f"run {run} is not driven here") from None


class Engine:
    """The blocking form of ``AsyncEngine`` (``aio``): a portal, nothing of its own. Close it, or use it with ``with``."""

    def __init__(self, aio: AsyncEngine) -> None:
        self.aio = aio
        self._portal = Portal()

    @classmethod
    def from_config_dir(
        cls, path: str | Path, state: str | Path | None = None, *,
        clock: Clock | None = None, models: ModelClient | None = None,
    ) -> "Engine":  # fmt: skip
        """Load a project. ``state``: its state directory (default ``.clew`` or CLEW_STATE), or ``":memory:"``. ``models``
        answers in place of every provider (``clew.testing.ScriptedModel``).

        Raises ManifestError with every problem in the manifests.
        """
        return cls(open_project(path, state, clock=clock, models=models))

    async def start(self, input: Any = None, start: str | None = None, mode: str | None = None) -> Handle:  # noqa: A002
        """Start a run on the caller's event loop; see ``AsyncEngine.start``."""
        return await self.aio.start(input, start, mode)

    def run(self, input: Any = None, start: str | None = None, mode: str | None = None) -> RunResult:  # noqa: A002
        return self._portal.call(self.aio.run(input, start, mode))

    def enqueue(self, input: Any = None, start: str | None = None, mode: str | None = None) -> str:  # noqa: A002
        return self._portal.call(self.aio.enqueue(input, start, mode))

    def run_queued(self, max_concurrency: int | None = None) -> list[RunResult]:
        return self._portal.call(self.aio.run_queued(max_concurrency))

    def resume(self, run: str | None = None, *, accept: bool = False) -> list[RunResult]:
        return self._portal.call(self.aio.resume(run, accept=accept))

    def approve(self, run: str, value: Any = None, *, key: str | None = None, by: str = "", why: str = "") -> RunResult:
        return self._portal.call(self.aio.approve(run, value, key=key, by=by, why=why))

    def reject(self, run: str, *, key: str | None = None, by: str = "", why: str = "") -> RunResult:
        return self._portal.call(self.aio.reject(run, key=key, by=by, why=why))

    def cancel(self, run: str, reason: str = "") -> RunResult:
        return self._portal.call(self.aio.cancel(run, reason))

    def replay(self, run: str, *, handlers: bool = False) -> replaying.ReplayReport:
        return self._portal.call(self.aio.replay(run, handlers=handlers))

    def fork(self, run: str, at: int, sets: dict[str, Any] | None = None, *, project: Path | None = None) -> RunResult:
        return self._portal.call(self.aio.fork(run, at, sets, project=project))

    def verify(self, run: str | None = None, head: Head | None = None) -> list[Finding]:
        return self._portal.call(self.aio.verify(run, head))

    def inspect(self, run: str, at: int | None = None) -> inspecting.Inspection:
        return self._portal.call(self.aio.inspect(run, at))

    def runs(self, where: RunFilter | None = None) -> list[RunRow]:
        return self._portal.call(self.aio.runs(where))

    def close(self) -> None:
        self._portal.call(self.aio.close())
        self._portal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_project(
    path: str | Path, state: str | Path | None = None, *, clock: Clock | None = None, models: ModelClient | None = None
) -> AsyncEngine:
    """An engine for a project. Raises ManifestError."""
    plan, directory = runs.load_project(Path(path))
    return AsyncEngine(plan, directory, read(state=None if state is None else str(state)), clock=clock, models=models)


def open_state(state: str | Path | None = None, *, create: bool = False) -> AsyncEngine:
    """An engine for looking back and going on, without a project. Raises NotFound where nothing is kept."""
    return AsyncEngine(None, Path(), read(state=None if state is None else str(state)), create=create)
