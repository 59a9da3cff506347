from clew.manifest.prompts import PROMPTS
from clew.tools.builtin import builtin


def test_instructions_name_tools_that_are_there():
    for tool in ("plan_milestones", "mark_milestone"):
        assert tool in PROMPTS["clew:planner"]
        assert builtin(tool).spec.id == tool
