"""One search: plan -> lists -> fuse -> explain. Deterministic: equal scores are ordered by document id everywhere."""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from clew.context.fusion import Ranked, fuse
from clew.context.weights import explained, joined, weighed
from clew.core.errors import UsageError
from clew.gate.ports.context import Found, Fusion, Hit, ListName, Query, SearchConfig, Strategy

Listed = tuple[NDArray[np.int64], NDArray[np.float32]]
Mask = NDArray[np.bool_]
MOST_RESULTS = 10_000
_SCALED = 100
"""Candidates by which scores are scaled, at least: the first of ten results are the same where fewer are asked for."""


class Lists(Protocol):
    """The derived indexes, as a search uses them; lists are best first. A mask says which rows may be found; None: all live."""

    def named(self, rows: Sequence[int]) -> list[str]: ...

    def dense(self, query: NDArray[np.float32], k: int, mask: Mask | None, *, exact: bool) -> Listed:
        """``exact``: without codes, which hang on what vectors there were before."""
        ...

    def sparse(self, text: str, k: int, mask: Mask | None) -> Listed: ...

    def graph(self, text: str, k: int, mask: Mask | None) -> Listed: ...

    def only(self, rows: NDArray[np.int64]) -> Mask:
        """A mask of these rows."""
        ...


class Plan(msgspec.Struct, frozen=True):
    """What a search does: ``strategy`` is never AUTO; ``candidates`` of each list are looked at."""

    strategy: Strategy
    fusion: Fusion
    lists: tuple[ListName, ...]
    candidates: int


def check(query: Query, config: SearchConfig) -> None:
    """Raises UsageError that names the field."""
    for name, least, most in (("k", 1, MOST_RESULTS), ("rrf_k", 1, 10**6), ("rerank_factor", 1, 1000)):
        value = getattr(config, name)
        if not least <= value <= most:
            raise UsageError(f"{name} is {value}; it is a number from {least} to {most}")
    weights = {name: getattr(config, name) for name in ("dense_weight", "sparse_weight", "graph_weight")}
    for name, weight in weights.items():
        if weight is not None and not 0.0 <= weight <= 1.0:
            raise UsageError(f"{name} is {weight}; it is a share from 0 to 1")
    if len(query.vector) % 4:
        raise UsageError(f"the query's vector has {len(query.vector)} bytes, which are no float32 numbers")
    if not query.text.strip() and not query.vector:
        raise UsageError("the query is empty", hint="give it a text, a vector or both")


def planned(config: SearchConfig, fusion: Fusion, *, has_text: bool, has_vector: bool) -> Plan:
    """AUTO makes the lists that the query has something for, side by side."""
    strategy = config.strategy
    if strategy == "AUTO" or not (has_text and has_vector):
        strategy = "PARALLEL"
    lists: list[ListName] = []
    if has_vector:
        lists.append("dense")
    if has_text:
        lists.append("sparse")
        if config.graph_weight > 0:
            lists.append("graph")
    least = 1 if fusion == "RECIPROCAL_RANK" else _SCALED
    candidates = min(max(config.k * config.rerank_factor, least), MOST_RESULTS)
    return Plan(strategy, fusion, tuple(lists), candidates)


def run(
    lists: Lists,
    query: Query,
    vector: NDArray[np.float32] | None,
    config: SearchConfig,
    mask: Mask | None,
    learned: float | None = None,
) -> Found:
    """``vector``: of the query, given or embedded. ``mask``: rows that are live and pass the filter; None: every live row.
    ``learned``: as ``weights`` has it."""
    fusion = joined(config, learned)
    plan = planned(config, fusion, has_text=bool(query.text.strip()), has_vector=vector is not None)
    made: dict[ListName, Ranked[int]] = {}
    weights = weighed(config, plan.lists, learned)
    if not any(weights.values()):  # the list that was to count has nothing to go by: the order is that of the others
        weights = dict.fromkeys(weights, 1.0)

    def ask(name: ListName, within: Mask | None) -> NDArray[np.int64]:
        if name == "dense" and vector is not None:
            rows, scores = lists.dense(vector, plan.candidates, within, exact=config.deterministic)
        else:
            rows, scores = (lists.sparse if name == "sparse" else lists.graph)(query.text, plan.candidates, within)
        made[name] = Ranked(name, *_settled(lists, rows, scores, plan.candidates), weights[name])
        return rows

    if plan.strategy in _IN_TURN:
        first, second = _IN_TURN[plan.strategy]
        ask(second, lists.only(ask(first, mask)))
    for name in plan.lists:
        if name not in made:
            ask(name, mask)
    best = fuse([made[name] for name in plan.lists], fusion, config.rrf_k, config.k, lists.named)
    return Found(hits=_hits(lists, best, made), explain=_explained(plan, made, config, learned))


def _settled(
    lists: Lists, rows: NDArray[np.int64], scores: NDArray[np.float32], limit: int
) -> tuple[list[int], list[float]]:
    """The best ``limit`` of what is best first already; equal scores by document id. Names are looked up for these alone."""
    found, known = rows.tolist(), scores.tolist()
    end = 0
    for start in np.flatnonzero(scores[1:] == scores[:-1]).tolist():
        if start < end:  # of the last run of equal ones
            continue
        end = start + 1
        while end < len(known) and known[end] == known[start]:
            end += 1
        equal = found[start:end]
        found[start:end] = [row for _, row in sorted(zip(lists.named(equal), equal, strict=True))]
    return found[:limit], known[:limit]


_IN_TURN: dict[Strategy, tuple[ListName, ListName]] = {
    "DENSE_FIRST": ("dense", "sparse"),
    "SPARSE_FIRST": ("sparse", "dense"),
}
"""The second list orders only what the first one found."""


def _hits(lists: Lists, best: list[tuple[int, float]], made: dict[ListName, Ranked[int]]) -> tuple[Hit, ...]:
    hits: list[Hit] = []
    for name, (one, fused) in zip(lists.named([one for one, _ in best]), best, strict=True):
        found: dict[str, Any] = {}
        for of, ranked in made.items():
            place = ranked.places.get(one)
            if place is not None:
                found[f"{of}_score"], found[f"{of}_rank"] = ranked.scores[place], place + 1
        hits.append(Hit(doc_id=name, fused_score=fused, **found))
    return tuple(hits)


def _explained(
    plan: Plan, made: dict[ListName, Ranked[int]], config: SearchConfig, learned: float | None
) -> dict[str, Any]:
    return {
        "strategy": plan.strategy,
        "fusion": plan.fusion,
        "weights": explained(config, learned),
        "lists": {
            name: {"found": len(made[name].ids), "candidates": plan.candidates, "weight": made[name].weight}
            for name in plan.lists
        },
    }
