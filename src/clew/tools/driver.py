"""The tool driver: the plan's tools behind the gate's ``tool`` effects. Arguments are checked before a tool sees them."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec

from clew.core.codec import plain
from clew.core.errors import Failure
from clew.gate.effect import Driver, Effect
from clew.gate.ports.sandbox import SandboxBackend
from clew.gate.ports.secrets import Secrets
from clew.gate.ports.stream import Streams
from clew.gate.ports.tool import Permissions, Tool, ToolContext, ToolSpec, no_progress
from clew.gate.schema import Validator
from clew.manifest.compiled import Plan, ToolPlan
from clew.tools.progress import Report

InThread = Callable[[Callable[[], Any]], "asyncio.Future[Any]"]
Interrupt = Callable[["asyncio.Future[Any]"], None]


def _leave(future: "asyncio.Future[Any]") -> None:
    """The thread of a call that was cancelled runs to its end."""


class HandlerTool:
    """A function of the project: ``fn(args, context)``, in a thread unless it is async. ``interrupt`` stops such a thread."""

    def __init__(
        self,
        spec: ToolSpec,
        load: Callable[[], tuple[Callable[..., Any], bool]],
        in_thread: InThread,
        interrupt: Interrupt = _leave,
    ) -> None:
        self.spec = spec
        self._load, self._in_thread, self._interrupt = load, in_thread, interrupt

    async def call(self, args: dict[str, Any], context: ToolContext) -> Any:
        fn, asynchronous = self._load()
        if asynchronous:
            return await fn(args, context)
        running = self._in_thread(lambda: fn(args, context))
        try:
            return await running
        except asyncio.CancelledError:
            self._interrupt(running)
            raise


class Means(NamedTuple):
    """What tools may work with; None: that is not to be had here.

    ``streams``: where progress is told; ``secrets``: what tools may present elsewhere; ``memory``: the driver of ``context``
    effects, and ``searching`` what a search is told where nobody says otherwise.
    """

    sandbox: SandboxBackend | None = None
    streams: Streams | None = None
    secrets: Secrets | None = None
    memory: Driver | None = None
    searching: Mapping[str, Any] = {}


NOTHING = Means()


class ToolDriver:
    """Performs ``tool`` effects."""

    def __init__(self, plan: Plan, project: Path, tools: Mapping[str, Tool], means: Means = NOTHING) -> None:
        self._plan, self._project, self._tools, self._means = plan, project, tools, means
        self._inputs = {name: Validator(tool.spec.inputs) for name, tool in tools.items()}
        self._outputs = {
            name: Validator(tool.spec.outputs) for name, tool in tools.items() if tool.spec.outputs is not None
        }

    async def perform(self, effect: Effect) -> Any:
        """Raises Failure with the tool's code, ``invalid_arguments``, or ``tool_timeout``. Cancelling ends what the tool does."""
        tool = self._tools[effect.name]
        self._inputs[effect.name].check(effect.request, what=f"arguments of {effect.name}")
        report = Report(self._means.streams, effect) if self._means.streams is not None else None
        try:
            output = await self._call(tool, effect, report)
        finally:
            if report is not None:
                report.end()
        if effect.name in self._outputs:
            self._outputs[effect.name].check(output, code="invalid_tool_output", what=f"output of {effect.name}")
        return output

    async def _call(self, tool: Tool, effect: Effect, report: Report | None) -> Any:
        plan = self._plan.tools[effect.name]
        context = ToolContext(
            project_dir=self._project,
            root=self._project / (plan.permissions.root or tool.spec.permissions.root or "."),
            sandbox=self._means.sandbox,
            secrets=self._means.secrets,
            progress=report or no_progress,
            idempotency_key=effect.outward_key,
            search=partial(_search, self._means, effect) if self._means.memory is not None else None,
        )
        limit = asyncio.timeout(plan.timeout_ms / 1000)
        try:
            async with limit:
                return plain(await tool.call(effect.request, context))
        except TimeoutError as error:
            if limit.expired():
                message = f"tool {effect.name!r} took longer than {plan.timeout_ms} ms"
                raise Failure(message, code="tool_timeout", hint="ask for less, or raise the tool's timeout") from None
            raise Failure(f"tool {effect.name!r}: {error or 'timed out'}", code="timeout") from None


def spec_of(name: str, plan: ToolPlan) -> ToolSpec:
    """What the gate must know of a tool that is told by its declaration alone."""
    permissions = Permissions(
        root=plan.permissions.root, network=plan.permissions.network, shell=plan.permissions.shell
    )
    return ToolSpec(
        id=name, description=plan.description or "", inputs=plan.inputs or {"type": "object"}, outputs=plan.outputs,
        permissions=permissions, risk=plan.risk, repeat_safe=plan.repeat_safe, mutates=not plan.repeat_safe,
    )  # fmt: skip


async def _search(means: Means, effect: Effect, request: dict[str, Any]) -> dict[str, Any]:
    """As the run that calls the tool sees its memory."""
    request = request | {"config": {**means.searching, **request.get("config", {})}}
    asked = msgspec.structs.replace(effect, kind="context", name="search", request=request)
    return await cast("Driver", means.memory).perform(asked)
