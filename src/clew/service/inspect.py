"""Read a run back: what happened, in which order, why it went where it went, and the state at any event (W11, R3)."""

from collections.abc import Sequence
from typing import Any

import msgspec

from clew.core import events as ev
from clew.core.errors import Erased, UsageError
from clew.core.events import Event
from clew.core.machine import Machine
from clew.gate.ports.journal import Record, RunRow
from clew.manifest.compiled import Plan
from clew.service.wiring import Workspace


class EffectView(msgspec.Struct, kw_only=True):
    """One effect. ``status`` is ``open`` for a wait that is not answered, ``in doubt`` for an intent without outcome."""

    seq: int
    key: str
    kind: str
    name: str
    status: str
    at: int
    ms: int = 0
    cost: str = ""
    request: Any = None
    output: Any = None
    error: Any = None
    performed: Any = None
    notes: Any = None
    usage: dict[str, int] | None = None
    agent: str = ""
    by: str = ""


class NodeView(msgspec.Struct, kw_only=True):
    """One attempt of one node by one task. ``route``: where the task went, and by which label or rule."""

    seq: int
    task: str
    node: str
    role: str
    attempt: int
    entries: int = 1
    state: str = "running"
    started: int = 0
    ended: int | None = None
    input: Any = None
    output: Any = None
    error: Any = None
    route: str = ""
    effects: list[EffectView] = msgspec.field(default_factory=list[EffectView])


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run. ``tasks`` are the machine's own records of them."""

    run: RunRow
    workflow: str
    start: str
    mode: str
    input: Any
    output: Any
    error: Any
    origin: ev.RunStarted
    nodes: list[NodeView]
    tasks: list[dict[str, Any]]
    events: int
    at: int
    paused: str = ""


async def inspect(workspace: Workspace, run: str, at: int | None = None) -> Inspection:
    """The run as it stood after event ``at`` (None: now). Raises NotFound, UsageError for an event that is not there."""
    row = await workspace.journal.row(run)
    if at is not None and not 1 <= at <= row.head.seq:
        raise UsageError(f"run {run} has events 1 to {row.head.seq}, not {at}")
    records = await workspace.journal.read(run, 0, at)
    plan = await workspace.recorded_plan(row.plan)
    return fold(row, plan, records)


def origin_of(records: Sequence[Record]) -> ev.RunStarted:
    """The run's first fact. Raises UsageError where it is something else."""
    fact = records[0].event.fact if records else None
    if not isinstance(fact, ev.RunStarted):
        raise UsageError("a run begins with RunStarted")
    return fact


def fold(row: RunRow, plan: Plan, records: Sequence[Record]) -> Inspection:
    """Views from the events alone. What an erased payload hides is shown as None."""
    origin = origin_of(records)
    nodes: list[NodeView] = []
    builder = _Builder(plan, nodes)
    machine = Machine(plan.graph, origin.start)
    for record in records:
        before = _places(machine, record.event)
        machine.apply(record.event)
        builder.add(record, machine, before)
    first: dict[str, Any] = records[0].event.payload or {}
    return Inspection(
        run=row,
        workflow=origin.workflow,
        start=origin.start,
        mode=origin.mode,
        input=first.get("input"),
        output=machine.output,
        error=machine.error,
        origin=origin,
        nodes=nodes,
        tasks=[t.view() for t in machine.tasks.values()],
        events=row.head.seq,
        at=records[-1].seq,
        paused=machine.paused.node or machine.paused.reason if machine.paused else "",
    )


def check_readable(records: Sequence[Record]) -> None:
    """Raises Erased where a payload that folding needs is gone."""
    for record in records:
        if record.erased:
            raise Erased(f"run {record.run}: the payload of event {record.seq} was erased")


def _places(machine: Machine, event: Event) -> tuple[int, str]:
    """How many tasks there are, and what ended before the event: routes are told by what it changes."""
    task = machine.tasks.get(getattr(event.fact, "task", ""))
    return len(machine.tasks), task.node if task else ""


class _Builder:
    def __init__(self, plan: Plan, nodes: list[NodeView]) -> None:
        self._roles = {n.id: n.role for n in plan.graph.nodes}
        self._labels = {(e.source, e.target): e.label for e in plan.graph.edges if e.label}
        self._failure = {(e.source, e.target) for e in plan.graph.edges if e.on_failure}
        self._nodes = nodes
        self._open: dict[str, NodeView] = {}
        self._effects: dict[str, EffectView] = {}

    def add(self, record: Record, machine: Machine, before: tuple[int, str]) -> None:
        fact = record.event.fact
        if isinstance(fact, ev.NodeStarted):
            self._started(record, fact, machine)
        elif isinstance(fact, ev.NodeCompleted | ev.NodeFailed | ev.NodeStopped):
            self._ended(record, fact, machine, before)
        elif isinstance(fact, ev.NodeSuspended):
            self._open[fact.task].state = "waiting"
        elif isinstance(fact, ev.EffectStarted):
            self._effect(record, fact, "open" if fact.wait else "in doubt")
        elif isinstance(fact, ev.EffectFinished):
            self._effect_ended(record, fact)

    def _started(self, record: Record, fact: ev.NodeStarted, machine: Machine) -> None:
        view = self._open.get(fact.task)
        if view is not None and (view.node, view.attempt) == (fact.node, fact.attempt):
            view.entries, view.state = fact.entry, "running"
            return
        view = NodeView(
            seq=record.seq, task=fact.task, node=fact.node, role=self._roles[fact.node], attempt=fact.attempt,
            started=record.event.at, input=machine.tasks[fact.task].input,
        )  # fmt: skip
        self._open[fact.task] = view
        self._nodes.append(view)

    def _ended(
        self,
        record: Record,
        fact: ev.NodeCompleted | ev.NodeFailed | ev.NodeStopped,
        machine: Machine,
        before: tuple[int, str],
    ) -> None:
        view = self._open[fact.task]
        view.ended = record.event.at
        if isinstance(fact, ev.NodeCompleted):
            view.state, view.output = "completed", record.event.payload
        elif isinstance(fact, ev.NodeStopped):
            view.state = "cancelled"
        else:
            payload: dict[str, Any] = record.event.payload or {}
            view.state = "failed"
            view.error = {"code": fact.code, **payload}
        if not isinstance(fact, ev.NodeStopped):
            view.route = self._route(fact.task, fact.node, machine, before)

    def _route(self, task: str, node: str, machine: Machine, before: tuple[int, str]) -> str:
        stands = machine.tasks[task]
        if stands.body == "backing_off":
            return f"again after a pause (attempt {stands.attempt} failed)"
        if self._roles[node] in ("branch", "split") and len(machine.tasks) > before[0]:
            children = [t for t in machine.tasks if t.rpartition(".")[0] == task and machine.tasks[t].source == node]
            if children:
                kind = "arms" if self._roles[node] == "branch" else "items"
                return f"{len(children)} {kind}: {children[0]} … {children[-1]}"
        if stands.node == node:
            return f"ends as {stands.status}" if stands.status else ""
        label = self._labels.get((node, stands.node))
        why = f" [{label}]" if label else " (on failure)" if (node, stands.node) in self._failure else ""
        return f"→ {stands.node}{why}"

    def _effect(self, record: Record, fact: ev.EffectStarted | ev.EffectFinished, status: str) -> EffectView:
        view = EffectView(
            seq=record.seq, key=fact.key, kind=fact.kind, name=fact.name, status=status, at=record.event.at,
            request=record.event.payload if isinstance(fact, ev.EffectStarted) else None,
        )  # fmt: skip
        self._effects[fact.key] = view
        if fact.task in self._open:
            self._open[fact.task].effects.append(view)
        return view

    def _effect_ended(self, record: Record, fact: ev.EffectFinished) -> None:
        view = self._effects.get(fact.key) or self._effect(record, fact, fact.status)
        payload: dict[str, Any] = record.event.payload or {}
        view.status, view.ms, view.cost = fact.status, fact.ms, fact.cost
        view.usage, view.agent, view.by = fact.usage, fact.agent, fact.by
        view.request = payload.get("request", view.request)
        view.output, view.error = payload.get("output"), payload.get("error")
        view.performed, view.notes = payload.get("performed"), payload.get("notes")
