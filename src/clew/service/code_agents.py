"""The code agents as handlers, with this machine's sandbox: ``handler: "clew.service.code_agents:code_gen"`` in a workflow.

Each takes its payload as the node's input and gives its result as the output. ``clew.service.agents`` names them.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from clew.agents.code import registry
from clew.agents.code.roles import tree
from clew.agents.code.roles.seat import Bench, Seat
from clew.core.errors import Failure
from clew.gate.ports.sandbox import SandboxBackend
from clew.gate.ports.tool import ToolContext
from clew.manifest.compiled import ToolPlan
from clew.service.looking import LOOKING, look
from clew.service.settings import read, sandbox_of
from clew.tools.builtin.static_analysis import StaticAnalysis

Json = dict[str, Any]


async def perform(name: str, given: Any, ctx: Any) -> Json:
    """The result of the code agent of that name, its name with it. Raises NotFound, and Failure as the agent does."""
    try:
        return await registry.perform(name, given, _seat(ctx))
    except Failure as failure:
        if failure.code != "no_driver":
            raise
        hint = "work in a project that declares a provider and the model, or without a model"
        raise Failure("there are no models here", code="no_models", hint=hint) from None


def _seat(ctx: Any) -> Seat:
    return Seat(ctx, sandbox_of(read()), Bench(lint, look, LOOKING))


def _handler(name: str) -> Callable[[Any, Any], Awaitable[Json]]:
    async def handler(given: Any, ctx: Any) -> Json:
        return await perform(name, given, ctx)

    return handler


code_gen = _handler("CodeGen")
test_gen = _handler("TestGen")
test_exec = _handler("TestExec")
static_analysis = _handler("StaticAnalysis")
debug = _handler("Debug")
design_review = _handler("DesignReview")
refactor = _handler("Refactor")
planning = _handler("Planning")


def answered(given: Json, ctx: Any) -> Json:
    """A result as the payload of an envelope."""
    return registry.envelope_payload(given)


async def lint(backend: SandboxBackend, root: Path, target: str, *, fix: bool) -> Json:
    """The tool ``static_analysis`` on a folder."""
    tool = StaticAnalysis(ToolPlan(type="builtin", config={"fix": True}))
    context = ToolContext(project_dir=root, root=root, sandbox=backend)
    return await tool.call({"target": target, "fix": fix}, context)


async def repository(repo: str, ctx: Any) -> str:
    """The folder's whole path, as seen from where the work began: it may go on, or be handed on, elsewhere."""
    return await _seat(ctx).do("repository", tree.top, repo)


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
