import pytest

from clew.core import routing
from clew.core.errors import Failure
from clew.core.graph import Backoff, Node, Retry
from clew.core.routing import Leaf, branch_result, items_of, route_of, run_result, split_path, split_result


@pytest.mark.parametrize("key", ["route", "selected_edge", "selected_edge_label", "decision", "condition", "next"])
def test_each_spelling_of_a_route_is_read(key):
    assert route_of({key: "left", "other": "right"}, ["left", "right"]) == "left"


def test_a_bare_label_is_a_route():
    assert route_of("right", ["left", "right"]) == "right"


def test_route_stands_before_the_other_spellings():
    assert route_of({"next": "right", "route": "left"}, ["left", "right"]) == "left"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({"route": "up"}, "names 'up'"),
        ("up", "names 'up'"),
        ({"route": 3}, "names 3"),
        ({}, "names no edge"),
        (None, "names no edge"),
        ([], "names no edge"),
        ({"route": None, "next": "left"}, "names no edge"),
    ],
)
def test_an_unknown_label_says_what_there_is(output, said):
    with pytest.raises(Failure, match="its edges are left, right") as caught:
        route_of(output, ["left", "right"])
    assert caught.value.code == "unknown_route"
    assert said in str(caught.value)


def test_items_by_dotted_path():
    value = {"a": {"items": [1, 2]}, "rows": [{"cells": ["x"]}]}
    assert items_of(value, "a.items") == [1, 2]
    assert items_of(value, "rows.0.cells") == ["x"]


@pytest.mark.parametrize(
    ("value", "path", "said"),
    [
        ({"a": {}}, "a.items", "nothing at 'a.items'"),
        ({"a": [1]}, "a.1", "nothing at 'a.1'"),
        ({"a": [1]}, "a.x", "nothing at 'a.x'"),
        ("text", "a", "nothing at 'a'"),
        ({"a": {"b": 1}}, "a", "is a dict, not a list"),
        ({"a": "text"}, "a", "is a str, not a list"),
    ],
)
def test_a_path_without_a_list(value, path, said):
    with pytest.raises(Failure, match=said) as caught:
        items_of(value, path)
    assert caught.value.code == "not_a_list"


def test_a_handlers_subtask_inputs_are_an_over():
    plain, declared = Node(id="s", role="split"), Node(id="s", role="split", over="rows")
    assert split_path(plain, 1, {"subtask_inputs": []}) == "subtask_inputs"
    assert split_path(plain, 2, {"subtask_inputs": []}) is None
    assert split_path(plain, 1, {"rows": []}) is None
    assert split_path(declared, 1, {"subtask_inputs": []}) == "rows"


@pytest.mark.parametrize(
    ("retry", "code", "attempt", "again"),
    [
        (Retry(), "boom", 1, False),
        (Retry(max_attempts=3), "boom", 2, True),
        (Retry(max_attempts=3), "boom", 3, False),
        (Retry(max_attempts=3), "timeout", 1, False),
        (Retry(max_attempts=3, on=("timeout",)), "timeout", 1, True),
        (Retry(max_attempts=3, on=("timeout",)), "boom", 1, False),
    ],
)
def test_what_is_tried_again(retry, code, attempt, again):
    assert routing.may_retry(retry, code, attempt) is again


@pytest.mark.parametrize("code", sorted(routing.FINAL_CODES))
def test_final_codes_must_be_asked_for_by_name(code):
    assert not routing.may_retry(Retry(max_attempts=9), code, 1)
    assert routing.may_retry(Retry(max_attempts=9, on=(code,)), code, 1)


def test_backoff_grows_and_is_bounded():
    backoff = Backoff(initial_ms=100, factor=3, max_ms=1000)
    assert [routing.backoff_ms(backoff, n) for n in (1, 2, 3, 4)] == [100, 300, 900, 1000]
    assert routing.backoff_ms(backoff, 10**9) == 1000
    assert routing.backoff_ms(Backoff(initial_ms=1, factor=100, max_ms=5), 90) == 5


def leaves(*statuses):
    return [Leaf(f"0.{i}", s, f"out{i}", {"code": "x"} if s == "failure" else None) for i, s in enumerate(statuses)]


@pytest.mark.parametrize(
    ("statuses", "status", "output"),
    [
        (("failure", "success", "success"), "success", "out1"),
        (("partial", "success"), "success", "out1"),
        (("failure", "partial", "partial"), "partial", "out1"),
        (("failure", "failure"), "failure", "out0"),
    ],
)
def test_a_branch_takes_the_first_best_by_position(statuses, status, output):
    result = branch_result(leaves(*statuses))
    assert result[:2] == (status, output)
    assert (result[2] is not None) == (status == "failure")


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        (("success", "success"), "success"),
        (("success", "partial"), "partial"),
        (("partial", "failure", "success"), "failure"),
    ],
)
def test_a_split_needs_all(statuses, status):
    result = split_result(leaves(*statuses))
    assert result[:2] == (status, [f"out{i}" for i in range(len(statuses))])
    if status == "failure":
        assert result[2] == {
            "code": "arm_failed", "message": "1 of 3 arms failed",
            "details": {"failures": [{"task_id": "0.1", "error": {"code": "x"}}]},
        }  # fmt: skip


def test_a_run_with_one_leaf_is_that_leaf():
    assert run_result(leaves("failure")) == ("failure", "out0", {"code": "x"})
    assert run_result(leaves("partial")) == ("partial", "out0", None)


def test_a_run_with_several_follows_the_split_rule():
    assert run_result(leaves("success", "partial")) == ("partial", ["out0", "out1"], None)
