"""A Plan's graph as Mermaid or as text: roles, labels, failure edges and each merge's scope."""

from clew.core.graph import Edge, Graph, Node
from clew.core.scopes import Scopes, analyse
from clew.manifest.compiled import Plan

_SHAPES = {
    "start": ('(["', '"])'),
    "exit": ('(["', '"])'),
    "linear": ('["', '"]'),
    "decision": ('{"', '"}'),
    "branch": ('{{"', '"}}'),
    "split": ('[/"', '"\\]'),
    "merge": ('[\\"', '"/]'),
}
"""Role -> how Mermaid draws it."""


def start_of(graph: Graph, start: str | None) -> str:
    """The start that is meant. Raises KeyError when the graph has no such start."""
    for node in graph.nodes:
        if node.role == "start" and (node.id == start if start is not None else node.default):
            return node.id
    raise KeyError(start or "default start")


def mermaid(plan: Plan, start: str | None = None) -> str:
    """A Mermaid flowchart of what is reachable from ``start`` (the default one). Raises KeyError for an unknown start."""
    graph = plan.graph
    scopes = analyse(graph, start_of(graph, start))
    reachable = set(scopes.reachable)
    alias = {node.id: f"n{index}" for index, node in enumerate(graph.nodes)}
    lines = ["flowchart TD"]
    for node in graph.nodes:
        if node.id in reachable:
            before, after = _SHAPES[node.role]
            lines.append(f"  {alias[node.id]}{before}{'<br/>'.join(_caption(plan, node, scopes))}{after}")
    for edge in graph.edges:
        if edge.source in reachable:
            arrow = "-.->" if edge.on_failure else "-->"
            label = "failure" if edge.on_failure else edge.label
            text = f'|"{_escaped(label)}"|' if label else ""
            lines.append(f"  {alias[edge.source]} {arrow}{text} {alias[edge.target]}")
    return "\n".join(lines) + "\n"


def text(plan: Plan, start: str | None = None) -> str:
    """The same as indented lines, one a node, in the order in which a run meets them."""
    graph = plan.graph
    scopes = analyse(graph, start_of(graph, start))
    nodes = {node.id: node for node in graph.nodes}
    outgoing: dict[str, list[Edge]] = {}
    for edge in graph.edges:
        outgoing.setdefault(edge.source, []).append(edge)
    width = max(len(node) for node in scopes.reachable)
    lines = [f"workflow {plan.workflow}, from {start_of(graph, start)}"]
    for name in scopes.reachable:
        lines.append(f"  {name:<{width}}  {', '.join(_facts(plan, nodes[name], scopes))}")
        for edge in outgoing.get(name, ()):
            mark = "on failure " if edge.on_failure else f"{edge.label}: " if edge.label else ""
            lines.append(f"  {'':<{width}}    -> {mark}{edge.target}")
    others = [node.id for node in graph.nodes if node.id not in set(scopes.reachable)]
    if others:
        lines.append(f"  not reached from here: {', '.join(others)}")
    return "\n".join(lines) + "\n"


def _facts(plan: Plan, node: Node, scopes: Scopes) -> list[str]:
    body = plan.nodes[node.id]
    facts = [node.role if node.kind == "deterministic" else f"{node.role} (agent {body.agent})"]
    if body.handler is not None:
        facts.append(body.handler)
    if node.over is not None:
        facts.append(f"over {node.over}")
    if node.max_parallel is not None:
        facts.append(f"{node.max_parallel} at once")
    if node.wait == "first":
        facts.append("first wins")
    if node.role == "merge":
        facts.append(f"scope {scopes.scope[node.id] or 'the run'}")
        if node.on_failure != "fail":
            facts.append(f"on failure {node.on_failure}")
    if node.always_fail:
        facts.append("always fails")
    if node.continue_on_failure:
        facts.append("continues on failure")
    if body.approval is not None:
        facts.append("needs approval")
    if node.retry.max_attempts > 1:
        facts.append(f"{node.retry.max_attempts} attempts")
    return facts


def _caption(plan: Plan, node: Node, scopes: Scopes) -> list[str]:
    return [_escaped(node.id), *(_escaped(fact) for fact in _facts(plan, node, scopes))]


def _escaped(label: str) -> str:
    """Everything that Mermaid or HTML would read as markup, as entities."""
    return "".join(letter if letter.isalnum() or letter in " _-.,:()/" else f"#{ord(letter)};" for letter in label)
