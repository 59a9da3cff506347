"""The tools that come with Clew, one module each.

Descriptions and schemas are written for a model to read: what it does, what it returns, when it refuses.
Paths are relative to the root of the tool; everything returned is bounded and says when it was cut.
What a project may narrow or must allow stands in the tool's ``config``; the tool's spec says what is left.
Never here: a tool that reaches the file system other than through ``gate.beneath`` or a sandbox, or the network other than
through ``tools.http``.
"""

from importlib import import_module

from clew.core.errors import NotFound
from clew.gate.ports.sandbox import Languages
from clew.gate.ports.tool import Tool
from clew.manifest.compiled import ToolPlan

BUILTINS: dict[str, str] = {
    "read_file": "clew.tools.builtin.read_file:ReadFile",
    "write_file": "clew.tools.builtin.write_file:WriteFile",
    "list_files": "clew.tools.builtin.list_files:ListFiles",
    "search_files": "clew.tools.builtin.search_files:SearchFiles",
    "apply_patch": "clew.tools.builtin.apply_patch:ApplyPatch",
    "plan_milestones": "clew.tools.builtin.milestones:PlanMilestones",
    "search_context": "clew.tools.builtin.search_context:SearchContext",
    "mark_milestone": "clew.tools.builtin.milestones:MarkMilestone",
}
"""Tool id -> ``module:class``; loaded when asked for, so that a project pays only for the tools it names."""

CONFIGURED: dict[str, str] = {
    "http_request": "clew.tools.builtin.http_request:HttpRequest",
    "github_issues": "clew.tools.builtin.github_issues:GithubIssues",
    "project_status": "clew.tools.builtin.project_status:ProjectStatus",
    "run_tests": "clew.tools.builtin.run_tests:RunTests",
    "static_analysis": "clew.tools.builtin.static_analysis:StaticAnalysis",
}
"""The same for tools that are made from their declaration."""


EXECUTING: dict[str, str] = {
    "execute_code": "clew.tools.builtin.execute_code:ExecuteCode",
}
"""The same for tools that also need the languages of the sandbox."""

_ALL = BUILTINS | CONFIGURED | EXECUTING


def builtin(tool: str, plan: ToolPlan | None = None, languages: Languages | None = None) -> Tool:
    """A tool as its declaration has it. Raises NotFound for an id that is in no table, UsageError for a ``config`` that it
    cannot take."""
    if tool not in _ALL:
        raise NotFound(f"no built-in tool {tool!r}", hint=f"there are: {', '.join(sorted(_ALL))}")
    module, _, name = _ALL[tool].partition(":")
    factory = getattr(import_module(module), name)
    declared = plan or ToolPlan(type="builtin")
    made: Tool = (
        factory() if tool in BUILTINS else factory(declared) if tool in CONFIGURED else factory(declared, languages)
    )
    return made
