"""Replay: walk a recorded run again without performing anything, and point at the first divergence (R3)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from clew.core import events as ev
from clew.core.commands import FinishRun, RunNode
from clew.core.errors import ClewError, IllegalMove, NonDeterminism
from clew.core.events import Event, Principal
from clew.core.identity import body_key, digest
from clew.core.machine import Machine
from clew.core.states import ENDED
from clew.gate.door import Door, Local
from clew.gate.effect import Effect, Outcome
from clew.gate.ports.journal import Record
from clew.manifest.compiled import Plan
from clew.runtime.body import Body
from clew.runtime.handlers import Handlers
from clew.runtime.project import Project
from clew.runtime.record import History
from clew.service.inspect import origin_of
from clew.service.runs import world_of
from clew.service.wiring import Workspace

_FROM_OUTSIDE = frozenset({"timeout", "crashed", "error"})
"""Codes of failures that are not the agent's doing, or name lines of this installation's files."""


class Divergence(msgspec.Struct, frozen=True):
    """Where the record and the rules part: event ``seq`` and why."""

    seq: int
    message: str


class ReplayReport(msgspec.Struct, frozen=True, kw_only=True):
    """``verdict``: identical, diverged, erased, or unfinished (all right so far, the run has not ended).

    ``trace``: digest over the tasks' own streams in task order, without times and sequence numbers: equal for equal behaviour.
    """

    run: str
    verdict: str
    events: int
    bodies: int
    effects: int
    handlers: bool
    trace: str
    divergence: Divergence | None = None


async def replay(workspace: Workspace, run: str, *, handlers: bool = False) -> ReplayReport:
    """Verify one run: the machine's moves, and the agents' bodies, whose effects are answered from the journal.

    ``handlers``: enter every other body again too, with the project's handlers as they are now.
    """
    records = await workspace.journal.read(run)
    erased = next((r for r in records if r.erased), None)
    divergence: Divergence | None = None
    if erased is not None:
        divergence = Divergence(erased.seq, "the payload was erased")
        return _report(run, records, "erased", divergence, handlers=handlers)
    if handlers:
        project = (await world_of(workspace, run)).project
    else:
        project = await _recorded(workspace, origin_of(records).plan)
    plan = project.plan
    machine = Machine(plan.graph, origin_of(records).start)
    history = History(r.event for r in records)
    for record in records:
        try:
            wanted = _expected(machine, record.event)
            command = _entered(machine, record.event, plan, handlers=handlers)
            machine.apply(record.event)
            if wanted is not None and wanted.payload != record.event.payload:
                divergence = Divergence(
                    record.seq, f"the run ended with {record.event.payload}, by its record {wanted.payload}"
                )
            elif command is not None:
                divergence = await _reenter(project, history, command, records, record.seq)
        except IllegalMove as error:
            divergence = Divergence(record.seq, str(error))
        if divergence is not None:
            return _report(run, records, "diverged", divergence, handlers=handlers)
    return _report(run, records, "identical" if machine.state in ENDED else "unfinished", None, handlers=handlers)


def trace_digest(records: Sequence[Record]) -> str:
    """Digest over each task's stream, in task order: what was done, not when, nor in which interleaving."""
    streams: dict[str, list[Any]] = {}
    for record in records:
        fact = record.event.fact
        if isinstance(fact, ev.NodeCompleted | ev.NodeFailed):
            code = fact.code if isinstance(fact, ev.NodeFailed) else ""
            streams.setdefault(fact.task, []).append([fact.node, fact.attempt, code, record.event.payload])
        elif isinstance(fact, ev.EffectFinished) and fact.kind != "clock":
            payload: dict[str, Any] = record.event.payload or {}
            streams.setdefault(fact.task, []).append([fact.key, fact.digest, fact.status, payload.get("output")])
        elif isinstance(fact, ev.RunFinished):
            streams.setdefault("", []).append([fact.state, fact.status, record.event.payload])
    ordered = [[task, sorted(stream, key=_stable)] for task, stream in sorted(streams.items())]
    return digest(ordered)


def _stable(entry: list[Any]) -> str:
    return digest(entry)


def _report(
    run: str, records: Sequence[Record], verdict: str, divergence: Divergence | None, *, handlers: bool
) -> ReplayReport:
    facts = [r.event.fact for r in records]
    return ReplayReport(
        run=run,
        verdict=verdict,
        events=len(records),
        bodies=sum(isinstance(f, ev.NodeCompleted | ev.NodeFailed) for f in facts),
        effects=sum(isinstance(f, ev.EffectFinished) for f in facts),
        handlers=handlers,
        trace=trace_digest(records),
        divergence=divergence,
    )


def _expected(machine: Machine, event: Event) -> FinishRun | None:
    if not isinstance(event.fact, ev.RunFinished):
        return None
    commands = machine.decide(machine.opened)
    return next((c for c in commands if isinstance(c, FinishRun)), None)


async def _recorded(workspace: Workspace, address: str) -> Project:
    """The plan alone: enough to enter agents again, wherever the project's directory is."""
    plan = await workspace.recorded_plan(address)
    handlers = Handlers(Path())
    return Project(plan, address, handlers, workspace.threads, workspace.tool_specs(plan, handlers))


def _entered(machine: Machine, event: Event, plan: Plan, *, handlers: bool) -> RunNode | None:
    """The body to enter again for a fact that ended it."""
    fact = event.fact
    if not isinstance(fact, ev.NodeCompleted | ev.NodeFailed):
        return None
    agent = plan.nodes[fact.node].agent is not None
    if isinstance(fact, ev.NodeFailed) and (not agent or fact.code in _FROM_OUTSIDE):
        return None
    task = machine.tasks.get(fact.task) if agent or handlers else None
    return RunNode(task.id, task.node, task.attempt, task.entry, task.input) if task else None


async def _reenter(
    project: Project, history: History, command: RunNode, records: Sequence[Record], seq: int
) -> Divergence | None:
    """Run one body again, answered from the journal, and compare what it gives."""
    if project.plan.nodes[command.node].effects == "external":
        return None
    host = _ReplayHost(project, history, records)
    event = await Body(host, command).finish()
    recorded = records[seq - 1].event
    if event is None or event.fact != recorded.fact:
        said: dict[str, Any] = (event.payload if event and isinstance(event.fact, ev.NodeFailed) else None) or {}
        now = said.get("message") or (
            "it completes" if event and isinstance(event.fact, ev.NodeCompleted) else "it waits"
        )
        return Divergence(seq, f"{_name(command)} was recorded as {_ended(recorded)}, now: {now}")
    if event.payload != recorded.payload:
        return Divergence(seq, f"{_name(command)} gave {_brief(recorded.payload)}, now {_brief(event.payload)}")
    return None


def _ended(event: Event) -> str:
    return "completed" if isinstance(event.fact, ev.NodeCompleted) else f"failed ({getattr(event.fact, 'code', '')})"


def _name(command: RunNode) -> str:
    return body_key(command.task, command.node, command.attempt)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 300 else text[:300] + "…"


class _ReplayHost:
    """A host that performs nothing: what the journal does not hold is a divergence."""

    def __init__(self, project: Project, history: History, records: Sequence[Record]) -> None:
        origin = origin_of(records)
        self.run, self.seed, self.mode = origin.run, origin.seed, origin.mode
        self.principal: Principal = origin.principal
        self.session = origin.principal.session
        self.project = project
        self._history = history
        self._at = records[0].event.at
        self._door = Door(self, (), {})

    def now(self) -> int:
        return self._at

    async def perform(self, effect: Effect, local: Local | None) -> Outcome:
        if self._history.finished(effect.key) is None:
            raise NonDeterminism(
                f"asks for {effect.kind} {effect.name!r} ({effect.key}), which the record does not hold"
            )
        return await self._door.perform(effect, local)

    def recorded(self, key: str) -> Event | None:
        return self._history.finished(key)

    finished = recorded

    def started(self, key: str) -> Event | None:
        return self._history.started(key)

    def state(self, interceptor: str) -> Any:
        del interceptor

    async def record(self, event: Event) -> None:
        raise ClewError(f"a replay records nothing: {event.fact}")

    def revise(self, effect: Effect) -> bool:
        del effect
        return False

    def cut(self, task: str) -> bool:
        del task
        return False

    def buffer(self, event: Event) -> None:
        raise NonDeterminism(f"reads the clock where the record does not: {event.fact}")

    def used_ms(self, key: str) -> int:
        del key
        return 0
