"""What the graph alone says about branches, splits and merges (requirements W5, W6), computed once per start.

Dominance and reachability are taken over edges of both kinds. Reading order of the terms, as in W6: ``scope`` of a merge,
which merges ``close`` or end a scope, where a scope is ``open``; from these the *lineage* of a node: the scope nodes whose
instances a task standing there is inside of. It is the same for every way to a node, because only merges and exits
have several incoming edges, a merge cuts the lineage back to its scope, and behind an exit there is nothing.
"""

from clew.core.graph import Graph, Node

RUN = None
"""The scope of a merge that no branch, split or ``joins`` node encloses."""


class Scopes:
    """Static facts about one start of a graph. Everything is keyed by node id; only reachable nodes are in.

    scope        merge -> its scope node, or ``RUN``
    lineage      node -> scope nodes around a task that has entered it, outermost first, its own included
    ahead        node -> merges that a member there can still reach, of a scope it is inside of
    opens        nodes that open an instance when a task enters them
    idom         node -> immediate dominator (None for the start)
    open_at      merge -> scope nodes open there, outermost first
    problems     (merge, message) for a ``joins`` that cannot hold
    """

    def __init__(self, graph: Graph, start: str) -> None:
        self.nodes: dict[str, Node] = {n.id: n for n in graph.nodes}
        self.start = start
        self._next: dict[str, list[str]] = {n: [] for n in self.nodes}
        self._normal: dict[str, list[str]] = {n: [] for n in self.nodes}
        for e in graph.edges:
            self._next[e.source].append(e.target)
            if not e.on_failure:
                self._normal[e.source].append(e.target)
        self.reachable = tuple(self._order())
        self._index = {n: i for i, n in enumerate(self.reachable)}
        self._reach = self._reach_masks()
        self._dominators = self._dominator_masks()
        self.idom = {n: self._immediate(n) for n in self.reachable}
        self.merges = tuple(n for n in self.reachable if self.nodes[n].role == "merge")
        self.scope: dict[str, str | None] = {}
        self.open_at: dict[str, tuple[str, ...]] = {}
        self.problems: list[tuple[str, str]] = []
        self._ancestors = self._ancestor_masks()
        self._ended: list[tuple[str, int]] = []
        for merge in self.merges:
            self._assign(merge)
        named = {s for s in self.scope.values() if s is not None}
        self.opens = frozenset(n for n in self.reachable if self.nodes[n].role in ("branch", "split") or n in named)
        self.lineage = self._lineages()
        self.ahead = {n: self._ahead(n) for n in self.reachable}
        self._failure_targets: dict[str, str | None] = {}

    def _order(self) -> list[str]:
        """Reachable nodes in topological order (depth first, iterative: graphs may be thousands of nodes deep)."""
        done: dict[str, bool] = {}
        order: list[str] = []
        stack = [(self.start, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                order.append(node)
            elif node not in done:
                done[node] = True
                stack.append((node, True))
                stack.extend((n, False) for n in reversed(self._next[node]) if n not in done)
        return order[::-1]

    def reaches(self, source: str, target: str) -> bool:
        """A task at ``source`` may come to ``target``, over edges of either kind; no node reaches itself."""
        return bool(self._reach[source] >> self._index[target] & 1)

    def _reach_masks(self) -> dict[str, int]:
        """Per node a bit mask over topological indexes: graphs of thousands of nodes stay cheap."""
        reach: dict[str, int] = {}
        for node in reversed(self.reachable):
            mask = 0
            for target in self._next[node]:
                mask |= reach[target] | 1 << self._index[target]
            reach[node] = mask
        return reach

    def _dominator_masks(self) -> dict[str, int]:
        common: dict[str, int] = {}
        dominators: dict[str, int] = {}
        for node in self.reachable:
            dominators[node] = common.get(node, 0) | 1 << self._index[node]
            for target in self._next[node]:
                common[target] = common.get(target, -1) & dominators[node]
        return dominators

    def _immediate(self, node: str) -> str | None:
        mask = self._dominators[node] ^ 1 << self._index[node]
        return self.reachable[mask.bit_length() - 1] if mask else None

    def _above(self, node: str) -> list[str]:
        """Strict dominators, outermost first."""
        mask = self._dominators[node] ^ 1 << self._index[node]
        above: list[str] = []
        while mask:
            lowest = mask & -mask
            above.append(self.reachable[lowest.bit_length() - 1])
            mask ^= lowest
        return above

    def _ancestor_masks(self) -> dict[str, int]:
        ancestors: dict[str, int] = dict.fromkeys(self.reachable, 0)
        for node in self.reachable:
            for target in self._next[node]:
                ancestors[target] |= ancestors[node] | 1 << self._index[node]
        return ancestors

    def _assign(self, merge: str) -> None:
        above = self._above(merge)
        ended = 0
        for other, mask in self._ended:
            if self._ancestors[merge] >> self._index[other] & 1:
                ended |= mask
        self.open_at[merge] = tuple(t for t in above if not ended >> self._index[t] & 1)
        joins = self.nodes[merge].joins
        if joins is not None and joins not in self.open_at[merge]:
            why = "is closed by a merge before it" if joins in above else "does not dominate it"
            self.problems.append((merge, f"joins {joins!r}, which {why}"))
            joins = None
        enclosing = [t for t in self.open_at[merge] if self.nodes[t].role in ("branch", "split")]
        self.scope[merge] = scope = joins or (enclosing[-1] if enclosing else RUN)
        self._ended.append((merge, self._ends(merge, scope)))

    def _ends(self, merge: str, scope: str | None) -> int:
        """Mask of the scope nodes that ``merge`` ends (its own scope lies outside them) or closes."""
        ended = self._ancestors[merge]
        if scope is not None:
            ended &= ~(self._ancestors[scope] | 1 << self._index[scope])
            if self._closes(merge, scope):
                ended |= 1 << self._index[scope]
        return ended

    def _closes(self, merge: str, scope: str) -> bool:
        """Every merge behind ``merge`` is reachable from ``scope`` only through ``merge``."""
        around = self._walk(scope, self._next, without=merge)
        return not any(m in around for m in self.merges if self.reaches(merge, m))

    @staticmethod
    def _walk(source: str, edges: dict[str, list[str]], *, without: str | None = None) -> set[str]:
        seen: set[str] = set()
        stack = [source]
        while stack:
            for target in edges[stack.pop()]:
                if target != without and target not in seen:
                    seen.add(target)
                    stack.append(target)
        return seen

    def _lineages(self) -> dict[str, tuple[str, ...]]:
        lineage: dict[str, tuple[str, ...]] = {}
        coming: dict[str, tuple[str, ...]] = {self.start: ()}
        for node in self.reachable:
            scope = self.scope.get(node)
            if node in self.scope:
                coming[node] = lineage[scope] if scope is not None else ()
            lineage[node] = coming[node] + ((node,) if node in self.opens else ())
            for target in self._next[node]:
                coming[target] = lineage[node]
        return lineage

    def _ahead(self, node: str) -> tuple[str, ...]:
        inside = (*self.lineage[node], RUN)
        return tuple(m for m in self.merges if self.reaches(node, m) and self.scope[m] in inside)

    def failure_target(self, node: str) -> str | None:
        """The merge at which a task that fails at ``node`` (or splits an empty list there) arrives; None: it is a leaf.

        That is the first merge, scoped in the node's lineage, that lies on all those normal-edge paths from the node
        which meet any such merge. A task in no instance has none: its failure is the run's.
        """
        if node not in self._failure_targets:
            self._failure_targets[node] = self._find_failure_target(node)
        return self._failure_targets[node]

    def _find_failure_target(self, node: str) -> str | None:
        lineage = self.lineage[node]
        if not lineage:
            return None
        inside = (*lineage, RUN)
        onward = self._walk(node, self._normal)
        met = [m for m in self.merges if m in onward and self.scope[m] in inside]
        for candidate in met:
            around = self._walk(node, self._normal, without=candidate)
            others = [m for m in met if m != candidate and m in around]
            if not any(self._leads_out(m, without=candidate) for m in others):
                return candidate
        return None

    def _leads_out(self, node: str, *, without: str) -> bool:
        return any(self.nodes[n].role == "exit" for n in self._walk(node, self._normal, without=without))


def analyse(graph: Graph, start: str) -> Scopes:
    """Static facts of ``graph`` seen from ``start``; the graph must be acyclic."""
    return Scopes(graph, start)
