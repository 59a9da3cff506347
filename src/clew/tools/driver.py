"""The tool driver: the plan's tools behind the gate's ``tool`` effects. Arguments are checked before a tool sees them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from clew.core.codec import plain
from clew.core.errors import Failure
from clew.gate.effect import Effect
from clew.gate.ports.sandbox import SandboxBackend
from clew.gate.ports.tool import Permissions, Tool, ToolContext, ToolSpec
from clew.gate.schema import Validator
from clew.manifest.compiled import Plan, ToolPlan
from clew.tools.builtin import builtin

InThread = Callable[[Callable[[], Any]], Awaitable[Any]]


class HandlerTool:
    """A function of the project as a tool: ``fn(args, context)``, async or not."""

    def __init__(
        self, spec: ToolSpec, load: Callable[[], tuple[Callable[..., Any], bool]], in_thread: InThread
    ) -> None:
        self.spec = spec
        self._load, self._in_thread = load, in_thread

    async def call(self, args: dict[str, Any], context: ToolContext) -> Any:
        fn, asynchronous = self._load()
        if asynchronous:
            return await fn(args, context)
        return await self._in_thread(lambda: fn(args, context))


class ToolDriver:
    """Performs ``tool`` effects. ``specs`` are what the plan's tools need and allow."""

    def __init__(self, plan: Plan, project: Path, tools: Mapping[str, Tool], sandbox: SandboxBackend | None) -> None:
        self._plan, self._project, self._sandbox = plan, project, sandbox
        self._tools = tools
        self._inputs = {name: Validator(tool.spec.inputs) for name, tool in tools.items()}
        self._outputs = {
            name: Validator(tool.spec.outputs) for name, tool in tools.items() if tool.spec.outputs is not None
        }

    async def perform(self, effect: Effect) -> Any:
        """Raises Failure with the tool's code, ``invalid_arguments``, or ``tool_timeout``."""
        tool, plan = self._tools[effect.name], self._plan.tools[effect.name]
        self._inputs[effect.name].check(effect.request, what=f"arguments of {effect.name}")
        root = self._project / (tool.spec.permissions.root or ".")
        context = ToolContext(
            project_dir=self._project, root=root, sandbox=self._sandbox, idempotency_key=effect.outward_key
        )
        try:
            async with asyncio.timeout(plan.timeout_ms / 1000):
                output = plain(await tool.call(effect.request, context))
        except TimeoutError:
            raise Failure(f"tool {effect.name!r} took longer than {plan.timeout_ms} ms", code="tool_timeout") from None
        if effect.name in self._outputs:
            self._outputs[effect.name].check(output, code="invalid_tool_output", what=f"output of {effect.name}")
        return output


def spec_of(name: str, plan: ToolPlan) -> ToolSpec:
    """What the gate must know of a declared tool."""
    permissions = Permissions(
        root=plan.permissions.root, network=plan.permissions.network, shell=plan.permissions.shell
    )
    if plan.type == "builtin":
        inner = builtin(name).spec
        return ToolSpec(
            id=name, description=plan.description or inner.description, inputs=inner.inputs, outputs=inner.outputs,
            permissions=permissions if plan.permissions.root is not None else inner.permissions,
            risk=inner.risk, repeat_safe=inner.repeat_safe, mutates=inner.mutates,
        )  # fmt: skip
    return ToolSpec(
        id=name, description=plan.description or "", inputs=plan.inputs or {"type": "object"}, outputs=plan.outputs,
        permissions=permissions, risk=plan.risk, repeat_safe=plan.repeat_safe, mutates=not plan.repeat_safe,
    )  # fmt: skip
