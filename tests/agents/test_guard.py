"""The guard against repeating the same call (G5)."""

import pytest

from clew.agents.guard import Guard
from clew.core.errors import Failure


@pytest.fixture
def guard():
    return Guard(("read", "test", "edit"))


def made(guard, tool, arguments, result, *, mutates=False, failed=False):
    """Whether the call was performed."""
    if guard.advice(tool, arguments):
        return False
    guard.done(tool, arguments, result, failed=failed, mutates=mutates)
    return True


def test_the_same_call_with_the_same_result_is_advised_then_fails(guard):
    assert [made(guard, "read", {"p": 1}, "x") for _ in range(3)] == [True, True, False]
    with pytest.raises(Failure) as caught:
        guard.advice("read", {"p": 1})
    assert caught.value.code == "loop_detected"
    assert caught.value.details == {"tool": "read", "arguments": {"p": 1}}


def test_the_advice_names_other_ways(guard):
    for _ in range(2):
        made(guard, "read", {}, "x")
    assert "use another tool (test, edit)" in guard.advice("read", {})
    lonely = Guard(("read",))
    for _ in range(2):
        made(lonely, "read", {}, "x")
    assert "another tool" not in lonely.advice("read", {})


def test_other_arguments_or_another_result_are_no_repetition(guard):
    assert all(made(guard, "read", {"p": n % 2, "n": n}, "x") for n in range(10))
    assert all(made(guard, "test", {}, n) for n in range(10))


def test_a_change_in_between_makes_a_repetition_worth_it(guard):
    for n in range(6):
        assert made(guard, "test", {}, "failed")
        assert made(guard, "edit", {"n": n}, "ok", mutates=True)


def test_a_change_that_failed_changes_nothing(guard):
    did = []
    for n in range(3):
        did.append(made(guard, "test", {}, "failed"))
        made(guard, "edit", {"n": n}, "no", mutates=True, failed=True)
    assert did == [True, True, False]


def test_changes_that_undo_each_other_are_a_loop(guard):
    did = [made(guard, "edit", {"to": "ab"[n % 2]}, "ok", mutates=True) for n in range(7)]
    assert did == [True] * 5 + [False] * 2
    with pytest.raises(Failure, match="again and again"):
        guard.advice("edit", {"to": "b"})


def test_a_tool_that_failed_twice_is_advised_against(guard):
    assert guard.done("read", {"p": 1}, "e", failed=True, mutates=False) == ""
    assert "read has failed 2 times. Try another way: use another tool (test, edit)" in guard.done(
        "read", {"p": 2}, "e", failed=True, mutates=False
    )
    assert guard.done("test", {}, "e", failed=True, mutates=False) == ""


def test_turns_of_unknown_tools_only_come_to_an_end(guard):
    guard.turn(["nope"])
    guard.turn(["nope", "read"])
    guard.turn(["nope"])
    guard.turn(["nix"])
    with pytest.raises(Failure) as caught:
        guard.turn(["nada", "nix"])
    assert caught.value.code == "loop_detected"
    assert "nada, nix" in caught.value.message
