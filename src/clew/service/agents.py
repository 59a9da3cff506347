"""Which plan an agent's name stands for: a code agent that ships, the project's workflow, or a declared agent alone.

Cheap to import: what ships is named here by the reference of its handler, which is loaded when a run gets there.
"""

import difflib
from itertools import pairwise
from pathlib import Path
from typing import Literal

import msgspec

from clew.core.errors import ManifestError, NotFound
from clew.core.graph import Edge, Graph, Node
from clew.manifest.build import plan_digest
from clew.manifest.check import examine
from clew.manifest.compiled import DEFAULT_TIMEOUT_MS, NodePlan, Plan
from clew.service import runs

CODE_AGENTS = {
    name: f"clew.service.code_agents:{handler}"
    for name, handler in (
        ("CodeGen", "code_gen"),
        ("TestGen", "test_gen"),
        ("TestExec", "test_exec"),
        ("StaticAnalysis", "static_analysis"),
        ("Debug", "debug"),
        ("DesignReview", "design_review"),
        ("Refactor", "refactor"),
        ("Planning", "planning"),
    )
}
"""Agents that ship, and the handlers that do their work. The one place to name them."""

_ANSWERED = "clew.service.code_agents:answered"
_CODE_TIMEOUT_MS = 3_600_000
_NOWHERE = Plan(workflow="", graph=Graph(nodes=(), edges=()), nodes={})
"""What agents that ship are planned by where there is no project."""


def plan_for(plan: Plan, agent: str) -> Plan:
    """What runs ``agent``. Raises NotFound(unknown_agent)."""
    if agent in CODE_AGENTS:
        work = NodePlan(handler=CODE_AGENTS[agent], timeout_ms=_CODE_TIMEOUT_MS)
        return alone(plan, agent, "deterministic", {"work": work, "answer": NodePlan(handler=_ANSWERED)})
    if agent == plan.workflow:
        return plan
    if agent in plan.agents:
        own = plan.agents[agent]
        members = [plan.agents[name] for name in own.pool if name in plan.agents]
        tools = tuple(dict.fromkeys(tool for one in (own, *members) for tool in one.tools))
        limit = own.limits.time_ms or DEFAULT_TIMEOUT_MS
        return alone(plan, agent, "agent", {"work": NodePlan(agent=agent, tools=tools, timeout_ms=limit)})
    known = [name for name in (plan.workflow, *plan.agents, *CODE_AGENTS) if name]
    near = difflib.get_close_matches(agent, known, 1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    what = "the project knows" if plan.workflow else "there is no project here, and"
    raise NotFound(f"{what} no agent {agent!r}", code="unknown_agent", hint=f"{meant}there are {', '.join(known)}")


def alone(plan: Plan, workflow: str, kind: Literal["agent", "deterministic"], work: dict[str, NodePlan]) -> Plan:
    """A workflow of these nodes, one after the other, with everything else as in the project."""
    ids = ("start", *work, "done")
    graph = Graph(
        nodes=(
            Node(id="start", role="start", default=True),
            *(Node(id=one, role="linear", kind=kind) for one in work),
            Node(id="done", role="exit"),
        ),
        edges=tuple(Edge(source=one, target=other) for one, other in pairwise(ids)),
    )
    nodes = {"start": NodePlan(), **work, "done": NodePlan()}
    home = plan.workflow if workflow != plan.workflow else ""
    alone = msgspec.structs.replace(plan, workflow=workflow, graph=graph, nodes=nodes, project=home)
    return msgspec.structs.replace(alone, digest=plan_digest(alone))


def project_for(path: Path) -> tuple[Plan, Path]:
    """The project in which an agent is to work, and its directory. One that ships needs none: any folder without manifests will do.

    Raises ManifestError.
    """
    try:
        return runs.load_project(path)
    except ManifestError as error:
        if [one.code for one in error.problems] != ["no_workflow"] or examine(path).files:
            raise
        return _NOWHERE, path.resolve()
