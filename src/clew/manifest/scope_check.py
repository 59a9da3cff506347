"""Merges and their scopes (requirement W6), by the analysis that the machine itself uses."""

from clew.core.graph import Graph
from clew.core.scopes import Scopes, analyse
from clew.manifest.context import Context
from clew.manifest.graph_check import NODES
from clew.manifest.problems import shown

MAX_NODES = 2_000
"""The analysis takes time that grows faster than the graph."""


def check_joins(context: Context) -> None:
    """Reports every ``joins`` that names no node, or none that can be a scope."""
    workflow = context.project.workflow
    nodes = {node.id: node for node in workflow.nodes}
    failing = {edge.source for edge in workflow.edges if edge.on == "failure"}
    for index, node in enumerate(workflow.nodes):
        path = (*NODES, index, "joins")
        if node.joins is None or node.role != "merge" or not context.sound((*NODES, index), path):
            continue
        scope = nodes.get(node.joins)
        if scope is None:
            context.refer(path, node.joins, nodes, "a node id")
            context.shape.damage(path)
        elif scope.role not in ("branch", "split", "decision") and node.joins not in failing:
            message = f"{shown(node.joins)} opens no scope: it is of role {scope.role} and has no failure edge"
            context.report(path, "scope", message)
            context.shape.damage(path)


def check_scopes(context: Context, graph: Graph) -> None:
    """Reports merges that cannot be, and warns of those that gather more than may be meant."""
    if len(graph.nodes) > MAX_NODES:
        context.report(NODES, "size", f"there are {len(graph.nodes)} nodes, expected {MAX_NODES} at most")
        return
    incoming: dict[str, int] = {}
    failing = {edge.source for edge in graph.edges if edge.on_failure}
    for edge in graph.edges:
        incoming[edge.target] = incoming.get(edge.target, 0) + 1
    place = {node.id: (*NODES, index) for index, node in enumerate(graph.nodes)}
    roles = {node.id: node for node in graph.nodes}
    for start in (node.id for node in graph.nodes if node.role == "start"):
        scopes = analyse(graph, start)
        for merge, why in scopes.problems:
            if context.sound((*place[merge], "joins")):
                context.report((*place[merge], "joins"), "scope", why)
        for merge in scopes.merges:
            if incoming.get(merge, 0) == 1 and not any(roles[n].over is not None for n in scopes.open_at[merge]):
                message = (
                    f"{shown(merge)} (merge) has 1 incoming edge, expected 2 or more: no split with over is open here"
                )
                context.report((*place[merge], "id"), "edge_count", message)
            elif roles[merge].joins is None and (inner := per_item(scopes, merge, failing)) is not None:
                message = f"gathers all items of {scopes.scope[merge]}; write `joins: {inner}` to rejoin per item"
                context.report((*place[merge], "id"), "gathers", message, severity="warning")


def per_item(scopes: Scopes, merge: str, failing: set[str]) -> str | None:
    """The node that ``merge`` could join item by item, where its scope is a split over a list and so gathers them all.

    W6 speaks of the immediate dominator; only one that can be named in ``joins`` and lies inside the scope is meant.
    """
    scope, inner = scopes.scope[merge], scopes.idom[merge]
    if scope is None or inner is None or inner == scope or scopes.nodes[scope].over is None:
        return None
    joinable = scopes.nodes[inner].role == "decision" or inner in failing
    return inner if joinable and inner in scopes.open_at[merge] else None
