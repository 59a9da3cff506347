"""Milestones of a run: what its planner may plan and mark, read from the recorded calls of two tools."""

from typing import Any, Literal, cast

import msgspec

from clew.core.errors import Failure
from clew.core.events import EffectFinished, Event
from clew.gate.effect import Effect, Outcome, failed
from clew.gate.interceptor import Call, Proceed

PLAN, MARK = "plan_milestones", "mark_milestone"
MOST_MS = 10 * 366 * 86_400_000
"""No milestone is due later than that after it was planned: ten years."""

State = Literal["planned", "started", "done", "dropped"]

MOVES: dict[State, tuple[State, ...]] = {"planned": ("started", "done", "dropped"), "started": ("done", "dropped")}
"""State -> what a milestone in it may be marked as. What was done or dropped stays so."""


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """One milestone as it was planned. ``due_in_ms``: from the time at which the plan was recorded; None: no hurry."""

    id: str
    title: str
    done_when: str = ""
    due_in_ms: int | None = None

    def due(self, planned: int) -> int | None:
        """When it is due, where it was planned at ``planned`` (ms since the epoch)."""
        return None if self.due_in_ms is None else planned + min(max(self.due_in_ms, 0), MOST_MS)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Milestones that join those planned before. Output of ``plan_milestones``."""

    goal: str
    milestones: tuple[Planned, ...]


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A milestone's new state. Output of ``mark_milestone``."""

    id: str
    state: State
    note: str = ""


def may_become(state: State | None, wanted: str) -> bool:
    """Calls of one turn are made together, so what each of them was allowed is looked at again in the order of the record."""
    return state is not None and wanted in MOVES.get(state, ())


def change_of(fact: EffectFinished, payload: Any) -> Plan | Mark | None:
    """What a recorded effect changed about the milestones. None: nothing, or its payload was erased."""
    if fact.kind != "tool" or fact.status != "ok" or fact.name not in (PLAN, MARK) or not isinstance(payload, dict):
        return None
    output = cast("dict[str, Any]", payload).get("output")
    try:
        return msgspec.convert(output, Plan) if fact.name == PLAN else msgspec.convert(output, Mark)
    except msgspec.ValidationError:  # a fork may have been given any output
        return None


class Milestones:
    """Refuses to plan an id twice, and to mark what was not planned or has ended. The agent reads why and corrects itself."""

    name = "milestones"

    async def around(self, effect: Effect, call: Call, proceed: Proceed) -> Outcome:
        asked: Any = effect.request
        if effect.kind == "tool" and effect.name in (PLAN, MARK) and isinstance(asked, dict):
            request = cast("dict[str, Any]", asked)
            known: dict[str, State] = call.state(self.name) or {}
            refusal = _twice(request, known) if effect.name == PLAN else _cannot(request, known)
            if refusal is not None:
                return failed(refusal)
        return await proceed(effect)

    def fold(self, state: Any, event: Event) -> Any:
        """Id -> state of every milestone of the run."""
        change = change_of(event.fact, event.payload) if isinstance(event.fact, EffectFinished) else None
        if change is None:
            return state
        known: dict[str, State] = state or {}
        if isinstance(change, Mark):
            return {**known, change.id: change.state} if may_become(known.get(change.id), change.state) else known
        return {**dict.fromkeys((m.id for m in change.milestones), "planned"), **known}


def _twice(request: dict[str, Any], known: dict[str, State]) -> Failure | None:
    wanted: Any = request.get("milestones")
    items = cast("list[Any]", wanted) if isinstance(wanted, list) else []
    ids = [cast("dict[str, Any]", item).get("id") for item in items if isinstance(item, dict)]
    again = [str(name) for name in ids if isinstance(name, str) and name in known]
    if not again:
        return None
    hint = "mark it instead, or choose another id"
    return Failure(f"planned already: {', '.join(again)}", code="duplicate_milestone", hint=hint)


def _cannot(request: dict[str, Any], known: dict[str, State]) -> Failure | None:
    name, wanted = request.get("id"), request.get("state")
    if not isinstance(name, str) or not isinstance(wanted, str):
        return None  # the tool says what is wrong with its arguments
    if name not in known:
        planned = ", ".join(known) or "none"
        hint = "what is planned in the same turn is not known yet"
        return Failure(f"no milestone {name!r} was planned (planned: {planned})", code="unknown_milestone", hint=hint)
    if may_become(known[name], wanted):
        return None
    if known[name] in MOVES:
        return Failure(f"milestone {name!r} is {known[name]} already", code="milestone_state")
    return Failure(
        f"milestone {name!r} is {known[name]}; that is final", code="milestone_ended", hint="plan another one"
    )
