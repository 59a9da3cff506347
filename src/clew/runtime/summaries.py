"""Summaries in runs: where a project names an agent that summarises conversations, it is asked as soon as the write of a turn says
that a summary is due, by effects of its own, which are recorded. Where that fails, what stood for the older turns stays."""

from typing import Any, Protocol

import msgspec

from clew.agents import loop
from clew.agents.summaries import INSTRUCTIONS, SCHEMA
from clew.core.errors import Failure
from clew.gate.effect import Effect, Need, Outcome
from clew.runtime.agent import Performer, Seat
from clew.runtime.memory import memory_of
from clew.runtime.project import Project


class Summarising(Performer, Protocol):
    """What it needs of the body whose turn was added."""

    key: str
    deadline: int

    def now(self) -> int: ...

    def observe(self, effect: Effect, value: Any) -> Any: ...


async def summarised(project: Project, body: Summarising, added: Outcome) -> None:
    """Ask for the summary that is due after a turn was ``added``, if one is; never fails the body."""
    conversation = memory_of(project.plan).conversation
    due: Any = added.output.get("due") if added.error is None else None
    if conversation is None or conversation.agent is None or due is None:
        return
    name = conversation.agent
    told: dict[str, Any] = {"base": due["base"], "upto": due["upto"], "by": name}
    clock = _effect(body, "summary.clock", "clock", "left", None)
    left = int(body.observe(clock, body.deadline - body.now()))
    try:
        told["points"] = await _points(project, Seat(body, name, f"{body.key}/summary.", ("mutate",)), due, left)
    except Failure as failure:
        told |= {"why": str(failure), "code": failure.code}
    await body.perform(_effect(body, "summary", "context", "summarise", told, "mutate"))


def _effect(body: Summarising, key: str, kind: str, name: str, request: Any, *needs: Need) -> Effect:
    return Effect(
        key=f"{body.key}/{key}", kind=kind, name=name, request=request, task=body.task, node=body.node, run=body.run,
        repeat_safe=True, needs=needs,
    )  # fmt: skip


async def _points(project: Project, seat: Seat, due: dict[str, Any], left: int) -> list[str]:
    """``left``: milliseconds of the body, of which half may be used: it has its output already, and is not to be lost for this."""
    agent = project.plan.agents[seat.agent]
    own = agent.limits.time_ms
    most = max(1, left // 2 if own is None else min(own, left // 2))
    limits = msgspec.structs.replace(agent.limits, time_ms=most)
    within = {**agent.parameters, "within": most / 1000}  # tries of all fallbacks, and the waits between them
    job = loop.Job(
        name=seat.agent, agent=msgspec.structs.replace(agent, limits=limits, parameters=within), input=due["material"],
        instructions=INSTRUCTIONS, schema=SCHEMA,
    )  # fmt: skip
    return (await loop.run(job, seat))["points"]
