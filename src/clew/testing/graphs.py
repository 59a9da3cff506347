"""Graphs in one line each, for tests of the core."""

import re
from typing import Any, cast

from clew.core.graph import Edge, Graph, Node, Role

_STEP = re.compile(r"([>!])([\w.-]+)(?:\[([^\]]*)\])?")


def graph_of(nodes: str, edges: str, *, max_arms: int = 8, **options: dict[str, Any]) -> Graph:
    """A graph. ``nodes``: ``"s:start a:linear x:exit"``; ``edges``: chains such as ``"s>d d>a[left]>x d>b[right] a!x"``, where
    ``>`` is a normal edge, ``!`` a failure edge and brackets hold a label. ``options``: node id -> further fields of ``Node``.

    The graph is not checked. Raises ValueError for text that is neither.
    """
    found: list[Node] = []
    for word in nodes.split():
        ident, colon, role = word.partition(":")
        if not colon:
            raise ValueError(f"{word!r} is not id:role")
        found.append(Node(id=ident, role=cast("Role", role), **options.get(ident, {})))
    return Graph(nodes=tuple(found), edges=tuple(edges_of(edges)), max_arms=max_arms)


def edges_of(text: str) -> list[Edge]:
    """The edges of chains such as ``"s>d d>a[left]>x a!x"``. Raises ValueError."""
    return [edge for word in text.split() for edge in _chain(word)]


def _chain(word: str) -> list[Edge]:
    source, at = re.match(r"[\w.-]*", word), 0
    name = source.group() if source else ""
    at = len(name)
    chain: list[Edge] = []
    while at < len(word):
        step = _STEP.match(word, at)
        if step is None or not name:
            raise ValueError(f"{word!r} is no chain of edges; it breaks at {word[at:]!r}")
        kind, target, label = step.groups()
        chain.append(Edge(source=name, target=target, label=label, on_failure=kind == "!"))
        name, at = target, step.end()
    return chain
