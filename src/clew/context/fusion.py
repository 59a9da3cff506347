"""Ranked lists into one: a pure function of the lists and their weights.

Reciprocal rank fusion: Cormack, Clarke, Büttcher 2009 (SIGIR). Sums and maxima are taken of scores scaled to 0-1 within each list,
because raw scores of different lists have nothing in common (Lee 1997, *Analyses of multiple evidence combination*).
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import combinations
from typing import Any, Generic, TypeVar

import msgspec

from clew.gate.ports.context import Fusion, ListName

Key = TypeVar("Key", str, int)
"""A document's id, or what stands for it."""


class Ranked(msgspec.Struct, Generic[Key], frozen=True, dict=True):
    """One list, best first, without repetition: documents and raw scores. ``weight`` is its say in the fusion."""

    name: ListName
    ids: Sequence[Key]
    scores: Sequence[float]
    weight: float

    @cached_property
    def places(self) -> dict[Key, int]:
        """Of each document, from 0."""
        return dict(zip(self.ids, range(len(self.ids)), strict=True))


def ordered(ids: Sequence[str], scores: Sequence[float], limit: int) -> tuple[list[str], list[float]]:
    """The best ``limit`` of a list; equal scores by document id."""
    best = sorted(zip(scores, ids, strict=True), key=lambda pair: (-pair[0], pair[1]))[:limit]
    return [one for _, one in best], [score for score, _ in best]


def fuse(
    lists: Sequence[Ranked[Key]],
    how: Fusion,
    rrf_k: int,
    limit: int,
    named: Callable[[list[Key]], Sequence[str | Key]] = list,
) -> list[tuple[Key, float]]:
    """The best ``limit`` documents with their fused scores; equal scores by document id, which ``named`` gives.

    Shares are never negative and fall along a list: what only one list has, and less of than of its ``limit``-th, is not looked at.
    """
    several: set[Key] = set()
    for one, other in combinations(lists, 2):
        several |= one.places.keys() & other.places.keys()
    fused: dict[Key, float] = {}
    for ranked in lists:
        place, share = ranked.places, _HOW[how](ranked, rrf_k)
        end = min(limit, len(place))
        while end < len(place) and share(end) == share(limit - 1):
            end += 1
        for one in (*ranked.ids[:end], *(one for one in several if place.get(one, -1) >= end)):
            before, given = fused.get(one, 0.0), share(place[one])
            fused[one] = max(before, given) if how == "MAX_SCORE" else before + given
    if len(fused) > limit:
        least = sorted(fused.values())[-limit]
        fused = {one: score for one, score in fused.items() if score >= least}
    best = sorted(zip([-score for score in fused.values()], named(list(fused)), fused, strict=True))[:limit]
    return [(one, -score) for score, _, one in best]


Share = Callable[[int], float]
"""What a list gives to the document at a place of it."""


def _by_rank(ranked: Ranked[Any], rrf_k: int) -> Share:
    weight = ranked.weight
    return lambda place: weight / (rrf_k + place + 1)


def _by_score(ranked: Ranked[Any], rrf_k: int) -> Share:
    """Scaled so that the best is 1 and the worst of the list 0; a list whose scores are all the same is all 1."""
    scores, weight = ranked.scores, ranked.weight
    if not scores or scores[0] == scores[-1]:
        return lambda place: weight
    best, worst = scores[0], scores[-1]
    return lambda place: weight * (scores[place] - worst) / (best - worst)


_HOW: dict[Fusion, Callable[[Ranked[Any], int], Share]] = {
    "RECIPROCAL_RANK": _by_rank,
    "WEIGHTED_SUM": _by_score,
    "MAX_SCORE": _by_score,
}
