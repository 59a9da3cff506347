"""Milestones of runs: how far they are, and alerts for what is late."""

import logging
from contextlib import suppress
from typing import Any

import msgspec

from clew.core.errors import ClewError, Stopped
from clew.core.events import DriverStarted, DriverStopped, EffectFinished, Event, RunFinished
from clew.gate.ports.clock import Clock, Timer
from clew.gate.ports.journal import Journal
from clew.policies.milestones import MOVES, Plan, change_of
from clew.runtime.scheduler import Scheduler
from clew.stores.milestones import LATE

logger = logging.getLogger("clew.alert")

_MOST = 10_000
_FRESH = 2
"""The first driver's event of a run; a later one takes up a run, with the milestones it has."""


class Milestone(msgspec.Struct, frozen=True, kw_only=True):
    """One milestone of a run. Times in ms since the epoch."""

    run: str
    id: str
    goal: str
    title: str
    done_when: str
    state: str
    """``planned | started | done | dropped``."""
    late: bool
    """It was done after it was due, or it is due and neither done nor dropped."""
    due: int | None
    planned: int
    started: int | None
    ended: int | None
    """When it was done or dropped."""
    note: str
    node: str
    agent: str


async def milestones(journal: Journal, run: str, now: int) -> list[Milestone]:
    """Of one run, in the order in which they were planned."""
    fields = [name for name in Milestone.__struct_fields__ if name != "late"]
    rows = await journal.rows("milestones", {"run": run}, _MOST)
    return [Milestone(**{name: row[name] for name in fields}, late=_late(row, now)) for row in rows]


def _late(row: dict[str, Any], now: int) -> bool:
    if row["due"] is None or row["state"] == "dropped":
        return False
    return row["due"] < (now if row["ended"] is None else row["ended"])


class Alerts:
    """A watcher of the scheduler's: says once, as a warning and in the run's journal, that a milestone is late.

    It knows of a milestone from the event that planned it; when a run is taken up again, from the journal. What comes due while
    nobody drives the run is said as soon as somebody does.
    """

    def __init__(self, clock: Clock, journal: Journal, scheduler: Scheduler) -> None:
        self._clock, self._journal, self._scheduler = clock, journal, scheduler
        self._timers: dict[tuple[str, str], Timer] = {}

    def __call__(self, run: str, seq: int, event: Event) -> None:
        fact = event.fact
        if isinstance(fact, EffectFinished):
            change = change_of(fact, event.payload)
            if isinstance(change, Plan):
                for one in change.milestones:
                    self._arm(run, one.id, one.due(event.at))
            elif change is not None and change.state not in MOVES:
                self._disarm((run, change.id))
        elif isinstance(fact, DriverStarted):
            if seq > _FRESH:
                self._scheduler.spawn(self._take_up(run))
        elif isinstance(fact, RunFinished | DriverStopped):
            for key in [key for key in self._timers if key[0] == run]:
                self._disarm(key)

    def _arm(self, run: str, milestone: str, due: int | None) -> None:
        key = (run, milestone)
        if due is not None and key not in self._timers:
            self._timers[key] = self._clock.at(due + 1, lambda: self._late(key, due))

    def _disarm(self, key: tuple[str, str]) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    async def _take_up(self, run: str) -> None:
        with suppress(ClewError):  # the journal is gone: so is the run's driver
            for row in await self._journal.rows("milestones", {"run": run}, _MOST):
                if row["alerted"] is None and row["state"] in MOVES:
                    self._arm(run, row["id"], row["due"])

    def _late(self, key: tuple[str, str], due: int) -> None:
        run, milestone = key
        del self._timers[key]
        if run in self._scheduler.hosts:
            extra = {"clew": {"run": run, "milestone": milestone, "due": due}}
            logger.warning("run %s: milestone %s is late", run, milestone, extra=extra)
            self._scheduler.spawn(self._record(run, {"id": milestone, "due": due}))

    async def _record(self, run: str, said: dict[str, Any]) -> None:
        host = self._scheduler.hosts.get(run)
        if host is not None:
            with suppress(Stopped, ClewError):  # it ended meanwhile
                await host.note(LATE, said)
