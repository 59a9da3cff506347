"""The tools that come with Clew, one module each.

Descriptions and schemas are written for a model to read: what it does, what it returns, when it refuses.
Paths are relative to the root of the tool; everything returned is bounded and says when it was cut.
Never here: a tool that reaches the file system other than through ``gate.beneath`` or a sandbox.
"""

from importlib import import_module

from clew.core.errors import NotFound
from clew.gate.ports.tool import Tool

BUILTINS: dict[str, str] = {
    "read_file": "clew.tools.builtin.read_file:ReadFile",
    "write_file": "clew.tools.builtin.write_file:WriteFile",
    "list_files": "clew.tools.builtin.list_files:ListFiles",
    "search_files": "clew.tools.builtin.search_files:SearchFiles",
    "apply_patch": "clew.tools.builtin.apply_patch:ApplyPatch",
    "run_tests": "clew.tools.builtin.run_tests:RunTests",
    "plan_milestones": "clew.tools.builtin.milestones:PlanMilestones",
    "mark_milestone": "clew.tools.builtin.milestones:MarkMilestone",
}
"""Tool id -> ``module:class``; loaded when asked for, so that a project pays only for the tools it names."""


def builtin(tool: str) -> Tool:
    """Raises NotFound for an id that is not in ``BUILTINS``."""
    if tool not in BUILTINS:
        raise NotFound(f"no built-in tool {tool!r}", hint=f"there are: {', '.join(sorted(BUILTINS))}")
    module, _, name = BUILTINS[tool].partition(":")
    factory: type[Tool] = getattr(import_module(module), name)
    return factory()
