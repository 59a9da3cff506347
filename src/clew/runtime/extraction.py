"""Relations in runs: where a project names an agent that reads documents, it reads each one before it is put, by effects of its
own, which are recorded. Where that fails the document is put all the same, with the relations that rules find."""

from typing import Any, cast

from clew.agents import loop
from clew.agents.extraction import INSTRUCTIONS, MOST_READ, SCHEMA, relations_of
from clew.core.errors import Failure
from clew.gate.effect import Effect
from clew.gate.ports.context import Extracted
from clew.runtime.agent import Performer, Seat
from clew.runtime.memory import memory_of
from clew.runtime.project import Project

LEAST = 30
"""Characters that are worth a question."""


async def extracted(project: Project, body: Performer, effect: Effect) -> tuple[Extracted, ...]:
    """What the agent read, of those documents of a put that it was asked about; empty for any other effect."""
    if (effect.kind, effect.name) != ("context", "put"):
        return ()
    declared = memory_of(project.plan).extraction
    if declared is None:
        return ()
    name, documents = declared.agent, cast("list[Any]", effect.request.get("documents", ()))
    return tuple(
        [
            await _read(
                project, one["id"], one["text"], Seat(body, name, f"{effect.key}/extraction{index}.", effect.needs)
            )
            for index, one in enumerate(documents)
            if _worth_it(one)
        ]
    )


def _worth_it(document: Any) -> bool:
    """Whether it is a text of some size, and no turn of a conversation. Whether the driver takes it, the driver checks."""
    name, text, metadata = (document.get(field) for field in ("id", "text", "metadata"))
    if not isinstance(name, str) or not isinstance(text, str) or len(text.strip()) < LEAST:
        return False
    return not isinstance(metadata, dict) or cast("dict[str, Any]", metadata).get("kind") != "turn"


async def _read(project: Project, document: str, full: str, seat: Seat) -> Extracted:
    """Where the put will be forbidden, so is the question: it needs what the put does."""
    name, text = seat.agent, full[:MOST_READ]
    job = loop.Job(
        name=name, agent=project.plan.agents[name], input={"id": document, "text": text}, instructions=INSTRUCTIONS,
        schema=SCHEMA,
    )  # fmt: skip
    try:
        answer = await loop.run(job, seat)
        found = relations_of(document, text, answer, name)
    except Failure as failure:
        return Extracted(id=document, by=name, why=str(failure), code=failure.code)
    return Extracted(id=document, by=name, relations=found, read=len(text), characters=len(full))
