"""Planning: the milestones of a goal (K6). Offline a goal is split where it splits itself: into items, lines or steps."""

from typing import Annotated

import msgspec

from clew.agents.code.roles.codegen import names_of
from clew.agents.code.roles.seat import MODEL, OFFLINE, Json, Payload, Seat, correction, opening, understood
from clew.agents.code.roles.tree import placed, read
from clew.agents.planner import milestones_of
from clew.core.errors import Failure

CORRECTIONS = 2
MOST = 100
_TEXT: Json = {"type": "string", "minLength": 1, "maxLength": 2000}
_ANSWER: Json = {
    "type": "object",
    "properties": {
        "summary": {"type": "string"},
        "milestones": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST,
            "items": {
                "type": "object",
                "properties": {
                    "title": _TEXT,
                    "done_when": _TEXT,
                    "files": {"type": "array", "items": _TEXT, "maxItems": 50},
                },
                "required": ["title", "done_when", "files"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["summary", "milestones"],
    "additionalProperties": False,
}


class Task(Payload, frozen=True, kw_only=True):
    """``goal``: what is to be reached; ``target``: a file that it is about."""

    goal: Annotated[str, msgspec.Meta(min_length=1, max_length=20_000)]
    target: str = ""


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """``milestones``: ``{id, title}``, and ``done_when`` and ``files`` of a model, or ``due_in`` where the goal says "within …"."""

    method: str
    goal: str
    milestones: list[Json]
    summary: str


async def work(payload: Json, seat: Seat) -> Json:
    """Raises Failure: ``outside_root`` (a plan that leaves the repository), and what the model fails with."""
    wanted = understood(Task, payload)
    if not wanted.model:
        milestones = milestones_of(wanted.goal)
        told = Planned(method=OFFLINE, goal=wanted.goal, milestones=milestones, summary=f"{len(milestones)} milestones")
        return msgspec.to_builtins(told)
    names = await seat.do("list", names_of, payload)
    text = (await seat.do("read", read, payload, [wanted.target]))[wanted.target] if wanted.target else None
    sections = {"Goal": wanted.goal, "Python files": "\n".join(names), wanted.target: text}
    messages = opening("planning", sections)
    for left in reversed(range(CORRECTIONS + 1)):
        answer = await seat.ask(wanted.model, messages, _ANSWER)
        try:
            milestones = [_checked(number, one) for number, one in enumerate(answer["milestones"], 1)]
        except Failure as wrong:
            if not left:
                raise
            messages = [*messages, *correction(answer, wrong.message)]
            continue
        told = Planned(method=MODEL, goal=wanted.goal, milestones=milestones, summary=answer["summary"])
        return msgspec.to_builtins(told)
    raise AssertionError("unreachable")


def _checked(number: int, one: Json) -> Json:
    return {"id": f"m{number}", **one, "files": [placed(path) for path in one["files"]]}
