"""The bodies of one run that are under way: entered one after another by arms, watched for their time-outs, cut, given up."""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from clew.core.commands import RunNode
from clew.core.errors import Stopped
from clew.core.events import Event
from clew.core.machine import Machine
from clew.gate.ports.clock import Clock, Timer
from clew.runtime.body import Body, Cut, HostView

logger = logging.getLogger("clew.host")

GRACE_MS = 5_000
"""How long a body that was cut may take to leave; then its arm goes on without it."""

LAST_S = 1.0
"""How long a body that was given up is waited for to let go of what it has in flight."""


class ArmsHost(HostView, Protocol):
    """What arms need of their host."""

    machine: Machine

    async def advance(self, events: Sequence[Event], consumed: tuple[int, ...] = ()) -> list[RunNode]: ...

    async def commit(self, *events: Event, consumed: tuple[int, ...] = ()) -> None: ...

    def later(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]": ...

    def report(self, task: "asyncio.Task[Any]") -> None: ...


class Arms:
    """``bodies`` by task; ``entering``: tasks whose start is being made durable."""

    def __init__(self, host: ArmsHost, clock: Clock) -> None:
        self._host, self._clock = host, clock
        self.bodies: dict[str, Body] = {}
        self.entering: set[str] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self._shut = False
        self._graces: dict[str, Timer] = {}
        self._sweeper: Timer | None = None
        self._sweep_due = 0

    def start(self, command: RunNode) -> None:
        """Enter a body, and whatever it leads to, in an arm of its own."""
        if self._shut:
            return
        arm = asyncio.get_running_loop().create_task(self._arm(command))
        self.tasks.add(arm)
        arm.add_done_callback(self.tasks.discard)
        arm.add_done_callback(self._host.report)

    async def _arm(self, command: RunNode | None) -> None:
        """Run bodies one after another, as long as each leads to the next; whatever else comes free gets arms of its own."""
        while command is not None:
            body = Body(self._host, command)
            self.entering.discard(body.task)
            self.bodies[body.task] = body
            if self._host.machine.stops(body.task):  # cancelled before it was entered
                event = body.stopped("cancelled")
            else:
                self._watch(body)
                event = await body.finish()
            if self.bodies.get(body.task) is not body:
                return  # it was given up as hung, and its end is recorded already
            del self.bodies[body.task]
            if self._host.machine.stops(body.task):
                event = body.stopped("cancelled")
            if event is None:
                return
            try:
                starts = await self._host.advance((event,))
            except Stopped:
                return
            command = starts.pop(0) if starts else None
            for other in starts:
                self.start(other)
            if self._shut:
                return

    # -- cutting -----------------------------------------------------------------------------------------------

    def cut(self, body: Body, reason: Cut) -> None:
        """Stop a body; if it does not leave in time, its end is recorded without it."""
        body.cut(reason)
        grace = self._clock.now() + GRACE_MS
        self._graces[body.key] = self._clock.at(grace, lambda: self._give_up(body))

    def _give_up(self, body: Body) -> None:
        self._graces.pop(body.key, None)
        if self.bodies.get(body.task) is not body:
            return
        del self.bodies[body.task]
        logger.warning("body %s of run %s does not stop; it is left behind, its gate is shut", body.key, self._host.run)
        self._host.later(self._leave(body))

    async def _leave(self, body: Body) -> None:
        """First what the body had in flight, then its end."""
        body.abandon()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(body.settled(), LAST_S)
        event = body.stopped("cancelled" if self._host.machine.stops(body.task) else body.reason)
        if event is not None:
            await self._host.commit(event)

    async def shut(self, *, wait: bool) -> None:
        """Start no more bodies and shut the gates of all; ``wait`` a while for effects that would be in doubt, then cut."""
        self._shut = True
        bodies = list(self.bodies.values())
        for body in bodies:
            body.shut("closing")
        if wait and bodies:
            at_stake = [asyncio.ensure_future(body.settled(unsafe=True)) for body in bodies]
            _, hung = await asyncio.wait(at_stake, timeout=GRACE_MS / 1000)
            for task in hung:
                task.cancel()
        self.cut_all()

    def cut_all(self) -> None:
        """The host gives its run up: every body is left to be entered again."""
        self._shut = True
        for body in self.bodies.values():
            body.cut("closing")

    def stop_timers(self) -> None:
        for timer in (*self._graces.values(), *((self._sweeper,) if self._sweeper else ())):
            timer.cancel()

    # -- time-outs ---------------------------------------------------------------------------------------------

    def _watch(self, body: Body) -> None:
        """One timer for all bodies: most time-outs are far away and never come."""
        if self._sweeper is None or body.deadline < self._sweep_due:
            if self._sweeper:
                self._sweeper.cancel()
            self._sweep_due = body.deadline
            self._sweeper = self._clock.at(body.deadline, self._sweep)

    def _sweep(self) -> None:
        now = self._clock.now()
        self._sweeper = None
        for body in list(self.bodies.values()):
            if body.reason is None and body.deadline <= now:
                self.cut(body, "timeout")
        for body in self.bodies.values():
            if body.reason is None:
                self._watch(body)
