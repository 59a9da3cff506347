from collections.abc import Callable
from pathlib import Path

from clew.manifest.plan import check

Build = Callable[[list[str], list[str]], Path]

NESTED = ["s start", "items split over: list", "d decision", "a linear", "b linear", "m merge", "x exit"]
NESTED_EDGES = ["s items", "items d", "d a label: a", "d b label: b", "a m", "b m", "m x"]


def test_a_merge_of_one_edge_needs_a_split_over(graph_project: Build) -> None:
    nodes = ["s start", "items split over: list", "w linear", "m merge", "x exit"]
    edges = ["s items", "items w", "w m", "m x"]
    assert check(graph_project(nodes, edges)) == []
    (problem,) = check(graph_project([nodes[0], "items split", *nodes[2:]], edges))
    assert problem.code == "edge_count"


def test_the_split_must_still_be_open(graph_project: Build) -> None:
    nodes = ["s start", "items split over: list", "w linear", "m merge", "v linear", "late merge", "x exit"]
    (problem,) = check(graph_project(nodes, ["s items", "items w", "w m", "m v", "v late", "late x"]))
    assert problem.path == "workflow.nodes[5].id"
    assert "1 incoming edge" in problem.message


def test_gathering_of_all_items_is_a_warning(graph_project: Build) -> None:
    (problem,) = check(graph_project(NESTED, NESTED_EDGES))
    assert problem.severity == "warning"
    assert problem.path == "workflow.nodes[5].id"
    assert problem.message == "gathers all items of items; write `joins: d` to rejoin per item"


def test_a_named_scope_is_no_warning(graph_project: Build) -> None:
    nodes = [*NESTED[:5], "m merge joins: items", NESTED[6]]
    assert check(graph_project(nodes, NESTED_EDGES)) == []
    inner = [*NESTED[:5], "m merge joins: d", "all merge", NESTED[6]]
    assert check(graph_project(inner, [*NESTED_EDGES[:-1], "m all", "all x"])) == []


def test_a_decision_that_is_met_once_is_no_warning(graph_project: Build) -> None:
    nodes = ["s start", "d decision", "a linear", "b linear", "m merge", "x exit"]
    assert check(graph_project(nodes, ["s d", "d a label: a", "d b label: b", "a m", "b m", "m x"])) == []


def test_a_node_with_a_failure_edge_may_be_joined(graph_project: Build) -> None:
    nodes = ["s start", "w linear", "f linear", "m merge joins: w", "x exit"]
    assert check(graph_project(nodes, ["s w", "w m", "w f on: failure", "f m", "m x"])) == []


def test_scopes_are_checked_from_every_start(graph_project: Build) -> None:
    nodes = ["s start default: true", "t start", "b branch", "m merge joins: b", "x exit"]
    problems = check(graph_project(nodes, ["s b", "b m", "b m", "t m", "m x"]))
    assert [problem.path for problem in problems] == ["workflow.nodes[3].id", "workflow.nodes[3].joins"] or [
        problem.path for problem in problems
    ] == ["workflow.nodes[3].joins"]


def test_too_many_nodes_are_refused_fast(graph_project: Build) -> None:
    names = [f"n{index}" for index in range(2_100)]
    nodes = ["s start", *(f"{name} linear" for name in names), "x exit"]
    edges = [f"{a} {b}" for a, b in zip(["s", *names], [*names, "x"], strict=True)]
    (problem,) = check(graph_project(nodes, edges))
    assert "2000 at most" in problem.message
