"""CodeGen: one file created or changed, as little as the task needs, checked before anybody sees it (K6).

With a model it is written from the instructions. Offline the content may be given, or is found by search where the task is a
function with a signature and examples; anything else is refused with ``offline_cannot``.
"""

from typing import Annotated, Literal

import msgspec

from clew.agents.code import interpreter as interpreters
from clew.agents.code import workspace
from clew.agents.code.roles.seat import MODEL, OFFLINE, Json, Payload, Question, Seat, understood
from clew.agents.code.roles.stubs import stub_in, written
from clew.agents.code.roles.syntax import checked
from clew.agents.code.roles.tree import delta, placed, python_files, read
from clew.core.errors import Failure
from clew.gate.ports.sandbox import SandboxBackend

SEARCH_S = 45.0
_NAMES = 300
ANSWER: Json = {
    "type": "object",
    "properties": {
        "summary": {"type": "string"},
        "content": {"type": "string"},
        "edits": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"old": {"type": "string", "minLength": 1}, "new": {"type": "string"}},
                "required": ["old", "new"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["summary"],
    "additionalProperties": False,
}


class Task(Payload, frozen=True, kw_only=True):
    """``target``: path of the file; ``content``: all of its new text; ``instructions``: else what is to be done.

    ``material``: what the instructions speak of, by title, shown to the model and to nobody else."""

    action: Literal["create", "modify"]
    target: Annotated[str, msgspec.Meta(min_length=1)]
    instructions: str = ""
    content: str | None = None
    material: dict[str, str] = msgspec.field(default_factory=dict[str, str])


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """``changes``: what was laid over the repository, with this; ``syntax``: what was checked, and by which interpreter."""

    method: str
    action: str
    target: str
    delta: Json
    changes: dict[str, str]
    syntax: Json


async def work(payload: Json, seat: Seat) -> Json:
    """Raises Failure: ``exists``, ``not_found``, ``no_change``, ``invalid_code``, ``misfit`` (an edit that does not fit),
    ``offline_cannot``, those of ``tree.placed``, and what the model fails with."""
    wanted = understood(Task, payload)
    target = placed(wanted.target)
    before = (await seat.do("read", read, payload, [target]))[target]
    if wanted.action == "create" and before is not None:
        raise Failure(f"{target} is there already", code="exists", hint="use the action modify")
    if wanted.action == "modify" and before is None:
        raise Failure(f"there is no {target}", code="not_found", hint="use the action create")
    if wanted.content is not None:
        method, (after, summary, syntax) = OFFLINE, await _given(wanted, before, seat)
    elif wanted.model:
        method, (after, summary, syntax) = MODEL, await _written(wanted, before, seat)
    else:
        method, (after, summary, syntax) = OFFLINE, await _found(wanted, before, seat)
    written = Written(
        method=method,
        action=wanted.action,
        target=target,
        delta=delta(target, before, after, summary),
        changes={**wanted.changes, target: after},
        syntax=syntax,
    )
    return msgspec.to_builtins(written)


Made = tuple[str, str, Json]
"""Text, summary, what was checked."""


async def _given(wanted: Task, before: str | None, seat: Seat) -> Made:
    after = wanted.content or ""
    if after == before:
        raise Failure(f"{wanted.target} has this content already", code="no_change")
    return after, f"{wanted.action} {wanted.target} as given", await checked(seat, wanted, {wanted.target: after})


async def _written(wanted: Task, before: str | None, seat: Seat) -> Made:
    names = await seat.do("list", names_of, msgspec.to_builtins(wanted))
    about = {
        "Task": wanted.instructions,
        "Action": f"{wanted.action} {wanted.target}",
        "File": before,
        **wanted.material,
        "Python files": "\n".join(names),
    }
    mendable = ("misfit", "invalid_code", "no_change")

    async def take(answer: Json, _left: int) -> Made:
        after = edited(before, answer)
        return after, answer["summary"], await checked(seat, wanted, {wanted.target: after})

    question = Question(agent="CodeGen", prompt="codegen", about=about, schema=ANSWER, mendable=mendable)
    return await seat.ask(wanted, question, take)


async def _found(wanted: Task, before: str | None, seat: Seat) -> Made:
    """The smallest expression that gives what the examples say."""
    stub = stub_in(wanted.instructions, before or "")
    spec: Json = {name: getattr(stub, name) for name in ("parameters", "rows", "wants", "constants")}
    told = await seat.do("synthesise", synthesise, msgspec.to_builtins(wanted), spec)
    expression = told.get("expression")
    if not expression:
        raise Failure(
            f"{stub.name} was not found in {told['tried']} expressions ({told['reason']}): a model is needed",
            code="offline_cannot",
            hint="name a model",
        )
    after = written(stub, expression, before)
    summary = (
        f"{stub.name}, the smallest of {told['tried']} expressions that fits its {len(stub.wants)} examples: read it"
    )
    return after, summary, await checked(seat, wanted, {wanted.target: after})


async def synthesise(backend: SandboxBackend, payload: Json, spec: Json) -> Json:
    """The job: ``{expression, tried}`` or ``{reason, tried}``."""
    wanted = understood(Payload, payload)
    repo = workspace.repository(wanted.repo)
    interpreter = await interpreters.inspect(backend, repo, wanted.python)
    task = workspace.Task("synthesis", {**spec, "wall": SEARCH_S}, SEARCH_S + 20)
    return await workspace.run(backend, repo, interpreter, task)


def names_of(_backend: SandboxBackend, payload: Json) -> list[str]:
    """The job: paths of the repository's Python files, the first of them."""
    return python_files(understood(Payload, payload))[:_NAMES]


def edited(before: str | None, answer: Json) -> str:
    """The text with a model's edits, or its content. Raises Failure: ``misfit``, ``no_change``."""
    edits: list[dict[str, str]] = answer.get("edits") or []
    after = answer["content"] if answer.get("content") else before or ""
    if edits and answer.get("content"):
        raise Failure("there are both `content` and `edits`: give one of them", code="misfit")
    if not edits and not answer.get("content"):
        raise Failure("there is neither `content` nor `edits`", code="misfit")
    for number, edit in enumerate(edits, 1):
        times = after.count(edit["old"])
        if times != 1:
            why = "does not occur in the file" if not times else f"occurs {times} times in the file"
            raise Failure(f"edit {number}: `old` {why}", code="misfit", details=edit)
        after = after.replace(edit["old"], edit["new"])
    if after == before:
        raise Failure("the file stays as it is", code="no_change")
    return after
