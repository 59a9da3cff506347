"""Makes a failing case small: takes nodes, edges and settings away while it is valid and still fails."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import msgspec
from graphs import Case
from validity import is_cyclic, problems, with_node

from clew.core.graph import Graph, Node, Retry

PLAIN = {
    "joins": None,
    "wait": "all",
    "max_parallel": None,
    "on_failure": "fail",
    "always_fail": False,
    "continue_on_failure": False,
    "retry": Retry(),
}


def shrink(case: Case, fails: Callable[[Case], bool], tries: int = 3_000) -> Case:
    """The smallest case found from which nothing more can be taken. ``fails`` must hold for ``case``."""
    found = True
    while found and tries > 0:
        found = False
        for graph in smaller(case.graph):
            tries -= 1
            if is_cyclic(graph) or problems(graph) or all(n.id != case.start for n in graph.nodes):
                continue
            candidate = replace(case, graph=graph)
            if fails(candidate):
                case, found = candidate, True
                break
    return case


def smaller(graph: Graph) -> Iterator[Graph]:
    """Graphs with a little less; not all of them valid. The largest bites come first."""
    exits = [n.id for n in graph.nodes if n.role == "exit"]
    merges = [n.id for n in graph.nodes if n.role == "merge"]
    for edge in graph.edges:
        for target in (*exits[:1], *merges):
            if edge.target not in exits and edge.target != target:
                edges = tuple(msgspec.structs.replace(e, target=target) if e is edge else e for e in graph.edges)
                yield pruned(msgspec.structs.replace(graph, edges=edges))
    for edge in graph.edges:
        yield pruned(msgspec.structs.replace(graph, edges=tuple(e for e in graph.edges if e is not edge)))
    for node in graph.nodes:
        yield bypassed(graph, node)
    for node in graph.nodes:
        if node.role == "decision" or node.role in ("branch", "split"):
            linear = Node(id=node.id, kind=node.kind, role="linear", retry=node.retry)
            first = next(e for e in graph.edges if e.source == node.id and not e.on_failure)
            edges = tuple(e for e in graph.edges if e.source != node.id or e is first or e.on_failure)
            yield pruned(with_node(msgspec.structs.replace(graph, edges=edges), linear))
        for name, value in PLAIN.items():
            if getattr(node, name) != value:
                yield with_node(graph, msgspec.structs.replace(node, **{name: value}))


def bypassed(graph: Graph, node: Node) -> Graph:
    """Without the node: what led to it leads to where its first edge led."""
    after = next((e.target for e in graph.edges if e.source == node.id and not e.on_failure), None)
    if node.role in ("start", "exit") or after is None:
        return graph
    edges = tuple(
        msgspec.structs.replace(e, target=after) if e.target == node.id else e
        for e in graph.edges
        if e.source != node.id
    )
    nodes = tuple(n for n in graph.nodes if n.id != node.id)
    return pruned(msgspec.structs.replace(graph, nodes=nodes, edges=edges))


def pruned(graph: Graph) -> Graph:
    """Without what no start reaches; merges left with one edge become linear nodes where no item is gathered."""
    seen = {n.id for n in graph.nodes if n.role == "start"}
    while more := {e.target for e in graph.edges if e.source in seen} - seen:
        seen |= more
    nodes = tuple(n for n in graph.nodes if n.id in seen)
    graph = msgspec.structs.replace(graph, nodes=nodes, edges=tuple(e for e in graph.edges if e.source in seen))
    lonely = [n for n in nodes if n.role == "merge" and sum(e.target == n.id for e in graph.edges) == 1]
    if lonely and problems(graph):
        for node in lonely:
            plain = msgspec.structs.replace(node, role="linear", on_failure="fail", joins=None)
            graph = with_node(graph, plain)
    return graph


def described(case: Case) -> str:
    """The case as text, one line per node, to be read in a failure message."""
    lines = [f"seed {case.seed}, start {case.start}, fail_rate {case.fail_rate}"]
    for node in case.graph.nodes:
        extras = [f"over={node.over}"] if node.over else []
        extras += [f"{k}={v}" for k in PLAIN if (v := getattr(node, k)) != PLAIN[k] and k != "retry"]
        extras += [f"attempts={node.retry.max_attempts} on={list(node.retry.on)}"] if node.retry != Retry() else []
        extras += [f"scope={case.scoping.scope(node.id) or 'the run'}"] if node.id in case.scoping.merges else []
        edges = [e for e in case.graph.edges if e.source == node.id]
        targets = [
            ("on failure " if e.on_failure else "") + e.target + (f" [{e.label}]" if e.label else "") for e in edges
        ]
        lines.append(f"  {node.id} {node.role} {' '.join(extras)} -> {', '.join(targets)}")
    return "\n".join(lines)
