"""Walks over facts: what is near the entities that a text names, and the paths between entities."""

import re
from collections import deque
from collections.abc import Iterator
from math import log2

import msgspec

from clew.context.graph.facts import Fact, Facts

HOPS = 2
MOST_HOPS = 6
_DECAY = 0.5
_LONGEST_NAME = 6
"""Words of an entity's name that a text is searched for."""
_MOST_EDGES = 2000
"""Facts of one entity that are followed: a hub says little."""
_MOST_STEPS = 200_000
_WORDS = re.compile(r"[\w./:@#+-]*\w")


class Path(msgspec.Struct, frozen=True):
    """A walk: ``entities`` one after the other, and the facts between them; ``confidence``: the product of theirs."""

    entities: tuple[str, ...]
    facts: tuple[Fact, ...]
    confidence: float


class When(msgspec.Struct, frozen=True, kw_only=True):
    """Which facts count: those that hold at ``valid_at``, as was known at ``known_at`` (ms since the epoch; None: any, now)."""

    valid_at: int | None = None
    known_at: int | None = None


NOW = When()


def named(facts: Facts, text: str) -> list[int]:
    """Entities that the text names, by longest match, in order, without repetition."""
    found = [(m.start(), m.end()) for m in _WORDS.finditer(text)]
    seen: dict[int, None] = {}
    place = 0
    while place < len(found):
        for length in range(min(_LONGEST_NAME, len(found) - place), 0, -1):
            number = facts.entities.find(text[found[place][0] : found[place + length - 1][1]])
            if number is not None:
                seen[number] = None
                place += length
                break
        else:
            place += 1
    return list(seen)


def near(facts: Facts, text: str, k: int, when: When = NOW) -> list[tuple[str, float]]:
    """Documents whose facts lie near the entities that ``text`` names, best first; every one that ties with the k-th is there.

    Spreading activation (F. Crestani, "Application of spreading activation techniques in information retrieval", 1997): each
    named entity starts at 1, a fact hands on half of it, by its confidence, and less the more facts its entity has.
    """
    if not len(facts):
        return []
    active = dict.fromkeys(named(facts, text), 1.0)
    scores: dict[int, float] = {}
    used: set[int] = set()
    seen = set(active)
    for _ in range(HOPS):
        reached: dict[int, float] = {}
        for entity, strength in active.items():
            edges = _edges(facts, entity, when)
            share = strength * _DECAY / log2(2 + len(edges))
            for index, other in edges:
                given = share * float(facts.column("confidence")[index])
                if index not in used:
                    document = int(facts.column("document")[index])
                    scores[document] = scores.get(document, 0.0) + given
                    used.add(index)
                if other not in seen:
                    reached[other] = reached.get(other, 0.0) + given
        seen |= reached.keys()
        active = reached
    best = sorted(((-score, facts.documents.names[one]) for one, score in scores.items()))
    if len(best) > k:
        best = [pair for pair in best if pair[0] <= best[k - 1][0]]
    return [(name, -score) for score, name in best]


def paths(
    facts: Facts, start: str, goal: str | None = None, *, hops: int = 3, limit: int = 20, when: When = NOW
) -> list[Path]:
    """Walks from an entity, shortest first: to ``goal``, or to whatever can be reached. No entity twice in a walk."""
    first = facts.entities.find(start)
    last = facts.entities.find(goal) if goal is not None else None
    if first is None or (goal is not None and last is None):
        return []
    found: list[Path] = []
    waiting: deque[tuple[tuple[int, ...], tuple[int, ...]]] = deque([((first,), ())])
    steps = 0
    while waiting and len(found) < limit:
        entities, walked = waiting.popleft()
        if walked and last in (None, entities[-1]):
            found.append(_path(facts, entities, walked))
            if last is not None:
                continue
        if len(walked) == min(hops, MOST_HOPS):
            continue
        for index, other in _edges(facts, entities[-1], when):
            steps += 1
            if other not in entities and steps < _MOST_STEPS:
                waiting.append(((*entities, other), (*walked, index)))
    return found


def around(facts: Facts, entity: str, when: When = NOW) -> list[Fact]:
    """The facts that name an entity, in the order in which they were stated."""
    number = facts.entities.find(entity)
    return [] if number is None else [facts.fact(index) for index, _ in sorted(_edges(facts, number, when))]


def _edges(facts: Facts, entity: int, when: When) -> list[tuple[int, int]]:
    """Facts of an entity, in both directions, with the entity at their other end."""
    both = [*_some(facts.of("subject", entity)), *_some(facts.of("object", entity))]
    subject, object_ = facts.column("subject"), facts.column("object")
    return [
        (index, int(object_[index]) if subject[index] == entity else int(subject[index]))
        for index in dict.fromkeys(facts.holding(both, when.valid_at, when.known_at))
    ]


def _some(indexes: Iterator[int]) -> list[int]:
    return [index for _, index in zip(range(_MOST_EDGES), indexes, strict=False)]


def _path(facts: Facts, entities: tuple[int, ...], walked: tuple[int, ...]) -> Path:
    told = tuple(facts.fact(index) for index in walked)
    confidence = 1.0
    for fact in told:
        confidence *= fact.confidence
    return Path(tuple(facts.entities.names[one] for one in entities), told, round(confidence, 6))
