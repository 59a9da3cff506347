"""A merge where an agent settles the conflicts, from outside of runs: a run of one node, in the project whose agent it is.

Its handler is here, so the run needs nothing of the project but its plan; it is recorded, priced, resumed and replayed as any.
"""

import difflib
from typing import Any

import msgspec

from clew.context import scopes
from clew.core.errors import NotFound, UsageError
from clew.manifest.compiled import DEFAULT_TIMEOUT_MS, NodePlan, Plan
from clew.service.agents import alone
from clew.service.runs import RunRequest

NODE = "merge"
_HANDLER = "clew.service.merging:work"


async def work(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    """The handler of the one node: what ``ctx.merge`` gives."""
    return await ctx.merge(**given)


def plan_for(plan: Plan, agent: str) -> Plan:
    """What merges, ``agent`` settling conflicts, in the memory of ``plan``. Raises NotFound(unknown_agent)."""
    agents = [name for name, one in plan.agents.items() if not one.pool]
    if agent not in agents:
        near = difflib.get_close_matches(agent, agents, 1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        there = ", ".join(agents) or "none"
        raise NotFound(
            f"the project knows no agent {agent!r} with a model",
            code="unknown_agent",
            hint=f"{meant}there are: {there}",
        )
    limit = plan.agents[agent].limits.time_ms or DEFAULT_TIMEOUT_MS
    made = alone(plan, plan.workflow, "deterministic", {NODE: NodePlan(handler=_HANDLER, timeout_ms=limit)})
    return msgspec.structs.replace(made, handlers={})  # none of the project's is entered: they may change meanwhile


def request_for(plan: Plan, scope: str, given: dict[str, Any]) -> RunRequest:
    """The run that merges a document (``given``: as ``ctx.merge`` takes it) in ``scope``, which is named in full, or ``project``.

    Raises UsageError for the memory of another project and for a task's, which no other run can reach.
    """
    project = scopes.Scope("project", plan.workflow)
    where = project if scope == "project" else scopes.parse(scope)
    if where.kind == "task" or (where.kind == "project" and where != project):
        raise UsageError(
            f"an agent of {str(project)!r} cannot merge in {scope!r}",
            hint="--project says whose agent it is; its runs reach global, their own project, and sessions",
        )
    session = where.id if where.kind == "session" else ""
    return RunRequest(input=given | {"scope": where.kind}, session=session)
