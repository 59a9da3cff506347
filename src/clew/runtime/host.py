"""The host: drives one run. It carries out the machine's commands, and appends facts before anything is done with them.

``commit`` is the one way a fact comes true: the machine folds it first (a fact it refuses changes nothing), the journal makes it
durable, then its consequences start. If the journal fails, the host stops in order and nothing in memory outlives it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

import msgspec

from clew.core.commands import AwaitDecision, CancelTask, FinishRun, RunNode, Sleep, StartChild
from clew.core.errors import ClewError, Conflict, IllegalMove, JournalError, Stopped
from clew.core.events import (
    DriverStarted,
    DriverStopped,
    EffectFinished,
    Event,
    NodeStarted,
    NodeStopped,
    NodeSuspended,
    Noted,
    Principal,
    RunFinished,
    RunPaused,
    RunUnpaused,
    StopRequested,
)
from clew.core.identity import body_key
from clew.core.machine import Machine
from clew.core.states import ENDED
from clew.gate.door import Door, Local
from clew.gate.effect import Drivers, Effect, Outcome
from clew.gate.interceptor import Interceptor
from clew.gate.ports.clock import Clock, Timer
from clew.gate.ports.journal import Append, Journal, RunState
from clew.runtime.arms import GRACE_MS, Arms
from clew.runtime.project import Project
from clew.runtime.record import History

logger = logging.getLogger("clew.host")


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a host is given besides its run. ``drivers`` and ``interceptors`` are the gate's."""

    journal: Any
    clock: Any
    project: Project
    drivers: Drivers
    interceptors: Sequence[Interceptor]
    owner: str
    engine: str


class Debugger(msgspec.Struct):
    """Where to pause: before nodes of these names, or before every node."""

    breakpoints: frozenset[str] = frozenset()
    step: bool = False


class Watcher(Protocol):
    """Told what became durable (progress, tail). Must be quick and must not raise."""

    def __call__(self, run: str, seq: int, event: Event) -> None: ...


class Host:
    """One run under way in this process. Create it, ``begin``, then await ``ended`` or ``parked``."""

    def __init__(
        self, world: Surroundings, events: Sequence[Event], epoch: int, debugger: Debugger | None = None
    ) -> None:
        self._journal: Journal = world.journal
        self._clock: Clock = world.clock
        self.world = world
        self.project = world.project
        self.history = History(events, world.interceptors)
        origin = self.history.origin
        if origin is None:
            raise ClewError("a run begins with RunStarted")
        self.run, self.seed, self.mode = origin.run, origin.seed, origin.mode
        self.principal: Principal = origin.principal
        self.session = origin.principal.session
        self.origin = origin
        self._events = list(events)
        self.epoch = epoch
        self.debugger = debugger or Debugger()
        self.machine = Machine(self.project.plan.graph, origin.start, self.project.scopes(origin.start))
        self._used: dict[str, int] = {}
        for event in events:
            self.machine.apply(event)
            self._remember(event)
        self.seq = len(events)
        self._unsaved: list[Event] = []
        self.ended = asyncio.Event()
        self.parked = asyncio.Event()
        self.error: BaseException | None = None
        self.on_child: Callable[[Host, StartChild], None] | None = None
        self.on_child_gone: Callable[[Host, str], None] | None = None
        self.on_parked: Callable[[bool], None] | None = None
        self._children: dict[str, bool] = {}
        self.watchers: list[Watcher] = []
        self._door = Door(self, world.interceptors, world.drivers)
        self._arms = Arms(self, world.clock)
        self._background: set[asyncio.Task[Any]] = set()
        self._timers: dict[str, Timer] = {}
        self._buffer: list[Event] = []
        self._cursor = 0
        self._passed: set[str] = set()
        self._leaving = False
        self._closing = False

    # -- life --------------------------------------------------------------------------------------------------

    async def begin(self, *, saved: int | None = None) -> None:
        """Take the run: record this driver and start what is to be started. ``saved``: how many of the events are durable yet."""
        if saved is not None and saved < self.seq:
            self._unsaved, self.seq = self._events[saved:], saved
        self._events = []
        if self.origin.deadline is not None:
            self._timers["deadline"] = self._clock.at(self.origin.deadline, self._overdue)
        await self.commit(
            self._event(DriverStarted(owner=self.world.owner, epoch=self.epoch, engine=self.world.engine))
        )

    def _overdue(self) -> None:
        if self.machine.state not in ENDED:
            self.later(self.stop("deadline_exceeded", "the run's deadline has passed"))

    async def close(self, reason: str = "") -> None:
        """Give the run up in order: no body starts, what would be in doubt has a while to end and be recorded, then bodies
        are cancelled; they will be entered again."""
        if self._closing or self._leaving:
            return
        self._leaving = True
        await self._arms.shut(wait=self.error is None)
        self._closing = True
        await self._stop_tasks()
        if self.error is None and self.machine.state not in ENDED and self.machine.state != "queued":
            batch: list[Event] = []
            self._add(batch, self._event(DriverStopped(reason=reason)))
            with contextlib.suppress(Stopped):
                await self._append(batch, ())

    async def _stop_tasks(self) -> None:
        self._stop_timers()
        tasks = {t for t in (*self._arms.tasks, *self._background) if t is not asyncio.current_task()}
        if tasks:  # what is being made durable is let through; only bodies were cancelled
            _, hung = await asyncio.wait(tasks, timeout=GRACE_MS / 1000)
            for task in hung:
                task.cancel()

    async def settled(self) -> None:
        """Until the run has ended, or is parked: nothing here gets on without somebody outside."""
        await self.parked.wait()

    # -- facts -------------------------------------------------------------------------------------------------

    async def commit(self, *events: Event, consumed: tuple[int, ...] = ()) -> None:
        """Make facts true and carry out what follows. Raises Stopped when the run is no longer driven here."""
        for command in await self.advance(events, consumed):
            self._arms.start(command)

    async def advance(self, events: Sequence[Event], consumed: tuple[int, ...] = ()) -> list[RunNode]:
        """``commit``, but the bodies to enter are the caller's to start: an arm goes on with one of them itself."""
        if self._closing or self.error is not None or self.machine.state in ENDED:
            raise Stopped(self.run)
        batch = [*self._unsaved, *self._buffer]
        for event in self._buffer:
            self.machine.apply(event)
        self._unsaved, self._buffer = [], []
        try:
            for event in events:
                self._add(batch, event)
        except IllegalMove:
            self._unsaved = batch  # folded already: durable with the next fact
            raise
        starts: list[RunNode] = []
        after: list[Callable[[], None]] = []
        while self._follow(batch, starts, after):
            pass
        await self._append(batch, consumed)
        for call in after:
            call()
        if self._children:
            self._look_for_gone_children()
        self._look_whether_parked(starting=bool(starts))
        return starts

    def _add(self, batch: list[Event], event: Event) -> None:
        self.machine.apply(event)
        self.history.add(event)
        self._remember(event)
        batch.append(event)

    def _remember(self, event: Event) -> None:
        fact = event.fact
        if isinstance(fact, NodeSuspended):
            self._used[body_key(fact.task, fact.node, fact.attempt)] = fact.ms

    def _follow(self, batch: list[Event], starts: list[RunNode], after: list[Callable[[], None]]) -> bool:
        """Turn the machine's commands into facts of the same batch, and into what is to be done once it is durable.

        True: a fact was added that may lead to further commands.
        """
        again = False
        for command in self.machine.decide(self._cursor):
            if isinstance(command, RunNode):
                if self._leaving:
                    break
                if self._pauses_at(command):
                    reason = "step" if self.debugger.step else "breakpoint"
                    self._add(batch, self._event(RunPaused(reason=reason, node=command.node)))
                    break
                fact = NodeStarted(task=command.task, node=command.node, attempt=command.attempt, entry=command.entry)
                self._add(batch, self._event(fact))
                self._arms.entering.add(command.task)
                starts.append(command)
            elif isinstance(command, CancelTask):
                body = self._arms.bodies.get(command.task)
                if command.task in self._arms.entering:
                    continue  # its start is being made durable: its arm finds it stopped
                if body is None:
                    fact = NodeStopped(task=command.task, node=command.node, attempt=command.attempt)
                    self._add(batch, self._event(fact))
                    again = True
                elif body.reason is None:
                    after.append(lambda b=body: self._arms.cut(b, "cancelled"))
            elif isinstance(command, FinishRun):
                fact = RunFinished(state=command.state, status=command.status)
                self._add(batch, self._event(fact, command.payload))
                after.append(self._end)
            else:
                after.append(lambda c=command: self._arm_wait(c))
        self._cursor = self.machine.opened
        return again

    async def _append(self, batch: list[Event], consumed: tuple[int, ...]) -> None:
        expected = self.seq
        self.seq += len(batch)
        state = self._listed_state()
        append = Append(run=self.run, expected=expected, events=batch, epoch=self.epoch, state=state, consumed=consumed)
        try:
            await self._journal.append(append)
        except ClewError as error:
            if isinstance(error, Conflict):
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0)  # where an append before this one failed, that one says why
            self.fail(error)
            raise Stopped(self.run) from error
        for watcher in self.watchers:
            for i, event in enumerate(batch):
                watcher(self.run, expected + i + 1, event)

    def fail(self, error: BaseException) -> None:
        """The journal does not take this run's facts any more: stop, and leave the run to whoever takes it next."""
        if self.error is not None:
            return
        self.error = error
        logger.error("run %s stopped: %s", self.run, error)
        self._arms.cut_all()
        for task in (*self._arms.tasks, *self._background):
            if task is not asyncio.current_task():
                task.cancel()
        self.ended.set()
        self.parked.set()

    def _end(self) -> None:
        self._stop_timers()
        self.ended.set()
        self.parked.set()

    def _stop_timers(self) -> None:
        self._arms.stop_timers()
        for timer in self._timers.values():
            timer.cancel()

    def _listed_state(self) -> RunState:
        """What the run list says: a paused run in which nothing runs waits."""
        state = self.machine.state
        if self.machine.paused and not self._arms.bodies and not self._arms.entering and state not in ENDED:
            return "waiting"
        return "running" if state == "queued" else state

    def _event(self, fact: Any, payload: Any = None) -> Event:
        return Event(fact, payload, self._clock.now())

    # -- waits -------------------------------------------------------------------------------------------------

    def _arm_wait(self, wait: Sleep | AwaitDecision | StartChild) -> None:
        if isinstance(wait, StartChild):
            self._children[wait.key] = False
            if self.on_child:
                self.on_child(self, wait)
        elif wait.due is not None:
            self._timers[wait.key] = self._clock.at(wait.due, lambda: self._due(wait))

    def _due(self, wait: Sleep | AwaitDecision | StartChild) -> None:
        self._timers.pop(wait.key, None)
        if isinstance(wait, Sleep):
            self.later(self.answer(wait.key, None))
            return
        request: dict[str, Any] = wait.request or {}
        decided: dict[str, Any] = request.get("on_timeout") or {"decision": "reject"}
        self.later(self.answer(wait.key, {**decided, "by": "", "why": "nobody answered in time"}))

    async def answer(
        self, key: str, output: Any, *, error: dict[str, Any] | None = None, consumed: tuple[int, ...] = ()
    ) -> bool:
        """End an open wait with its outcome; False when it is not open (any more)."""
        wait = self.machine.waits.get(key)
        if wait is None:
            return False
        self._children.pop(key, None)
        timer = self._timers.pop(key, None)
        if timer:
            timer.cancel()
        begun = self.history.started(key)
        kind = {Sleep: "timer", AwaitDecision: "human", StartChild: "child"}[type(wait)]
        fact = EffectFinished(
            key=key,
            kind=kind,
            name=wait.name,
            digest=getattr(begun.fact, "digest", "") if begun else "",
            task=wait.task,
            node=wait.node,
            status="error" if error else "ok",
        )
        await self.commit(self._event(fact, {"error": error} if error else {"output": output}), consumed=consumed)
        return True

    async def stop(self, code: Any, reason: str, by: str = "", consumed: tuple[int, ...] = ()) -> bool:
        """End the run now (cancel, deadline); False when it is being ended already."""
        try:
            await self.commit(self._event(StopRequested(code=code, by=by), {"reason": reason}), consumed=consumed)
        except IllegalMove:
            return False
        return True

    async def note(self, name: str, payload: Any = None, by: str = "", consumed: tuple[int, ...] = ()) -> None:
        """Record a remark that changes nothing."""
        await self.commit(self._event(Noted(name=name, by=by), payload), consumed=consumed)

    async def pause(self, reason: str, consumed: tuple[int, ...] = ()) -> bool:
        """Start no more bodies; False when it is paused already."""
        if self.machine.paused:
            return False
        await self.commit(self._event(RunPaused(reason=reason)), consumed=consumed)
        return True

    async def unpause(self, by: str = "", consumed: tuple[int, ...] = ()) -> bool:
        """Go on: past the breakpoint that it stands at; when stepping, by one node. False when it is not paused."""
        if not self.machine.paused:
            return False
        event = self._event(RunUnpaused(by=by))
        offered = self.machine.offered()
        self._passed.update(offered[:1] if self.debugger.step else offered)
        await self.commit(event, consumed=consumed)
        return True

    def _pauses_at(self, command: RunNode) -> bool:
        stops = self.debugger.step or command.node in self.debugger.breakpoints
        key = body_key(command.task, command.node, command.attempt)
        return stops and command.entry == 1 and key not in self._passed

    def child_parked(self, key: str, parked: bool) -> None:
        """The child behind a wait does, or does not, get on without somebody outside."""
        if key in self._children:
            self._children[key] = parked
            self._look_whether_parked()

    def child_workflow(self, key: str) -> str:
        """Which workflow the child behind this wait runs."""
        begun = self.history.started(key)
        return str(begun.payload["workflow"]) if begun else ""

    def _look_for_gone_children(self) -> None:
        """Children whose wait ended without them: their part of the run was cancelled."""
        for key in [k for k in self._children if k not in self.machine.waits]:
            del self._children[key]
            if self.on_child_gone:
                self.on_child_gone(self, key)

    def _look_whether_parked(self, *, starting: bool = False) -> None:
        """Parked: nothing here gets on without somebody outside (a human, or whoever paused it). An overdue wait does."""
        if self.machine.state in ENDED:
            return
        parked = not (starting or self._arms.bodies) and self._stands_still()
        if parked != self.parked.is_set():
            (self.parked.set if parked else self.parked.clear)()
            if self.on_parked:
                self.on_parked(parked)

    def _stands_still(self) -> bool:
        now = self._clock.now()
        if self.origin.deadline is not None and self.origin.deadline <= now:
            return False
        return self.machine.paused is not None or (
            self.machine.state == "waiting"
            and all(
                self._children.get(w.key, False)
                if isinstance(w, StartChild)
                else isinstance(w, AwaitDecision) and (w.due is None or w.due > now)
                for w in self.machine.waits.values()
            )
        )

    # -- the gate's view of the run (RunRecord), and the body's (HostView) --------------------------------------

    def now(self) -> int:
        return self._clock.now()

    async def perform(self, effect: Effect, local: Local | None) -> Outcome:
        return await self._door.perform(msgspec.structs.replace(effect, principal=self.principal), local)

    def finished(self, key: str) -> Event | None:
        return self.history.finished(key)

    recorded = finished

    def started(self, key: str) -> Event | None:
        return self.history.started(key)

    def state(self, interceptor: str) -> Any:
        return self.history.state(interceptor)

    async def record(self, event: Event) -> None:
        """Not stopped half-way when the body that records is cut: the fact and its consequences go together."""
        await asyncio.shield(self.later(self.commit(event)))

    def revise(self, effect: Effect) -> bool:
        return self.history.revise(effect.key)

    def cut(self, task: str) -> bool:
        body = self._arms.bodies.get(task)
        return body is None or body.reason in ("timeout", "cancelled")

    def buffer(self, event: Event) -> None:
        self._buffer.append(event)
        self.history.add(event)

    def used_ms(self, key: str) -> int:
        return self._used.get(key, 0)

    # -- inside ------------------------------------------------------------------------------------------------

    def later(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        task.add_done_callback(self.report)
        return task

    def report(self, task: "asyncio.Task[Any]") -> None:
        """An arm that ends by an exception of ours stops the run: half a run is worse than a stopped one."""
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not isinstance(error, Stopped):
            self.fail(error if isinstance(error, ClewError) else JournalError(f"{type(error).__name__}: {error}"))
