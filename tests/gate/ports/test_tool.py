from pathlib import Path

from clew.gate.ports.tool import Permissions, ToolContext, ToolSpec, no_progress


def test_a_tool_may_touch_nothing_unless_it_says_so():
    assert Permissions() == Permissions(root=None, network=False, shell=False)
    spec = ToolSpec(id="t", description="", inputs={})
    assert (spec.mutates, spec.repeat_safe, spec.risk) == (True, False, "medium")


def test_nobody_is_told_by_default():
    context = ToolContext(project_dir=Path("/p"), root=Path("/p"))
    assert context.sandbox is None
    assert context.progress is no_progress
    assert context.progress(0.5, "half") is None
