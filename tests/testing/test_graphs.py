import pytest

from clew.core.graph import Edge
from clew.testing import graph_of
from clew.testing.graphs import edges_of


def test_chains_labels_and_failures():
    assert edges_of("s>a>x d>a[left] a!f") == [
        Edge(source="s", target="a"), Edge(source="a", target="x"), Edge(source="d", target="a", label="left"),
        Edge(source="a", target="f", on_failure=True),
    ]  # fmt: skip


def test_options_become_fields():
    graph = graph_of("s:start p:split x:exit", "s>p>x", max_arms=3, p={"over": "rows"})
    assert [(n.id, n.role, n.over) for n in graph.nodes] == [
        ("s", "start", None),
        ("p", "split", "rows"),
        ("x", "exit", None),
    ]
    assert graph.max_arms == 3


@pytest.mark.parametrize("text", ["s>>a", ">a", "s>a[left", "s-a>", "a!", "s>a*b"])
def test_what_is_no_chain(text):
    with pytest.raises(ValueError, match="no chain"):
        edges_of(text)


def test_what_is_no_node():
    with pytest.raises(ValueError, match="'s' is not id:role"):
        graph_of("s", "")
