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
    documents: Any = effect.request.get("documents", ())
    return tuple(
        [
            await _read(project, body, declared.agent, (f"{effect.key}/extraction{index}.", one["id"], one["text"]))
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


async def _read(project: Project, body: Performer, name: str, of: tuple[str, str, str]) -> Extracted:
    key, document, full = of
    text = full[:MOST_READ]
    agent = project.plan.agents[name]
    job = loop.Job(
        name=name, agent=agent, input={"id": document, "text": text}, instructions=INSTRUCTIONS, schema=SCHEMA
    )
    try:
        answer = await loop.run(job, Seat(body, name, key))
        found = relations_of(document, text, answer, name)
    except Failure as failure:
        return Extracted(id=document, by=name, why=str(failure), code=failure.code)
    return Extracted(id=document, by=name, relations=found, read=len(text), characters=len(full))
