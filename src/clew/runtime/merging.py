"""Merges in runs: a document that was made of an older version, written with what others made of it meanwhile.

Where both changed the same, an agent may settle it: it is asked by effects of its own, and the merge is performed again with what
it said. Everything is recorded, so a replay asks nobody. Where it fails, the conflict stays one, and nothing is written.
"""

from typing import Any

from clew.agents import loop
from clew.agents.merging import INSTRUCTIONS, SCHEMA, question, settled
from clew.core.errors import Failure
from clew.gate.effect import Effect, Outcome
from clew.runtime.agent import Performer, Seat
from clew.runtime.embedding import embedding_of
from clew.runtime.memory import memory_of
from clew.runtime.project import Project

QUESTIONS = 3
"""Of one merge: others may write, while the agent is asked, what is in conflict again."""
CONFLICT = "merge_conflict"

Json = dict[str, Any]


async def merged(project: Project, body: Performer, request: Json, agent: str | None, key: str) -> Json:
    """``{version, text, settled, by}`` of a ``merge`` request. ``agent``: None is the one that the memory section names.

    ``settled``: the conflicts, each with the ``text`` that stands there now and ``why``; ``by``: who settled them. Keys of effects
    begin with ``key``. Raises Failure: ``unknown_agent``, ``merge_conflict``, and what the driver raises.
    """
    name, document, done, number = _agent(project, agent), request["id"], dict[str, Json](), 0
    found: Json = {}
    while True:
        number += 1
        asked = request | ({"settled": {one: said["text"] for one, said in done.items()}} if done else {})
        try:
            found = (await body.perform(_effect(body, f"{key}merge{number}", "merge", asked))).value()
        except Failure as failure:
            if not done or failure.code != "invalid_request":
                raise
            raise _conflict(document, found, name, failure) from failure  # with what was settled it can be no document
        if "conflicts" not in found:
            used = [{field: value for field, value in done[one].items() if field != "name"} for one in found["settled"]]
            version = await _completed(project, body, request, found, key)
            return {"version": version, "text": found["text"], "settled": used, "by": name if used else ""}
        if not name:
            raise _conflict(document, found)
        if number > QUESTIONS:
            moved = Failure("others changed it again and again meanwhile", code="version_conflict")
            raise _conflict(document, found, name, moved)
        try:
            done |= await _settled(project, document, found, Seat(body, name, f"{key}ask{number}.", ("mutate",)))
        except Failure as failure:
            raise _conflict(document, found, name, failure) from failure


def _agent(project: Project, name: str | None) -> str:
    """Who settles conflicts; empty for nobody. Raises Failure(unknown_agent) for what is no agent with a model."""
    declared = memory_of(project.plan).merge
    if name is None:
        name = declared.agent if declared is not None else ""
    agents = [one for one, plan in project.plan.agents.items() if not plan.pool]
    if name and name not in agents:
        there = ", ".join(agents) or "none"
        raise Failure(f"there is no agent {name!a:.80} with a model (there are: {there})", code="unknown_agent")
    return name


async def _settled(project: Project, document: str, found: Json, seat: Seat) -> dict[str, Json]:
    """The conflicts by name, each with ``text`` and ``why``. Where the merge is forbidden, so is the question."""
    conflicts: list[Json] = found["conflicts"]
    if found["left"]:
        large = f"{found['left']} of {found['count']} are too large, or too many, for a question"
        raise Failure(large, code="too_large")
    job = loop.Job(
        name=seat.agent, agent=project.plan.agents[seat.agent], input=question(document, conflicts),
        instructions=INSTRUCTIONS, schema=SCHEMA,
    )  # fmt: skip
    said = settled(conflicts, await loop.run(job, seat))
    return {one["name"]: one | what for one, what in zip(conflicts, said, strict=True)}


async def _completed(project: Project, body: Performer, request: Json, found: Json, key: str) -> int:
    """The version with the vector and the relations that models make of its text, as a put has them; where that fails, or others
    were faster, the merge stands as it is."""
    plan, version = project.plan, found["version"]
    if not found["written"] or (embedding_of(plan) is None and memory_of(plan).extraction is None):
        return version
    document = {"id": request["id"], "text": found["text"], "metadata": found["metadata"], "expected": version}
    put: Json = {"scope": request["scope"], "documents": [document]}
    outcome: Outcome = await body.perform(_effect(body, f"{key}put", "put", put))
    return outcome.output["versions"][request["id"]] if outcome.error is None else version


def _effect(body: Performer, key: str, name: str, request: Json) -> Effect:
    return Effect(
        key=key, kind="context", name=name, request=request, task=body.task, node=body.node, run=body.run,
        repeat_safe=True, needs=("mutate",),
    )  # fmt: skip


def _conflict(document: str, found: Json, name: str = "", why: Failure | None = None) -> Failure:
    count = found["count"]
    message = f"{document!r} has {count} conflict{'s' if count != 1 else ''} with version {found['version']}"
    details = {field: found[field] for field in ("version", "conflicts", "count", "left")} | {"by": name}
    if why is not None:
        message += f", which {name!r} did not settle: {why}"
        details |= {"why": str(why), "code": why.code}
    return Failure(message, code=CONFLICT, details=details)
