"""Random graphs that satisfy W3, biased towards what is hard in W5 and W6, and random outcomes for their bodies.

Built by growing: a pool of open edges, to which new nodes are attached one at a time; attaching several open edges to
one node makes a merge or an exit. So every graph is acyclic and connected by construction; the few rules that look at
the whole graph (``joins``, merges with one edge) are settled at the end.
"""

import random
import zlib
from dataclasses import dataclass, field
from typing import Any

import msgspec
from reference import Outcome
from scoping import Scoping
from validity import gathers_items, is_cyclic, problems, with_node
from values import canonical

from clew.core.graph import Backoff, Edge, Graph, Node, Retry

CODES = ("boom", "provider", "timeout", "crashed")
OVER = ("items", "list.0", "a.b", "subtask_inputs")


@dataclass
class Case:
    """A graph, the start to run from, the run's input, and a seed from which all outcomes follow."""

    seed: int
    graph: Graph
    start: str
    fail_rate: float
    run_input: Any = None
    empty_rate: float = 0.2
    scoping: Scoping = field(init=False)

    def __post_init__(self) -> None:
        self.scoping = Scoping(self.graph, self.start)

    @property
    def ordered(self) -> bool:
        """Whether the result may depend on the order of completions."""
        return any(n.wait == "first" for n in self.graph.nodes)

    def outcome(self, task: str, node: str, value: Any, attempt: int) -> Outcome:
        spec = self.scoping.nodes[node]
        rng = random.Random(f"{self.seed}/{task}/{node}/{attempt}")
        if rng.random() < (self.fail_rate / 3 if spec.role == "start" else self.fail_rate):
            return "fail", rng.choice(CODES)
        mark = f"{node}:{zlib.crc32(canonical(value).encode()):08x}"
        if spec.role == "decision":
            return "ok", self._decides(rng, node, mark)
        if spec.role == "split":
            return "ok", self._splits(rng, spec, mark)
        return "ok", rng.choice(({"by": mark}, mark, [mark], {"by": mark, "route": "e0"}))

    def _decides(self, rng: random.Random, node: str, mark: str) -> Any:
        labels = [e.label for e in self.scoping.edges_out[node] if not e.on_failure]
        label: Any = rng.choice(labels)
        if rng.random() < 0.06:
            label = rng.choice(("nowhere", None, 3))
        if rng.random() < 0.2:
            return label
        key = rng.choice(("route", "selected_edge", "selected_edge_label", "decision", "condition", "next"))
        more = {"next": "nowhere"} if rng.random() < 0.1 and key != "next" else {}
        return {**more, key: label, "by": mark}

    def _splits(self, rng: random.Random, spec: Node, mark: str) -> Any:
        count = 0 if rng.random() < self.empty_rate else rng.choice((1, 2, 2, 3, 4))
        items: Any = [rng.choice((f"{mark}/{i}", {"item": i}, i, None)) for i in range(count)]
        if rng.random() < 0.06:
            items = rng.choice(({"no": "list"}, None, "text"))
        shapes: dict[str | None, Any] = {
            "items": {"items": items, "by": mark},
            "list.0": {"list": [items, "other"]},
            "a.b": {"a": {"b": items}},
            "subtask_inputs": {"subtask_inputs": items},
            None: {"subtask_inputs": items} if rng.random() < 0.3 else {"by": mark},
        }
        return shapes[spec.over]


@dataclass
class _Grower:
    rng: random.Random
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    pool: list[Edge] = field(default_factory=list)
    """Open edges, the newest last; their target is not known yet."""
    recovers: float = 0.4
    """How often a node gets a failure edge."""
    carries_on: float = 0.3
    """How often a node says ``continue_on_failure``."""

    def attach(self, role: str, taken: list[Edge], **fields: Any) -> Node:
        node = Node(id=f"{role[0]}{len(self.nodes)}", role=role, **fields)  # type: ignore[arg-type]
        self.nodes.append(node)
        for edge in taken:
            self.pool.remove(edge)
            self.edges.append(msgspec.structs.replace(edge, target=node.id))
        return node

    def opens(self, node: Node, count: int, labels: bool = False) -> None:
        for i in range(count):
            self.pool.append(Edge(source=node.id, target=f"?{i}", label=f"e{i}" if labels else None))

    def may_fail_over(self, node: Node) -> None:
        if self.rng.random() < self.recovers and not node.continue_on_failure:
            self.pool.append(Edge(source=node.id, target="?f", on_failure=True))

    def pick(self, count: int) -> list[Edge]:
        """Open edges, mostly neighbours in the pool: those come from the same fragment."""
        rng, pool = self.rng, self.pool
        count = min(count, len(pool))
        if rng.random() < 0.7:
            first = rng.choice((len(pool) - count, rng.randint(0, len(pool) - count)))
            chosen = pool[first : first + count]
        else:
            chosen = rng.sample(pool, count)
        once: dict[str, Edge] = {}
        for edge in chosen:
            if edge.source not in once or rng.random() < 0.15:
                once[edge.source if edge.source not in once else f"{edge.source}+{edge.target}"] = edge
        return list(once.values())

    def grow(self) -> None:
        rng = self.rng
        role = rng.choices(("linear", "decision", "branch", "split", "merge", "exit"), (3, 2, 3, 3.5, 7, 0.8))[0]
        if role == "merge":
            self.merge()
            return
        if role == "exit":
            if len(self.pool) > 1:
                self.attach("exit", self.pick(rng.choice((1, 1, 2))), always_fail=rng.random() < 0.2)
            return
        retry = Retry()
        if rng.random() < 0.15:
            on = () if rng.random() < 0.6 else tuple(rng.sample(CODES, 2))
            retry = Retry(max_attempts=rng.choice((2, 3)), on=on, backoff=Backoff(initial_ms=rng.choice((0, 100))))
        getattr(self, role)(self.pick(1), retry)

    def linear(self, taken: list[Edge], retry: Retry) -> None:
        node = self.attach("linear", taken, continue_on_failure=self.rng.random() < self.carries_on, retry=retry)
        self.opens(node, 1)
        self.may_fail_over(node)

    def decision(self, taken: list[Edge], retry: Retry) -> None:
        node = self.attach("decision", taken, retry=retry)
        self.opens(node, self.rng.choice((2, 2, 3)), labels=True)
        self.may_fail_over(node)

    def branch(self, taken: list[Edge], retry: Retry) -> None:
        wait = "first" if self.rng.random() < 0.15 else "all"
        node = self.attach("branch", taken, wait=wait, retry=retry)
        self.opens(node, self.rng.choice((2, 2, 3)))
        self.may_fail_over(node)

    def split(self, taken: list[Edge], retry: Retry) -> None:
        rng = self.rng
        over = rng.choice(OVER) if rng.random() < 0.7 else None
        node = self.attach("split", taken, over=over, max_parallel=rng.choice((None, None, 1, 2)), retry=retry)
        self.opens(node, 1 if over or rng.random() < 0.3 else rng.choice((2, 2, 3)))
        self.may_fail_over(node)

    def merge(self) -> None:
        rng = self.rng
        taken = self.pick(rng.choice((1, 1, 2, 2, 2, 3)))
        retry = Retry(max_attempts=2) if rng.random() < 0.1 else Retry()
        node = self.attach(
            "merge",
            taken,
            on_failure=rng.choice(("fail", "fail", "ignore", "partial")),
            continue_on_failure=rng.random() < self.carries_on / 2,
            retry=retry,
        )
        self.opens(node, 1)
        self.may_fail_over(node)

    def close(self) -> None:
        while len(self.pool) > 1 and self.rng.random() < 0.6:
            self.merge()
        while self.pool:
            taken = self.pick(self.rng.choice((1, 2, 3)))
            self.attach("exit", taken, always_fail=self.rng.random() < 0.15)


def random_graph(rng: random.Random) -> Graph:
    grower = _Grower(rng, recovers=rng.choice((0.0, 0.2, 0.5)), carries_on=rng.choice((0.0, 0.2, 0.6)))
    for number in range(1 if rng.random() < 0.92 else 2):
        start = grower.attach("start", [], default=number == 0, retry=Retry(max_attempts=rng.choice((1, 1, 1, 2))))
        grower.opens(start, 1)
    wanted = rng.choice((4, 7, 9, 12, 15, 18, 22))
    while grower.pool and len(grower.nodes) < wanted:
        grower.grow()
    grower.close()
    return settle(Graph(nodes=tuple(grower.nodes), edges=tuple(grower.edges), max_arms=rng.choice((1, 2, 8, 8))), rng)


def settle(graph: Graph, rng: random.Random) -> Graph:
    """Turns merges with one edge and no open ``over`` split into linear nodes, and names ``joins`` where some can be."""
    starts = [n.id for n in graph.nodes if n.role == "start"]
    for node in graph.nodes:
        if node.role != "merge":
            continue
        views = [s for s in (Scoping(graph, start) for start in starts) if node.id in s.here]
        incoming = [e for e in graph.edges if e.target == node.id]
        if len(incoming) < 2 and not all(gathers_items(s, node.id) for s in views):
            graph = with_node(graph, msgspec.structs.replace(node, role="linear", on_failure="fail", joins=None))
        elif rng.random() < 0.4:
            able = [d for d in views[0].can_join(node.id) if all(d in s.can_join(node.id) for s in views)]
            if able:
                graph = with_node(graph, msgspec.structs.replace(node, joins=rng.choice(able)))
    if problems(graph):
        return settle(without_joins(graph), rng)
    return graph


def without_joins(graph: Graph) -> Graph:
    return msgspec.structs.replace(graph, nodes=tuple(msgspec.structs.replace(n, joins=None) for n in graph.nodes))


def rewired(graph: Graph, rng: random.Random) -> Graph:
    """One edge turned to another merge or exit, or two edges' targets exchanged; the graph as it was where that is no use."""
    edges = list(graph.edges)
    first = rng.randrange(len(edges))
    if rng.random() < 0.5:
        second = rng.randrange(len(edges))
        targets = edges[first].target, edges[second].target
        edges[first] = msgspec.structs.replace(edges[first], target=targets[1])
        edges[second] = msgspec.structs.replace(edges[second], target=targets[0])
    else:
        several = [n.id for n in graph.nodes if n.role in ("merge", "exit")]
        edges[first] = msgspec.structs.replace(edges[first], target=rng.choice(several))
    candidate = msgspec.structs.replace(graph, edges=tuple(edges))
    return graph if is_cyclic(candidate) or problems(candidate) else candidate


def random_case(seed: int) -> Case:
    rng = random.Random(seed)
    graph = random_graph(rng)
    if rng.random() < 0.25:
        graph = rewired(graph, rng)
    starts = [n.id for n in graph.nodes if n.role == "start"]
    return Case(
        seed=seed,
        graph=graph,
        start=rng.choice(starts),
        fail_rate=rng.choice((0.0, 0.05, 0.1, 0.2, 0.4)),
        empty_rate=rng.choice((0.1, 0.3)),
        run_input=rng.choice((None, {"q": 1}, "text", [1, 2])),
    )
