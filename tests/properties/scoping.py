"""W6's static part by brute force: reachability by searching, dominance by deleting a node and searching again.

Written from the requirement's text, sharing nothing with the engine, so that the two can disagree.
"""

from collections.abc import Iterable
from functools import cached_property

from clew.core.graph import Edge, Graph, Node

RUN = ""
"""The scope that is no node: the run."""


class Scoping:
    """What W6 says about a graph as seen from one start: dominance, scope nodes, open, closes, ends."""

    def __init__(self, graph: Graph, start: str) -> None:
        self.graph = graph
        self.start = start
        self.nodes: dict[str, Node] = {n.id: n for n in graph.nodes}
        self.edges_out: dict[str, list[Edge]] = {
            n.id: [e for e in graph.edges if e.source == n.id] for n in graph.nodes
        }
        self._reach: dict[tuple[str, str | None], frozenset[str]] = {}
        self.here = self.reach(start)
        self.merges = [m for m in self.topological() if self.nodes[m].role == "merge"]
        self._scope: dict[str, str] = {}
        for merge in self.merges:
            self._scope[merge] = self._find_scope(merge)

    def reach(self, source: str, without: str | None = None) -> frozenset[str]:
        """Nodes reachable from ``source`` (itself included) over edges of both kinds, ``without`` a node."""
        known = self._reach.get((source, without))
        if known is None:
            found: set[str] = set()
            todo = [source]
            while todo:
                node = todo.pop()
                if node not in found and node != without:
                    found.add(node)
                    todo += [e.target for e in self.edges_out[node]]
            known = self._reach[source, without] = frozenset(found)
        return known

    def reaches(self, source: str, target: str) -> bool:
        return target in self.reach(source)

    def topological(self) -> list[str]:
        """Nodes reachable from the start, each after all that reach it."""
        order = {n.id: i for i, n in enumerate(self.graph.nodes)}
        ancestors = {n: sum(self.reaches(m, n) for m in self.here) for n in self.here}
        return sorted(self.here, key=lambda n: (ancestors[n], order[n]))

    def dominators(self, node: str) -> list[str]:
        """Strict dominators of ``node``, outermost first."""
        found = [d for d in self.here if d != node and node not in self.reach(self.start, without=d)]
        return sorted(found, key=lambda d: sum(self.reaches(other, d) for other in found))

    def scope(self, merge: str) -> str:
        return self._scope[merge]

    def _find_scope(self, merge: str) -> str:
        joins = self.nodes[merge].joins
        dominators = self.dominators(merge)
        if joins is not None:
            if joins not in dominators or not self.is_open(joins, merge):
                raise ValueError(f"{merge}: joins {joins}, which does not dominate it or is not open there")
            return joins
        for node in reversed(dominators):
            if self.nodes[node].role in ("branch", "split") and self.is_open(node, merge):
                return node
        return RUN

    def is_open(self, scope: str, merge: str) -> bool:
        between = [
            x for x in self.merges if x not in (scope, merge) and self.reaches(scope, x) and self.reaches(x, merge)
        ]
        return not any(self.closes(x, scope) or self.ends(x, scope) for x in between)

    def closes(self, merge: str, scope: str) -> bool:
        if self.scope(merge) != scope:
            return False
        behind = [y for y in self.merges if y != merge and self.reaches(merge, y)]
        return not any(y in self.reach(scope, without=merge) for y in behind)

    def ends(self, merge: str, scope: str) -> bool:
        """The merge's scope lies outside ``scope``: it is the run, or a node not reachable from there."""
        outer = self.scope(merge)
        return outer == RUN or not self.reaches(scope, outer)

    def can_join(self, merge: str) -> list[str]:
        """What ``joins`` of this merge may name."""
        return [d for d in self.dominators(merge) if self._can_be_scope(d) and self.is_open(d, merge)]

    def _can_be_scope(self, node: str) -> bool:
        if self.nodes[node].role in ("branch", "split", "decision"):
            return True
        return any(e.on_failure for e in self.edges_out[node])

    @cached_property
    def joined(self) -> frozenset[str]:
        """Nodes named by a ``joins``: entering one opens an instance."""
        return frozenset(j for m in self.merges if (j := self.nodes[m].joins) is not None)

    def opens(self, node: str) -> bool:
        return self.nodes[node].role in ("branch", "split") or node in self.joined

    def failure_goes_to(self, node: str, scopes: Iterable[str]) -> str | None:
        """The first merge of these scopes on all those normal-edge paths from ``node`` that meet any such merge."""
        wanted = {m for m in self.merges if self.scope(m) in set(scopes)}
        meeting = [met for path in self._normal_paths(node) if (met := [n for n in path if n in wanted])]
        if not meeting:
            return None
        on_all = set(meeting[0]).intersection(*meeting)
        return next((m for m in meeting[0] if m in on_all), None)

    def _normal_paths(self, node: str) -> list[tuple[str, ...]]:
        """All paths of normal edges from ``node`` to where they end, ``node`` itself left out."""
        targets = dict.fromkeys(e.target for e in self.edges_out[node] if not e.on_failure)
        if not targets:
            return [()]
        return [(t, *rest) for t in targets for rest in self._normal_paths(t)]
