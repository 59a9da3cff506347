"""``plan_milestones`` and ``mark_milestone``: a plan and what came of it. The record of the calls is the plan, and all of it."""

from typing import Any

from clew.core.errors import Failure
from clew.gate.ports.tool import ToolContext, ToolSpec
from clew.manifest.quantities import DURATION, milliseconds
from clew.policies.milestones import MARK, MOST_MS, PLAN

_ID = {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"}
MOST = 100
"""Milestones of one call."""


class PlanMilestones:
    spec = ToolSpec(
        id=PLAN,
        description=(
            "Record the milestones of a goal, in the order in which they are to be reached. They join what this run planned "
            "before; ids are unique within the run. `due_in` is how long from now on, such as 30m, 4h or 2d; one that is not "
            "done by then is reported as late. Fails with duplicate_milestone or invalid_due."
        ),
        inputs={
            "type": "object",
            "properties": {
                "goal": {"type": "string", "minLength": 1, "maxLength": 4000},
                "milestones": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MOST,
                    "items": {
                        "type": "object",
                        "properties": {
                            "id": {**_ID, "description": "A short name, such as m1 or draft"},
                            "title": {"type": "string", "minLength": 1, "maxLength": 400},
                            "done_when": {
                                "type": "string",
                                "maxLength": 2000,
                                "description": "What must be true for it to be reached, so that another could check it",
                            },
                            "due_in": {"type": "string", "pattern": DURATION, "description": "Such as 30m, 4h or 2d"},
                        },
                        "required": ["id", "title"],
                        "additionalProperties": False,
                    },
                },
            },
            "required": ["goal", "milestones"],
            "additionalProperties": False,
        },
        outputs={
            "type": "object",
            "properties": {
                "goal": {"type": "string"},
                "milestones": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "id": {"type": "string"},
                            "title": {"type": "string"},
                            "done_when": {"type": "string"},
                            "due_in_ms": {"type": ["integer", "null"], "description": "From now on; null: no hurry"},
                        },
                        "required": ["id", "title", "done_when", "due_in_ms"],
                    },
                },
            },
            "required": ["goal", "milestones"],
        },
        risk="low",
        repeat_safe=True,
        mutates=False,
    )

    async def call(self, args: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        del context
        seen: set[str] = set()
        planned: list[dict[str, Any]] = []
        for item in args["milestones"]:
            if item["id"] in seen:
                raise Failure(f"milestone {item['id']!r} is given twice", code="duplicate_milestone")
            seen.add(item["id"])
            due = _due(item["id"], item.get("due_in"))
            entry = {"id": item["id"], "title": item["title"], "done_when": item.get("done_when", ""), "due_in_ms": due}
            planned.append(entry)
        return {"goal": args["goal"], "milestones": planned}


class MarkMilestone:
    spec = ToolSpec(
        id=MARK,
        description=(
            "Say that work on a planned milestone has started, that it is done, or that it was dropped. Done and dropped "
            "are final. Say done only after you have seen that it is, and what showed it in `note`. Fails with "
            "unknown_milestone, milestone_state or milestone_ended."
        ),
        inputs={
            "type": "object",
            "properties": {
                "id": _ID,
                "state": {"enum": ["started", "done", "dropped"]},
                "note": {"type": "string", "maxLength": 2000},
            },
            "required": ["id", "state"],
            "additionalProperties": False,
        },
        outputs={
            "type": "object",
            "properties": {"id": {"type": "string"}, "state": {"type": "string"}, "note": {"type": "string"}},
            "required": ["id", "state", "note"],
        },
        risk="low",
        repeat_safe=True,
        mutates=False,
    )

    async def call(self, args: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        del context
        return {"id": args["id"], "state": args["state"], "note": args.get("note", "")}


def _due(milestone: str, due_in: str | None) -> int | None:
    if due_in is None:
        return None
    ms = milliseconds(due_in)
    if not 0 < ms <= MOST_MS:
        when = "in the past: it is due before it is planned" if ms <= 0 else "more than ten years away"
        raise Failure(f"due_in {due_in!r} of milestone {milestone!r} is {when}", code="invalid_due")
    return ms
