"""Ranked lists into one: a pure function of the lists and their weights.

Reciprocal rank fusion: Cormack, Clarke, Büttcher 2009 (SIGIR). Sums and maxima are taken of scores scaled to 0-1 within each list,
because raw scores of different lists have nothing in common (Lee 1997, *Analyses of multiple evidence combination*).
"""

from collections.abc import Callable, Sequence

import msgspec

from clew.gate.ports.context import Fusion, ListName


class Ranked(msgspec.Struct, frozen=True):
    """One list, best first, without repetition: document ids and raw scores. ``weight`` is its say in the fusion."""

    name: ListName
    ids: Sequence[str]
    scores: Sequence[float]
    weight: float


def ordered(ids: Sequence[str], scores: Sequence[float], limit: int) -> tuple[list[str], list[float]]:
    """The best ``limit`` of a list; equal scores by document id."""
    best = sorted(zip(scores, ids, strict=True), key=lambda pair: (-pair[0], pair[1]))[:limit]
    return [one for _, one in best], [score for score, _ in best]


def fuse(lists: Sequence[Ranked], how: Fusion, rrf_k: int, limit: int) -> list[tuple[str, float]]:
    """The best ``limit`` documents with their fused scores; equal scores by document id."""
    shares = _HOW[how]
    fused: dict[str, float] = {}
    for ranked in lists:
        for one, share in zip(ranked.ids, shares(ranked, rrf_k), strict=True):
            before = fused.get(one, 0.0)
            fused[one] = max(before, share) if how == "MAX_SCORE" else before + share
    return sorted(fused.items(), key=lambda item: (-item[1], item[0]))[:limit]


def _by_rank(ranked: Ranked, rrf_k: int) -> list[float]:
    weight = ranked.weight
    return [weight / (rrf_k + rank) for rank in range(1, len(ranked.ids) + 1)]


def _by_score(ranked: Ranked, rrf_k: int) -> list[float]:
    """Scaled so that the best is 1 and the worst of the list 0; a list whose scores are all the same is all 1."""
    if not ranked.scores:
        return []
    best, worst = ranked.scores[0], ranked.scores[-1]
    if best == worst:
        return [ranked.weight] * len(ranked.scores)
    return [ranked.weight * (score - worst) / (best - worst) for score in ranked.scores]


_HOW: dict[Fusion, Callable[[Ranked, int], list[float]]] = {
    "RECIPROCAL_RANK": _by_rank,
    "WEIGHTED_SUM": _by_score,
    "MAX_SCORE": _by_score,
}
