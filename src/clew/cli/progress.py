"""What is going on in a run, folded from its events as they become durable: a few counters per lane and node.

Pure, and O(1) per event: it is fed from within the engine's commits.
"""

from typing import Any

from clew.cli.lanes import Lane, Lanes
from clew.core import events as ev
from clew.core import routing
from clew.core.events import Event
from clew.core.graph import Graph
from clew.core.tasks import Task

Key = tuple[Lane, str]


class Active:
    """A body that was entered and has not ended. ``wait``: what for, with its time; ``""`` while it runs."""

    __slots__ = ("attempt", "due", "key", "since", "task", "wait")

    def __init__(self, task: str, since: int, attempt: int, key: Key) -> None:
        self.task, self.since, self.attempt, self.key = task, since, attempt, key
        self.wait = ""
        self.due: int | None = None


class Row:
    """One node in one lane. ``ms``: of the bodies that ended, the longest."""

    __slots__ = ("active", "done", "error", "failed", "lane", "ms", "node", "retries", "stopped")

    def __init__(self, lane: Lane, node: str) -> None:
        self.lane, self.node = lane, node
        self.done = self.failed = self.stopped = self.retries = 0
        self.ms = 0
        self.error = ""
        self.active: dict[str, Active] = {}

    @property
    def total(self) -> int:
        return self.done + self.failed + self.stopped + len(self.active)

    @property
    def state(self) -> str:
        """The state that says most about the row."""
        if any(not a.wait for a in self.active.values()):
            return "running"
        if self.active:
            return "asks" if any(a.wait == "human" for a in self.active.values()) else "waiting"
        if self.failed:
            return "failed"
        return "completed" if self.done else "cancelled"


class Progress:
    """Of one run; events of other runs are not looked at. ``clock`` is the time of the last event."""

    def __init__(self, run: str, workflow: str, graph: Graph) -> None:
        self.run, self.workflow = run, workflow
        self.rows: dict[Key, Row] = {}
        self.state = "queued"
        self.status: str | None = None
        self.began = self.clock = self.seq = 0
        self.cost = 0.0
        self.paused = ""
        self.ended_nodes = 0
        self._retry = {node.id: node.retry for node in graph.nodes}
        self._lanes = Lanes()
        self._active: dict[str, Active] = {}
        self._steps: dict[type, Any] = {
            ev.RunStarted: self._began,
            ev.DriverStarted: self._driven,
            ev.NodeStarted: self._entered,
            ev.NodeCompleted: self._ended,
            ev.NodeFailed: self._failed,
            ev.NodeStopped: self._ended,
            ev.EffectStarted: self._waits,
            ev.EffectFinished: self._answered,
            ev.RunPaused: self._paused,
            ev.RunUnpaused: self._unpaused,
            ev.RunFinished: self._finished,
        }

    def apply(self, run: str, seq: int, event: Event) -> None:
        """Fold one event; one that was folded before is passed over."""
        if run != self.run or seq <= self.seq:
            return
        self.seq, self.clock = seq, event.at
        step = self._steps.get(type(event.fact))
        if step is not None:
            step(event.fact, event.at)

    @property
    def standing(self) -> str:
        """One word for the run: as ``Row.state``, with ``paused`` and its own status at the end."""
        if self.state != "running":
            return self.status or self.state
        if self.paused:
            return "paused"
        waits = [a.wait for a in self._active.values()]
        if not waits or "" in waits:
            return "running"
        return "asks" if set(waits) == {"human"} else "waiting"

    def row(self, task: str) -> Row | None:
        active = self._active.get(task)
        return self.rows[active.key] if active else None

    def drop_ended(self, tasks: dict[str, Task]) -> None:
        """Forget bodies that wait and whose task has ended: a cancelled wait leaves no event of its own."""
        for active in [a for a in self._active.values() if a.wait]:
            task = tasks.get(active.task)
            if task is not None and task.state in ("completed", "failed", "cancelled"):
                self._leave(active.task).stopped += 1

    # -- facts -------------------------------------------------------------------------------------------------

    def _began(self, fact: ev.RunStarted, at: int) -> None:
        self.began = at

    def _driven(self, fact: ev.DriverStarted, at: int) -> None:
        self.state = "running"

    def _entered(self, fact: ev.NodeStarted, at: int) -> None:
        active = self._active.get(fact.task)
        if active is not None and active.key[1] == fact.node:
            active.wait, active.due = "", None
            if active.attempt != fact.attempt:
                active.attempt, active.since = fact.attempt, at
            return
        key = (self._lanes.enter(fact.task, fact.node), fact.node)
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = Row(*key)
        row.active[fact.task] = self._active[fact.task] = Active(fact.task, at, fact.attempt, key)

    def _leave(self, task: str) -> Row:
        active = self._active.pop(task)
        row = self.rows[active.key]
        del row.active[task]
        row.ms = max(row.ms, self.clock - active.since)
        self.ended_nodes += 1
        return row

    def _ended(self, fact: ev.NodeCompleted | ev.NodeStopped, at: int) -> None:
        if fact.task in self._active:
            row = self._leave(fact.task)
            if isinstance(fact, ev.NodeCompleted):
                row.done += 1
            else:
                row.stopped += 1

    def _failed(self, fact: ev.NodeFailed, at: int) -> None:
        active = self._active.get(fact.task)
        if active is None:
            return
        self.rows[active.key].error = fact.code
        retry = self._retry.get(fact.node)
        if retry is not None and routing.may_retry(retry, fact.code, fact.attempt):
            active.wait, active.due = "backoff", at + routing.backoff_ms(retry.backoff, fact.attempt)
            self.rows[active.key].retries += 1
        else:
            self._leave(fact.task).failed += 1

    def _waits(self, fact: ev.EffectStarted, at: int) -> None:
        active = self._active.get(fact.task)
        if active is not None and fact.wait:
            active.wait, active.due = fact.kind, fact.due

    def _answered(self, fact: ev.EffectFinished, at: int) -> None:
        if fact.cost:
            self.cost += float(fact.cost)

    def _paused(self, fact: ev.RunPaused, at: int) -> None:
        self.paused = fact.node or fact.reason

    def _unpaused(self, fact: ev.RunUnpaused, at: int) -> None:
        self.paused = ""

    def _finished(self, fact: ev.RunFinished, at: int) -> None:
        self.state, self.status = fact.state, fact.status
        for task in list(self._active):
            self._leave(task).stopped += 1
