"""Edges: ends, labels, counts by role, cycles (requirement W3). Scopes are ``scope_check``'s.

In an acyclic graph every node is reached from a start and reaches an exit exactly if all counts are right, so a count
problem says that too and no further one is made of it.
"""

from collections import defaultdict

from clew.manifest.context import Context
from clew.manifest.models.workflow import EdgeModel, NodeModel
from clew.manifest.problems import Path, shown

NODES: Path = ("workflow", "nodes")
EDGES: Path = ("workflow", "edges")

Bounds = tuple[int, int | None]

COUNTS: dict[str, tuple[Bounds, Bounds]] = {
    "start": ((0, 0), (1, 1)),
    "linear": ((1, 1), (1, 1)),
    "decision": ((1, 1), (2, None)),
    "branch": ((1, 1), (2, None)),
    "split": ((1, 1), (1, None)),
    "merge": ((1, None), (1, 1)),
    "exit": ((1, None), (0, 0)),
}
"""Role -> incoming edges of both kinds, outgoing normal edges. A merge of one edge is ``scope_check``'s to judge."""


class _Edges:
    """The edges that can be used, by their ends; which counts are not to be trusted."""

    def __init__(self) -> None:
        self.incoming: dict[str, list[int]] = defaultdict(list)
        self.outgoing: dict[str, list[int]] = defaultdict(list)
        self.failure: dict[str, list[int]] = defaultdict(list)
        self.vague_in: set[str] = set()
        self.vague_out: set[str] = set()
        self.vague = False
        """An edge leads somewhere unknown: nothing can be said to have too few edges."""


def check_graph(context: Context) -> bool:
    """Reports what is wrong with the edges; true when the graph can be analysed further."""
    if not context.sound(NODES, EDGES):
        return False
    before = len(context.problems)
    nodes: dict[str, tuple[int, NodeModel]] = {}
    for index, node in enumerate(context.project.workflow.nodes):
        if context.sound((*NODES, index), (*NODES, index, "id")):
            nodes.setdefault(node.id, (index, node))
    edges = _ends(context, nodes)
    edges.vague_in.update(() if _starts(context) else nodes)
    _check_edges(context, nodes, edges)
    cyclic = _cycles(context, edges)
    for name, (index, node) in nodes.items():
        if context.sound((*NODES, index, "role")) and name not in cyclic:
            _counts(context, edges, index, node)
    complete = len(nodes) == len(context.project.workflow.nodes)
    roles = all(context.sound((*NODES, index, "role")) for index, _ in nodes.values())
    return complete and roles and len(context.problems) == before and not edges.vague


def _ends(context: Context, nodes: dict[str, tuple[int, NodeModel]]) -> _Edges:
    edges = _Edges()
    complete = len(nodes) == len(context.project.workflow.nodes)
    for index, edge in enumerate(context.project.workflow.edges):
        path = (*EDGES, index)
        if not context.sound(path):
            edges.vague = True
            continue
        ends = ((edge.source, "from", edges.vague_out), (edge.target, "to", edges.vague_in))
        known = True
        for name, key, vague in ends:
            if not context.sound((*path, key)):
                edges.vague = True
                known = False
            elif name not in nodes:
                known = False
                meant = context.problems.closest(name, nodes)
                vague.add(meant)
                edges.vague = edges.vague or not meant
                if complete:
                    context.unknown((*path, key), name, nodes, "a node id")
        failure = edge.on == "failure"
        if edge.source in nodes and context.sound((*path, "from"), (*path, "on")):
            (edges.failure if failure else edges.outgoing)[edge.source].append(index)
        if edge.target in nodes and context.sound((*path, "to")):
            edges.incoming[edge.target].append(index)
        if not known:
            edges.vague_in.add(edge.target)
            edges.vague_out.add(edge.source)
        if not context.sound((*path, "on")):
            edges.vague = True
    return edges


def _starts(context: Context) -> bool:
    """Whether there may be a start; without one, nothing is said about nodes that are not reached."""
    nodes = context.project.workflow.nodes
    if not all(context.sound((*NODES, index), (*NODES, index, "role")) for index in range(len(nodes))):
        return True
    starts = [(index, node) for index, node in enumerate(nodes) if node.role == "start"]
    if not starts:
        context.report(NODES, "start", "no node has the role start, so nothing can run")
        return False
    defaults = [index for index, node in starts if node.default]
    if len(starts) > 1 and not defaults and all(context.sound((*NODES, index, "default")) for index, _ in starts):
        names = ", ".join(node.id for _, node in starts)
        where = (*NODES, starts[1][0], "role")
        context.report(where, "start", f"there are several starts ({names}); write default: true on exactly one")
    for index in defaults[1:]:
        first = context.mark((*NODES, defaults[0], "default"))
        where = (*NODES, index, "default")
        context.report(where, "start", f"a second default start; the first is at {first}")
    return True


def _check_edges(context: Context, nodes: dict[str, tuple[int, NodeModel]], edges: _Edges) -> None:
    labels: dict[tuple[str, str], int] = {}
    for index, edge in enumerate(context.project.workflow.edges):
        path = (*EDGES, index)
        source = nodes.get(edge.source)
        if source is None or not context.sound(path, (*path, "from"), (*path, "on"), (*NODES, source[0], "role")):
            continue
        if edge.on == "failure":
            _failure_edge(context, edges, edge, index, source)
        elif source[1].role == "decision":
            _label(context, edge, index, labels)
        elif edge.label is not None and source[1].role not in ("branch", "split"):
            message = f"only edges of a decision, branch or split have labels; {shown(edge.source)} is of role {source[1].role}"
            context.misplaced((*path, "label"), message)


def _failure_edge(context: Context, edges: _Edges, edge: EdgeModel, index: int, source: tuple[int, NodeModel]) -> None:
    path = (*EDGES, index)
    node = source[1]
    if edge.label is not None:
        context.misplaced((*path, "label"), "a failure edge has no label")
    if node.role in ("start", "exit"):
        message = f"{shown(node.id)} is of role {node.role}: starts and exits have no failure edge"
        context.report((*path, "on"), "failure_edge", message)
    elif node.continue_on_failure:
        message = f"{shown(node.id)} has continue_on_failure, which excludes a failure edge"
        context.report((*path, "on"), "failure_edge", message)
    first = edges.failure[edge.source][0]
    if index != first:
        message = f"{shown(edge.source)} has a failure edge already, at {context.mark((*EDGES, first))}"
        context.report((*path, "on"), "failure_edge", message)


def _label(context: Context, edge: EdgeModel, index: int, labels: dict[tuple[str, str], int]) -> None:
    path = (*EDGES, index)
    if not context.sound((*path, "label")):
        return
    if edge.label is None:
        message = f"the label is missing: {shown(edge.source)} is a decision, its output names the edge to take"
        context.report(path, "label", message)
        return
    first = labels.setdefault((edge.source, edge.label), index)
    if first != index:
        earlier = context.mark((*EDGES, first, "label"))
        message = f"{shown(edge.source)} has an edge with the label {shown(edge.label)} already, at {earlier}"
        context.report((*path, "label"), "label", message)


def _cycles(context: Context, edges: _Edges) -> set[str]:
    """Reports each cycle once, at the edge that closes it; the nodes of all of them."""
    targets: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for target, indexes in edges.incoming.items():
        for index in indexes:
            targets[context.project.workflow.edges[index].source].append((target, index))
    cyclic: set[str] = set()
    done: set[str] = set()
    for root in list(targets):
        trail: list[str] = []
        on_trail: dict[str, int] = {}
        stack: list[tuple[str, int]] = [(root, 0)]
        while stack:
            node, position = stack.pop()
            if position == 0:
                if node in done:
                    continue
                on_trail[node] = len(trail)
                trail.append(node)
            if position >= len(targets[node]):
                done.add(node)
                del on_trail[trail.pop()]
                continue
            stack.append((node, position + 1))
            target, index = targets[node][position]
            if target in on_trail:
                around = trail[on_trail[target] :]
                if not cyclic.intersection(around):
                    _report_cycle(context, around, index)
                cyclic.update(around)
            elif target not in done:
                stack.append((target, 0))
    return cyclic


def _report_cycle(context: Context, around: list[str], index: int) -> None:
    listed = around if len(around) <= 8 else [*around[:4], "…", *around[-3:]]
    message = f"closes the cycle {' → '.join([*listed, around[0]])}; a workflow is acyclic"
    context.report((*EDGES, index), "cycle", message)


def _counts(context: Context, edges: _Edges, index: int, node: NodeModel) -> None:
    (least_in, most_in), (least_out, most_out) = COUNTS[node.role]
    if node.role == "split" and node.over is not None:
        most_out = 1
    incoming, outgoing = edges.incoming[node.id], edges.outgoing[node.id]
    path = (*NODES, index, "id")
    named = f"{shown(node.id)} ({node.role}{' with over' if most_out == 1 and node.role == 'split' else ''})"
    if len(incoming) < least_in and not edges.vague and node.id not in edges.vague_in:
        message = f"{named} has no incoming edge, expected {_bounds(least_in, most_in)}: it is never reached"
        context.report(path, "edge_count", message)
    if most_in is not None and len(incoming) > most_in:
        hint = "" if node.role == "start" else "; only merges and exits have several"
        message = f"{named} has {_listed(context, incoming)} incoming, expected {_bounds(least_in, most_in)}{hint}"
        context.report(path, "edge_count", message)
    if len(outgoing) < least_out and not edges.vague and node.id not in edges.vague_out:
        has = "no outgoing edge" if not outgoing else f"{len(outgoing)} outgoing edge"
        ending = "" if outgoing else ": no exit is reached"
        message = f"{named} has {has}, expected {_bounds(least_out, most_out)}{ending}"
        context.report(path, "edge_count", message)
    if most_out is not None and len(outgoing) > most_out:
        message = f"{named} has {_listed(context, outgoing)} outgoing, expected {_bounds(least_out, most_out)}"
        context.report(path, "edge_count", message)


def _listed(context: Context, indexes: list[int]) -> str:
    lines = ", ".join(str(context.mark((*EDGES, index)).line) for index in indexes[:6])
    more = ", …" if len(indexes) > 6 else ""
    return f"{len(indexes)} edge{'s' if len(indexes) > 1 else ''} (line{'s' if len(indexes) > 1 else ''} {lines}{more})"


def _bounds(least: int, most: int | None) -> str:
    if most is None:
        return f"{least} or more"
    return "none" if most == 0 else str(least)
