from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from clew.manifest.plan import check

Build = Callable[[list[str], list[str]], Path]


def _paths(root: Path) -> list[str]:
    return [problem.path for problem in check(root)]


def test_exits_may_have_several_edges_of_both_kinds(graph_project: Build) -> None:
    nodes = ["s start", "b branch", "w linear", "x exit"]
    assert check(graph_project(nodes, ["s b", "b w", "b x", "w x", "w x on: failure", "b x on: failure"])) == []


def test_components_may_be_apart(graph_project: Build) -> None:
    nodes = ["s start default: true", "x exit", "t start", "y exit"]
    assert check(graph_project(nodes, ["s x", "t y"])) == []


def test_failure_edges_count_as_incoming(graph_project: Build) -> None:
    nodes = ["s start", "a linear", "b linear", "c linear", "x exit"]
    edges = ["s a", "a b", "a c on: failure", "b x", "b c on: failure", "c x"]
    assert _paths(graph_project(nodes, edges)) == ["workflow.nodes[3].id"]


def test_failure_edges_do_not_count_as_outgoing(graph_project: Build) -> None:
    assert _paths(graph_project(["s start", "a linear", "x exit"], ["s a", "a x on: failure"])) == [
        "workflow.nodes[1].id"
    ]


def test_a_failure_edge_may_recover_into_a_merge(graph_project: Build) -> None:
    nodes = ["s start", "a linear", "f linear", "m merge", "x exit"]
    assert check(graph_project(nodes, ["s a", "a m", "a f on: failure", "f m", "m x"])) == []


def test_branches_may_name_their_arms(graph_project: Build) -> None:
    nodes = ["s start", "b branch wait: first", "m merge on_failure: ignore", "x exit"]
    assert check(graph_project(nodes, ["s b", "b m label: left", "b m label: right", "m x"])) == []


def test_every_cycle_is_reported(graph_project: Build) -> None:
    nodes = ["s start", "b branch", "m merge", "d decision", "n merge", "e decision", "x exit"]
    edges = [
        "s b",
        "b m",
        "b n",
        "m d",
        "d m label: again",
        "d x label: ok",
        "n e",
        "e n label: again",
        "e x label: ok",
    ]
    assert [problem.code for problem in check(graph_project(nodes, edges))] == ["cycle", "cycle"]


def test_a_long_cycle_is_found_without_recursion(graph_project: Build) -> None:
    names = [f"n{index}" for index in range(1_500)]
    nodes = ["s start", "m merge", *(f"{name} linear" for name in names), "d decision", "x exit"]
    chain = ["m", *names, "d"]
    edges = ["s m", *(f"{a} {b}" for a, b in pairwise(chain)), "d m label: again", "d x label: ok"]
    (problem,) = check(graph_project(nodes, edges))
    assert problem.code == "cycle"
    assert len(problem.message) < 200


@pytest.mark.parametrize("role", ["linear", "merge"])
def test_continue_on_failure_has_its_roles(graph_project: Build, role: str) -> None:
    nodes = ["s start", "b branch", f"w {role} continue_on_failure: true", "x exit"]
    edges = ["s b", "b w", "b w" if role == "merge" else "b x", "w x"]
    assert check(graph_project(nodes, edges)) == []


@pytest.mark.parametrize("role", ["start", "decision", "branch", "split", "exit"])
def test_and_no_others(graph_project: Build, role: str) -> None:
    nodes = ["s start", "w linear", "x exit"]
    edges = ["s w", "w x"]
    if role == "start":
        nodes[0] += " continue_on_failure: true"
    elif role == "exit":
        nodes[2] += " continue_on_failure: true"
    else:
        nodes[1] = f"w {role} continue_on_failure: true"
        label = " label: {}" if role == "decision" else ""
        edges = ["s w", f"w x{label.format('a')}", f"w x{label.format('b')}"]
    (problem,) = check(graph_project(nodes, edges))
    assert problem.path.endswith(".continue_on_failure")


def test_one_misspelt_end_is_one_problem(graph_project: Build) -> None:
    nodes = ["s start", "work linear", "x exit"]
    (problem,) = check(graph_project(nodes, ["s wrok", "work x"]))
    assert problem.suggestion == "work"


def test_a_wrong_role_is_one_problem(graph_project: Build) -> None:
    (problem,) = check(graph_project(["s start", "w lineal", "x exit"], ["s w", "w x"]))
    assert problem.suggestion == "linear"
