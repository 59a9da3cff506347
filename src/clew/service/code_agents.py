"""The code agents as handlers, with this machine's sandbox: ``handler: "clew.service.code_agents:code_gen"`` in a workflow.

Each takes its payload as the node's input and gives its result as the output. ``PLANS`` are the plans of one agent alone, made
from a project's, whose output is the payload of an envelope.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from clew.agents.code import registry
from clew.agents.code.roles import tree
from clew.agents.code.roles.seat import Seat
from clew.core.graph import Edge, Graph, Node
from clew.gate.ports.sandbox import SandboxBackend
from clew.gate.ports.tool import ToolContext
from clew.manifest.build import plan_digest
from clew.manifest.compiled import NodePlan, Plan, ToolPlan
from clew.sandbox.default import default
from clew.tools.builtin.static_analysis import StaticAnalysis

Json = dict[str, Any]
_TIMEOUT_MS = 3_600_000


async def perform(name: str, given: Any, ctx: Any) -> Json:
    """The result of the code agent of that name, its name with it. Raises NotFound, and Failure as the agent does."""
    return await registry.perform(name, given, _seat(ctx))


def _seat(ctx: Any) -> Seat:
    return Seat(ctx, default(), lint)


def answered(given: Json, ctx: Any) -> Json:
    """A result as the payload of an envelope."""
    return registry.envelope_payload(given)


async def code_gen(given: Any, ctx: Any) -> Json:
    return await perform("CodeGen", given, ctx)


async def test_gen(given: Any, ctx: Any) -> Json:
    return await perform("TestGen", given, ctx)


async def test_exec(given: Any, ctx: Any) -> Json:
    return await perform("TestExec", given, ctx)


async def static_analysis(given: Any, ctx: Any) -> Json:
    return await perform("StaticAnalysis", given, ctx)


async def debug(given: Any, ctx: Any) -> Json:
    return await perform("Debug", given, ctx)


async def design_review(given: Any, ctx: Any) -> Json:
    return await perform("DesignReview", given, ctx)


async def refactor(given: Any, ctx: Any) -> Json:
    return await perform("Refactor", given, ctx)


async def planning(given: Any, ctx: Any) -> Json:
    return await perform("Planning", given, ctx)


async def lint(backend: SandboxBackend, root: Path, target: str, *, fix: bool) -> Json:
    """The tool ``static_analysis`` on a folder."""
    tool = StaticAnalysis(ToolPlan(type="builtin", config={"fix": True}))
    context = ToolContext(project_dir=root, root=root, sandbox=backend)
    return await tool.call({"target": target, "fix": fix}, context)


async def state(repo: str, ctx: Any) -> str:
    """What a repository is now: ``deliver`` wants it as it was when the work began."""
    return await _seat(ctx).do("state", tree.state, repo)


async def deliver(given: Json, ctx: Any) -> Json:
    """``{diff, applied}`` of the ``changes`` to ``repo``, whose ``state`` was taken when the work began; with ``apply`` they are
    written into its files. Raises Failure(repository_changed)."""
    seat, repo, changes = _seat(ctx), given["repo"], given["changes"]
    compared = await seat.do("compare", tree.compare, repo, changes, given["state"])
    if given.get("apply"):
        await seat.do("write", tree.write, repo, changes, compared["before"])
    return {"diff": compared["diff"], "applied": bool(given.get("apply"))}


def _alone(name: str, plan: Plan) -> Plan:
    """A workflow of one code agent, with everything else as in the project."""
    ids = ("start", "work", "answer", "done")
    start, work, answer, done = ids
    graph = Graph(
        nodes=(
            Node(id=start, role="start", default=True),
            Node(id=work, role="linear"),
            Node(id=answer, role="linear"),
            Node(id=done, role="exit"),
        ),
        edges=tuple(Edge(source=one, target=other) for one, other in pairwise(ids)),
    )
    handlers = {work: HANDLERS[name], answer: f"{__name__}:answered"}
    nodes = {one: NodePlan(handler=handlers.get(one), timeout_ms=_TIMEOUT_MS) for one in ids}
    alone = msgspec.structs.replace(plan, workflow=name, graph=graph, nodes=nodes)
    return msgspec.structs.replace(alone, digest=plan_digest(alone))


HANDLERS = {
    "CodeGen": f"{__name__}:code_gen",
    "TestGen": f"{__name__}:test_gen",
    "TestExec": f"{__name__}:test_exec",
    "StaticAnalysis": f"{__name__}:static_analysis",
    "Debug": f"{__name__}:debug",
    "DesignReview": f"{__name__}:design_review",
    "Refactor": f"{__name__}:refactor",
    "Planning": f"{__name__}:planning",
}
PLANS: dict[str, Callable[[Plan], Plan]] = {name: partial(_alone, name) for name in HANDLERS}
"""Agent -> what makes the plan that runs it alone, out of a project's."""
