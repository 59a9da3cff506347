"""The code agents by name: the one place to add them."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from clew.agents.code.roles import analysis, codegen, debug, planning, refactor, review, testexec, testgen, tree
from clew.agents.code.roles.seat import Payload, Seat, understood
from clew.core.errors import NotFound

Json = dict[str, Any]


class CodeAgent(msgspec.Struct, frozen=True):
    """``work(payload, seat)`` gives the result; ``payload``: what it is asked."""

    work: Callable[[Json, Seat], Awaitable[Json]]
    payload: type[Payload]

    def schema(self) -> Json:
        """JSON Schema of the payload."""
        return msgspec.json.schema(self.payload)


AGENTS: dict[str, CodeAgent] = {
    "CodeGen": CodeAgent(codegen.work, codegen.Task),
    "TestGen": CodeAgent(testgen.work, testgen.Task),
    "TestExec": CodeAgent(testexec.work, testexec.Task),
    "StaticAnalysis": CodeAgent(analysis.work, analysis.Task),
    "Debug": CodeAgent(debug.work, debug.Task),
    "DesignReview": CodeAgent(review.work, review.Task),
    "Refactor": CodeAgent(refactor.work, refactor.Task),
    "Planning": CodeAgent(planning.work, planning.Task),
}


def agent(name: str) -> CodeAgent:
    """Raises NotFound."""
    if name not in AGENTS:
        raise NotFound(f"no code agent {name!r}", hint=f"there are: {', '.join(AGENTS)}")
    return AGENTS[name]


async def perform(name: str, payload: Json, seat: Seat) -> Json:
    """The result of the agent, with its name as ``agent``. Raises NotFound, and Failure as the agent does.

    A relative path of the repository is taken from where the work begins, wherever it goes on.
    """
    chosen = agent(name)
    wanted = understood(chosen.payload, payload)
    if not Path(wanted.repo).is_absolute():
        payload = {**payload, "repo": await seat.do("repository", tree.top, wanted.repo)}
    return {"agent": name, **await chosen.work(payload, seat)}


def envelope_payload(result: Json) -> Json:
    """A result as the payload of an ``AgentResult``: ``{delta, artifacts, newTasks}``; what is no delta is the artifact."""
    rest = {key: value for key, value in result.items() if key not in ("delta", "newTasks")}
    delta = result.get("delta") or {"summary": _summary(result)}
    return {"delta": delta, "artifacts": [rest], "newTasks": result.get("newTasks", [])}


def _summary(result: Json) -> str:
    diagnosis: Json = result.get("diagnosis") or {}
    told = result.get("summary") or diagnosis.get("summary")
    counts: dict[str, int] = result.get("counts") or {}
    said = ", ".join(f"{number} {what}" for what, number in counts.items())
    return str(told or said or f"{result['agent']} is done")
