"""Planning: the milestones of a goal (K6), and on request the work on each of them as new tasks, for CodeGen.

Offline a goal is split where it splits itself: into items, lines or steps.
"""

from typing import Annotated

import msgspec

from clew.agents.code.roles.codegen import names_of
from clew.agents.code.roles.seat import MODEL, OFFLINE, Json, Payload, Question, Seat, task_for, understood
from clew.agents.code.roles.tree import placed, present, read
from clew.agents.planner import milestones_of
from clew.core.errors import Failure

MOST = 100
"""Milestones, and new tasks."""
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
    """``goal``: what is to be reached; ``target``: a file that it is about. ``handOn``: ask for the work itself, too: one new task
    for each file of each milestone, of the target where it names none. They are independent, and change no file."""

    goal: Annotated[str, msgspec.Meta(min_length=1, max_length=20_000)]
    target: str = ""
    hand_on: bool = msgspec.field(default=False, name="handOn")


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """``milestones``: ``{id, title}``, and ``done_when`` and ``files`` of a model, or ``due_in`` where the goal says "within …"."""

    method: str
    goal: str
    milestones: list[Json]
    summary: str
    new_tasks: list[Json] = msgspec.field(default_factory=list[Json], name="newTasks")


async def work(payload: Json, seat: Seat) -> Json:
    """Raises Failure: ``outside_root`` (a plan that leaves the repository), ``no_files`` (nothing says which files a milestone to
    be handed on is about), ``too_many``, and what the model fails with."""
    wanted = understood(Task, payload)
    told = await _asked(wanted, payload, seat) if wanted.model else _offline(wanted)
    if wanted.hand_on:
        told = msgspec.structs.replace(told, new_tasks=await _tasks(wanted, told.milestones, seat))
    return msgspec.to_builtins(told)


def _offline(wanted: Task) -> Planned:
    milestones = milestones_of(wanted.goal)
    return Planned(
        method=OFFLINE, goal=wanted.goal, milestones=milestones, summary=f"{len(milestones)} milestones"
    )  # fmt: skip


async def _asked(wanted: Task, payload: Json, seat: Seat) -> Planned:
    names = await seat.do("list", names_of, payload)
    text = (await seat.do("read", read, payload, [wanted.target]))[wanted.target] if wanted.target else None
    about = {"Goal": wanted.goal, "Python files": "\n".join(names), wanted.target: text}

    async def take(answer: Json, _left: int) -> Planned:
        milestones = [_checked(number, one) for number, one in enumerate(answer["milestones"], 1)]
        if wanted.hand_on:
            _work(wanted, milestones)
        return Planned(method=MODEL, goal=wanted.goal, milestones=milestones, summary=answer["summary"])

    mendable = ("outside_root", "forbidden_path", "no_files", "too_many")
    question = Question(agent="Planning", prompt="planning", about=about, schema=_ANSWER, mendable=mendable)
    return await seat.ask(wanted, question, take)


def _checked(number: int, one: Json) -> Json:
    return {"id": f"m{number}", **one, "files": [placed(path) for path in one["files"]]}


def _work(wanted: Task, milestones: list[Json]) -> list[tuple[Json, str]]:
    """Milestone and file of each task that is to come out of the plan."""
    target = [placed(wanted.target)] if wanted.target else []
    found: list[tuple[Json, str]] = []
    for one in milestones:
        files: list[str] = one.get("files") or target
        if not files:
            raise Failure(
                f"which files are to be changed for {one['title']!r} is not said: it cannot be handed on",
                code="no_files",
                hint="name a target, or a model",
            )
        found += [(one, path) for path in dict.fromkeys(files)]
    if len(found) > MOST:
        raise Failure(f"{len(found)} tasks would come out of this plan, more than {MOST}", code="too_many")
    return found


async def _tasks(wanted: Task, milestones: list[Json], seat: Seat) -> list[Json]:
    work = _work(wanted, milestones)
    paths = sorted({path for _, path in work})
    there = await seat.do("present", present, msgspec.to_builtins(wanted), paths)
    plan = "\n".join(f"{one['id']}: {one['title']}" for one in milestones)
    return [
        task_for(
            "CodeGen",
            wanted,
            action="modify" if path in there else "create",
            target=path,
            instructions=f"{one['title']}\nDone when: {one['done_when']}" if "done_when" in one else one["title"],
            material={"Goal": wanted.goal, "Plan": plan},
        )
        for one, path in work
    ]
