from clew.core import commands
from clew.core.commands import AwaitDecision, CancelTask, FinishRun, RunNode, Sleep, StartChild


def test_the_union_is_closed():
    assert set(commands.Command.__args__) == {RunNode, Sleep, AwaitDecision, StartChild, CancelTask, FinishRun}


def test_commands_are_values():
    assert RunNode("0", "a", 1, 1, {"x": 1}) == RunNode("0", "a", 1, 1, {"x": 1})
    assert Sleep("k", "0", "a", "n", 1, 5, None) != Sleep("k", "0", "a", "n", 1, 6, None)
    assert all(c.__struct_config__.frozen for c in commands.Command.__args__)
