"""Fork: a causal cut of events 1..N into a new run, edited at N or in the manifests (R3).

Events of a run are in one order, so a prefix is a causal cut: nothing in it depends on anything outside. Finished nodes are
kept, unfinished bodies are entered again and reuse their effects up to the first request that differs.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from clew.core import events as ev
from clew.core.errors import Conflict, IllegalMove, UsageError
from clew.core.events import Event, ForkOf
from clew.core.machine import Machine
from clew.core.states import ENDED
from clew.gate.ports.journal import Append, Record
from clew.manifest.compare import compare
from clew.manifest.compiled import Plan
from clew.runtime.host import Debugger, Host, Surroundings
from clew.runtime.record import FORKED, PAID
from clew.service.inspect import check_readable, origin_of
from clew.service.runs import cancel, new_id, note, world_of
from clew.service.wiring import Workspace

_UNFINISHED = ("pending", "running", "suspended", "backing_off")
"""Bodies that a fork enters: not those of tasks that wait for their members, or at a merge."""


class ForkRequest(msgspec.Struct, frozen=True, kw_only=True):
    """``at``: the last event taken. ``sets``: dotted path -> value in event N's content ("" replaces it whole).

    ``plan``: other manifests, with their directory.
    """

    run: str
    at: int
    sets: dict[str, Any] = {}
    plan: Plan | None = None
    directory: Path | None = None


class Preflight(msgspec.Struct, frozen=True, kw_only=True):
    """What a fork keeps and what it will do. ``changes``: how the manifests differ."""

    parent: str
    at: int
    hash: str
    kept_nodes: tuple[str, ...]
    reused_effects: tuple[str, ...]
    entered_again: tuple[str, ...]
    performed_anew: tuple[str, ...]
    changes: tuple[str, ...]


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A fork that is ready to be made: ``events`` are the new run's, without its id."""

    preflight: Preflight
    events: tuple[Event, ...]
    world: Any


async def prepare(workspace: Workspace, request: ForkRequest) -> Prepared:
    """Cut and edit, and see that the result can be. Raises UsageError, Erased, or Conflict where the manifests do not fit."""
    records = await workspace.journal.read(request.run)
    if not 1 <= request.at <= len(records):
        raise UsageError(f"run {request.run} has events 1 to {len(records)}, not {request.at}")
    check_readable(records[: request.at])
    parent = await workspace.recorded_plan(origin_of(records).plan)
    if request.plan is not None:
        world = await workspace.world(request.plan, request.directory or Path())
    else:
        world = await world_of(workspace, request.run)
    cut = [r for r in records[: request.at] if _taken(r.event, records[: request.at])]
    if not cut or cut[-1].seq != request.at:
        kind = type(records[request.at - 1].event.fact).__name__
        raise UsageError(
            f"event {request.at} ({kind}) is no place to fork at", hint="clew show RUN --events lists the others"
        )
    events = [_unpaid(r.event) for r in cut]
    events[-1] = _edited(events[-1], request.sets)
    events[0] = _origin(events[0], records[request.at - 1], world)
    machine = _fold(world.project.plan, events)
    if machine.state in ENDED:
        raise UsageError(f"run {request.run} had ended by event {request.at}: there is nothing left to do")
    events.append(Event(ev.Noted(name=FORKED), None, events[-1].at))
    if _driven(events):
        events.append(Event(ev.DriverStopped(reason="fork"), None, events[-1].at))
    changes = tuple(str(c) for c in compare(parent, world.project.plan))
    preflight = _preflight(request, records, cut, machine, changes)
    return Prepared(preflight=preflight, events=tuple(events), world=world)


async def fork(workspace: Workspace, prepared: Prepared, debugger: Debugger | None = None) -> Host:
    """Make the fork and drive it."""
    run = await create(workspace, prepared)
    return await workspace.scheduler.adopt(run, prepared.world, debugger)


async def create(workspace: Workspace, prepared: Prepared) -> str:
    """Make the fork without driving it; returns its id."""
    run = new_id(workspace.clock.now())
    first = prepared.events[0]
    origin = msgspec.structs.replace(first.fact, run=run)
    events = [Event(origin, first.payload, workspace.clock.now()), *prepared.events[1:]]
    await workspace.journal.append(Append(run=run, expected=0, events=events, epoch=0, state="queued"))
    return run


async def promote(workspace: Workspace, run: str, by: str) -> None:
    """Say that the fork stands in its parent's place. Recorded in both journals."""
    parent = await _parent(workspace, run)
    await note(workspace, run, "promoted", by, {"over": parent})
    await note(workspace, parent, "superseded", by, {"by": run})


async def discard(workspace: Workspace, run: str, by: str) -> None:
    """Say that the fork is not wanted; one that still runs is cancelled."""
    await _parent(workspace, run)
    row = await workspace.journal.row(run)
    if row.state not in ENDED:
        host = await cancel(workspace, run, "fork discarded", by)
        if host is not None:
            await host.ended.wait()
    await note(workspace, run, "discarded", by)


async def _parent(workspace: Workspace, run: str) -> str:
    origin = origin_of(await workspace.journal.read(run, 0, 1))
    if origin.fork_of is None:
        raise UsageError(f"run {run} is no fork")
    return origin.fork_of.run


def _taken(event: Event, before: Sequence[Record]) -> bool:
    """Everything of the prefix but what was in flight at the cut: it is performed anew, not left in doubt."""
    fact = event.fact
    if isinstance(
        fact, ev.RunFinished | ev.PayloadsErased | ev.Noted | ev.StopRequested | ev.RunPaused | ev.RunUnpaused
    ):
        return False
    if not isinstance(fact, ev.EffectStarted) or fact.wait:
        return True
    finished = (r.event.fact for r in before)
    return any(isinstance(f, ev.EffectFinished) and f.key == fact.key for f in finished)


def _unpaid(event: Event) -> Event:
    """What an effect cost was paid by the parent, once; its payload keeps it for the body, which counts what it spent."""
    fact = event.fact
    if not isinstance(fact, ev.EffectFinished) or not (fact.cost or fact.usage):
        return event
    payload: dict[str, Any] = {**(event.payload or {}), PAID: {"cost": fact.cost, "usage": fact.usage}}
    return Event(msgspec.structs.replace(fact, cost="", usage=None), payload, event.at)


def _origin(event: Event, last: Record, world: Surroundings) -> Event:
    fact = event.fact
    if not isinstance(fact, ev.RunStarted):
        raise UsageError("a run begins with RunStarted")
    payload = dict(event.payload or {}, project=str(world.project.directory))
    parent = ForkOf(fact.run, last.seq, last.hash)
    changed = {"plan": world.project.address, "fork_of": parent, "idempotency": "", "parent": "", "deadline": None}
    return Event(msgspec.structs.replace(fact, **changed), payload, event.at)


def _edited(event: Event, sets: dict[str, Any]) -> Event:
    """Event N with its content changed: a run's input, a node's output, an effect's outcome."""
    if not sets:
        return event
    fact = event.fact
    payload: Any = event.payload
    if isinstance(fact, ev.RunStarted):
        changed: Any = {**payload, "input": _set_all(payload.get("input"), sets)}
    elif isinstance(fact, ev.NodeCompleted):
        changed = _set_all(payload, sets)
    elif isinstance(fact, ev.EffectFinished):
        changed = {k: v for k, v in payload.items() if k != "error"} | {"output": _set_all(payload.get("output"), sets)}
        fact = msgspec.structs.replace(fact, status="ok")
    else:
        raise UsageError(
            f"{type(fact).__name__} has no content to set", hint="fork at RunStarted, NodeCompleted or EffectFinished"
        )
    return Event(fact, changed, event.at)


def _set_all(value: Any, sets: dict[str, Any]) -> Any:
    for path, new in sets.items():
        value = _set(value, [p for p in path.split(".") if p], new, path)
    return value


def _set(value: Any, path: Sequence[str], new: Any, whole: str) -> Any:
    """A copy of ``value`` with the place at ``path`` replaced. Raises UsageError for a place that is not there."""
    if not path:
        return new
    head, rest = path[0], path[1:]
    if isinstance(value, dict):
        mapping: dict[str, Any] = {**value}
        mapping[head] = _set(mapping.get(head), rest, new, whole)
        return mapping
    if isinstance(value, list) and head.isdecimal() and int(head) < len(cast("list[Any]", value)):
        items: list[Any] = list(cast("list[Any]", value))
        items[int(head)] = _set(items[int(head)], rest, new, whole)
        return items
    if value is None:
        return {head: _set(None, rest, new, whole)}
    kind = type(cast("object", value)).__name__
    raise UsageError(f"--set {whole}: there is no place {head!r} in a {kind}")


def _fold(plan: Plan, events: Sequence[Event]) -> Machine:
    origin = events[0].fact
    start = origin.start if isinstance(origin, ev.RunStarted) else ""
    if start not in {n.id for n in plan.graph.nodes}:
        raise Conflict(f"the manifests have no start {start!r} any more")
    machine = Machine(plan.graph, start)
    for i, event in enumerate(events):
        try:
            machine.apply(event)
        except (IllegalMove, KeyError) as error:
            raise Conflict(
                f"event {i + 1} of the cut ({type(event.fact).__name__}) cannot be under these manifests: {error}",
                hint="fork at an earlier event",
            ) from None
    return machine


def _driven(events: Sequence[Event]) -> bool:
    drivers = [e.fact for e in events if isinstance(e.fact, ev.DriverStarted | ev.DriverStopped)]
    return bool(drivers) and isinstance(drivers[-1], ev.DriverStarted)


def _preflight(
    request: ForkRequest, records: Sequence[Record], cut: Sequence[Record], machine: Machine, changes: tuple[str, ...]
) -> Preflight:
    kept = [r.event.fact for r in cut]
    finished = [f for f in kept if isinstance(f, ev.NodeCompleted | ev.NodeFailed)]
    again = [f"{t.id}/{t.node}" for t in machine.tasks.values() if t.body in _UNFINISHED and t.arrival is None]
    bodies = {f"{t.id}/{t.node}#" for t in machine.tasks.values() if t.body in _UNFINISHED}
    reused = [f.key for f in kept if isinstance(f, ev.EffectFinished) and any(f.key.startswith(b) for b in bodies)]
    later = [r.event.fact for r in records[request.at :]]
    anew = [f"{f.kind} {f.name} ({f.key})" for f in later if isinstance(f, ev.EffectFinished) and f.kind != "clock"]
    return Preflight(
        parent=request.run,
        at=request.at,
        hash=records[request.at - 1].hash,
        kept_nodes=tuple(f"{f.task}/{f.node}#{f.attempt}" for f in finished),
        reused_effects=tuple(reused),
        entered_again=tuple(again),
        performed_anew=tuple(anew),
        changes=changes,
    )
