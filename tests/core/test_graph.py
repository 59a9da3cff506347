from clew.core.graph import Backoff, Edge, Graph, Node, Retry


def test_defaults_are_those_of_the_contract():
    node = Node(id="a", role="linear")
    assert (node.kind, node.wait, node.on_failure, node.retry) == ("deterministic", "all", "fail", Retry())
    assert (Retry().max_attempts, Retry().on) == (1, ())
    assert (Backoff().initial_ms, Backoff().factor, Backoff().max_ms) == (1000, 2.0, 30_000)
    assert Graph(nodes=(), edges=()).max_arms == 8
    assert not Edge(source="a", target="b").on_failure
