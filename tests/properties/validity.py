"""Whether a graph keeps W3, W6 and W7, by brute force."""

import msgspec
from scoping import Scoping

from clew.core.graph import Graph, Node

_COUNTS = {
    "start": ((0, 0), (1, 1)),
    "linear": ((1, 1), (1, 1)),
    "decision": ((1, 1), (2, 99)),
    "branch": ((1, 1), (2, 99)),
    "split": ((1, 1), (1, 99)),
    "merge": ((1, 99), (1, 1)),
    "exit": ((1, 99), (0, 0)),
}


def problems(graph: Graph) -> list[str]:
    """What of W3, W6 and W7 the graph violates (empty: valid)."""
    found: list[str] = []
    for node in graph.nodes:
        normal = [e for e in graph.edges if e.source == node.id and not e.on_failure]
        failing = [e for e in graph.edges if e.source == node.id and e.on_failure]
        incoming = [e for e in graph.edges if e.target == node.id]
        (few, many), (least, most) = _COUNTS[node.role]
        if not (few <= len(incoming) <= many and least <= len(normal) <= most):
            found.append(f"{node.id}: edge counts")
        if len(failing) > (0 if node.role in ("start", "exit") else 1):
            found.append(f"{node.id}: failure edges")
        if node.continue_on_failure and (failing or node.role not in ("linear", "merge")):
            found.append(f"{node.id}: continue_on_failure")
        if node.over is not None and (node.role != "split" or len(normal) != 1):
            found.append(f"{node.id}: over")
        if node.role == "decision" and len({e.label for e in normal} - {None}) != len(normal):
            found.append(f"{node.id}: labels")
    if sum(n.default for n in graph.nodes if n.role == "start") != 1:
        found.append("one default start")
    return found or _problems_seen_from_starts(graph)


def _problems_seen_from_starts(graph: Graph) -> list[str]:
    found: list[str] = []
    seen: set[str] = set()
    for start in (n.id for n in graph.nodes if n.role == "start"):
        try:
            scoping = Scoping(graph, start)
        except ValueError as error:
            return [str(error)]
        seen |= scoping.here
        for node in scoping.here:
            if any(other != node and scoping.reaches(other, node) for other in scoping.reach(node)):
                return [f"{node}: lies on a cycle"]
            if not any(scoping.nodes[n].role == "exit" for n in scoping.reach(node)):
                found.append(f"{node}: reaches no exit")
        for merge in scoping.merges:
            joins = scoping.nodes[merge].joins
            if joins is not None and joins not in scoping.can_join(merge):
                found.append(f"{merge}: joins {joins}")
            if sum(e.target == merge for e in graph.edges) < 2 and not gathers_items(scoping, merge):
                found.append(f"{merge}: one edge, and no split with over is open")
    return found + [f"{n.id}: no start reaches it" for n in graph.nodes if n.id not in seen]


def gathers_items(scoping: Scoping, merge: str) -> bool:
    """Whether a split with ``over`` is open at the merge."""
    return any(scoping.nodes[d].over is not None and scoping.is_open(d, merge) for d in scoping.dominators(merge))


def with_node(graph: Graph, node: Node) -> Graph:
    nodes = tuple(node if n.id == node.id else n for n in graph.nodes)
    return msgspec.structs.replace(graph, nodes=nodes)


def is_cyclic(graph: Graph) -> bool:
    left = {n.id for n in graph.nodes}
    edges = list(graph.edges)
    while free := left - {e.target for e in edges}:
        left -= free
        edges = [e for e in edges if e.source in left]
    return bool(left)
