"""Scopes, open and closed, lineage, where failures arrive (W6), on graphs small enough to read."""

import pytest

from clew.core.scopes import RUN, analyse
from clew.testing import graph_of

FORK = graph_of("s:start b:branch a:linear c:linear m:merge x:exit", "s>b>a>m>x b>c>m")


def test_a_merge_belongs_to_the_innermost_branch():
    scopes = analyse(FORK, "s")
    assert scopes.scope == {"m": "b"}
    assert scopes.open_at["m"] == ("s", "b")
    assert scopes.opens == {"b"}


def test_lineage_is_what_a_task_is_inside_of():
    scopes = analyse(FORK, "s")
    assert scopes.lineage == {"s": (), "b": ("b",), "a": ("b",), "c": ("b",), "m": ("b",), "x": ("b",)}
    assert scopes.ahead == {"s": (), "b": ("m",), "a": ("m",), "c": ("m",), "m": (), "x": ()}


def test_reachability_and_dominators():
    scopes = analyse(FORK, "s")
    assert scopes.reaches("s", "x")
    assert not scopes.reaches("x", "s")
    assert not scopes.reaches("a", "a")
    assert not scopes.reaches("a", "c")
    assert scopes.idom == {"s": None, "b": "s", "a": "b", "c": "b", "m": "b", "x": "m"}


def test_only_what_the_start_reaches_counts():
    two = graph_of("s:start t:start b:branch a:linear c:linear m:merge x:exit", "s>b>a>m>x b>c>m t>x")
    assert set(analyse(two, "t").reachable) == {"t", "x"}
    assert analyse(two, "t").merges == ()
    assert analyse(two, "s").scope == {"m": "b"}


def test_a_decisions_arms_meet_in_the_run():
    graph = graph_of("s:start d:decision a:linear c:linear m:merge x:exit", "s>d d>a[l]>m>x d>c[r]>m")
    scopes = analyse(graph, "s")
    assert scopes.scope["m"] is RUN
    assert scopes.opens == frozenset()


def test_joins_opens_the_decision_that_it_names():
    graph = graph_of(
        "s:start p:split d:decision a:linear c:linear m:merge j:merge x:exit",
        "s>p>d d>a[l]>m>j>x d>c[r]>m",
        m={"joins": "d"},
        p={"over": "items"},
    )
    scopes = analyse(graph, "s")
    assert scopes.scope == {"m": "d", "j": "p"}
    assert scopes.opens == {"p", "d"}
    assert scopes.lineage["a"] == ("p", "d")
    assert scopes.lineage["m"] == ("p", "d")
    assert scopes.problems == []


def test_without_joins_a_merge_of_a_decisions_arms_gathers_all_items():
    graph = graph_of(
        "s:start p:split d:decision a:linear c:linear m:merge x:exit", "s>p>d d>a[l]>m>x d>c[r]>m", p={"over": "items"}
    )
    assert analyse(graph, "s").scope == {"m": "p"}


def test_joins_a_node_with_a_failure_edge():
    graph = graph_of(
        "s:start p:split a:linear f:linear m:merge j:merge x:exit", "s>p>a>m>j>x a!f>m",
        m={"joins": "a"}, p={"over": "items"},
    )  # fmt: skip
    scopes = analyse(graph, "s")
    assert scopes.scope == {"m": "a", "j": "p"}
    assert "a" in scopes.opens


@pytest.mark.parametrize(
    ("nodes", "edges", "joins", "why"),
    [
        ("s:start d:decision a:linear b:linear c:linear m:merge n:merge x:exit",
         "s>d d>a[a]>m>n>x d>b[b]>m d>c[c]>n", ("n", "a"), "does not dominate"),
        ("s:start b:branch a:linear c:linear m:merge k:branch e:linear f:linear n:merge x:exit",
         "s>b>a>m>k>e>n>x b>c>m k>f>n", ("n", "b"), "is closed"),
    ],
)  # fmt: skip
def test_joins_that_cannot_hold(nodes, edges, joins, why):
    merge, named = joins
    scopes = analyse(graph_of(nodes, edges, **{merge: {"joins": named}}), "s")
    assert [(m, why in text) for m, text in scopes.problems] == [(merge, True)]


def test_two_merges_of_one_scope_behind_each_other():
    """The first does not close the branch: an arm passes it by."""
    graph = graph_of("s:start b:branch a:linear c:linear e:linear m:merge n:merge x:exit", "s>b>a>m>n>x b>c>m b>e>n")
    scopes = analyse(graph, "s")
    assert scopes.scope == {"m": "b", "n": "b"}
    assert scopes.ahead["a"] == ("m", "n")


def test_a_closed_scope_is_not_open_behind_its_merge():
    graph = graph_of(
        "s:start o:branch i:branch a:linear c:linear m:merge z:linear n:merge x:exit", "s>o>i>a>m>n>x i>c>m o>z>n"
    )
    scopes = analyse(graph, "s")
    assert scopes.scope == {"m": "i", "n": "o"}
    assert scopes.open_at["n"] == ("s", "o")


def test_a_merge_of_an_outer_scope_ends_the_inner_one():
    """m takes arms of both branches, so i is ended at m and n behind it belongs to what is left: the run."""
    graph = graph_of(
        "s:start o:branch i:branch a:linear c:linear z:linear m:merge d:decision e:linear f:linear n:merge x:exit",
        "s>o>i>a>m>d i>c>m o>z>m d>e[e]>n>x d>f[f]>n",
    )
    scopes = analyse(graph, "s")
    assert scopes.scope == {"m": "o", "n": RUN}


def test_where_a_failure_arrives():
    graph = graph_of("s:start b:branch a:linear c:decision m:merge x:exit y:exit", "s>b>a>m>x b>c c>m[on] c>y[off]")
    scopes = analyse(graph, "s")
    assert scopes.failure_target("a") == "m"
    assert scopes.failure_target("c") == "m"  # of its paths, those that meet a merge meet this one
    assert scopes.failure_target("s") is None  # in no instance: the run's failure
    assert scopes.failure_target("m") is None  # nothing further on
    assert scopes.failure_target("a") == "m"  # asked again, answered alike


def test_a_failure_with_two_ways_to_different_merges_is_a_leaf():
    graph = graph_of(
        "s:start b:branch d:decision a:linear c:linear m:merge n:merge x:exit y:exit",
        "s>b>d b>a>m>x b>c>n>y d>m[m] d>n[n]",
    )
    assert analyse(graph, "s").failure_target("d") is None


def test_a_failure_passes_over_a_merge_that_some_paths_avoid():
    graph = graph_of(
        "s:start b:branch d:decision a:linear c:linear m:merge n:merge x:exit", "s>b>d b>a>m>n>x b>c>n d>m[m] d>n[n]"
    )
    assert analyse(graph, "s").failure_target("d") == "n"


def test_a_very_long_chain_is_no_problem():
    count = 3000
    names = [f"n{i}" for i in range(count)]
    graph = graph_of("s:start " + " ".join(f"{n}:linear" for n in names) + " x:exit", ">".join(["s", *names, "x"]))
    scopes = analyse(graph, "s")
    assert len(scopes.reachable) == count + 2
    assert scopes.idom["x"] == names[-1]
