"""Walks over facts: what is near the entities that a text names, and the paths between entities."""

import re
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from math import log2

import msgspec
import numpy as np
from numpy.typing import NDArray

from clew.context.graph.facts import FOREVER, Fact, Facts

HOPS = 2
MOST_HOPS = 6
_DECAY = 0.5
SEEDS = 5
_MOST_FOLLOWED, _MOST_OPENED = 32, 32
"""Entities and documents of one step that are followed, the most active ones."""
_LONGEST_NAME = 6
"""Words of an entity's name that a text is searched for."""
_MOST_EDGES = 2000
"""Facts of one entity that are followed: a hub says little."""
_MOST_STEPS = 200_000
_WORDS = re.compile(r"(?<![\w./:@#+-])[\w./:@#+-]*\w")
"""Behind what a word is made of none begins: else each of many dots would be looked at for each of them."""

Allowed = Callable[[str], bool]
_Scored = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Documents and what each of them has."""
_NOBODY: _Scored = np.empty(0, np.int64), np.empty(0)


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


def near(
    facts: Facts, text: str, k: int, when: When = NOW, *, seeds: Sequence[str] = (), allowed: Allowed | None = None
) -> list[tuple[str, float]]:
    """Documents that lie near the entities that ``text`` names and near ``seeds``, best first, with all that tie with the k-th.

    ``seeds``: documents that are known to say something of it, best first; they are found themselves only where something leads
    to them. ``allowed``: which documents may be found; what lies behind the others is reached all the same.

    Spreading activation (F. Crestani, "Application of spreading activation techniques in information retrieval", 1997) between
    entities and the documents that state facts of them. Each named entity starts at 1, as the first seed does, the next ones
    lower; each step hands on half, by the facts' confidence, and less the more there are to hand on to.
    """
    numbers = facts.documents.numbers
    first = {numbers[name]: 1 / (1 + rank) for rank, name in enumerate(seeds) if name in numbers}
    active = _handed_on(facts, first, when)
    active |= dict.fromkeys(named(facts, text), 1.0)
    opened, seen = set(first), set(active)
    told = [_NOBODY]
    for _ in range(HOPS):
        reached = _summed(
            [_stating(facts, entity, strength, when) for entity, strength in _most(active, _MOST_FOLLOWED)]
        )
        told.append(reached)
        fresh = dict(islice((one for one in _strongest(reached) if one[0] not in opened), _MOST_OPENED))
        opened.update(fresh)
        found = _handed_on(facts, fresh, when)
        active = {entity: strength for entity, strength in found.items() if entity not in seen}
        seen |= active.keys()
    return _best(facts, _summed(told), k, allowed)


def _best(facts: Facts, scored: _Scored, k: int, allowed: Allowed | None) -> list[tuple[str, float]]:
    best: list[tuple[float, str]] = []
    for document, score in _strongest(scored):
        if len(best) >= k and score < -best[-1][0]:
            break
        name = facts.documents.names[document]
        if allowed is None or allowed(name):
            best.append((-score, name))
    return [(name, -score) for score, name in sorted(best)]


def _strongest(scored: _Scored) -> list[tuple[int, float]]:
    order = np.lexsort((scored[0], -scored[1]))
    documents: list[int] = scored[0][order].tolist()
    scores: list[float] = scored[1][order].tolist()
    return list(zip(documents, scores, strict=True))


def _summed(parts: Sequence[_Scored]) -> _Scored:
    """Each document once, with the sum of its shares."""
    documents, inverse = np.unique(np.concatenate([_NOBODY[0], *(part[0] for part in parts)]), return_inverse=True)
    shares = np.concatenate([_NOBODY[1], *(part[1] for part in parts)])
    return documents, np.bincount(inverse, shares, len(documents)).astype(np.float64)


def _most(active: dict[int, float], count: int) -> list[tuple[int, float]]:
    return sorted(active.items(), key=lambda pair: (-pair[1], pair[0]))[:count]


def _stating(facts: Facts, entity: int, strength: float, when: When) -> _Scored:
    """Documents that state a fact of the entity, and what it hands on to each: by the surest fact."""
    both = [
        facts.held(facts.places(end, entity), when.valid_at, when.known_at)[:_MOST_EDGES]
        for end in ("subject", "object")
    ]
    found = np.concatenate(both)
    documents, inverse = np.unique(facts.column("document")[found].astype(np.int64), return_inverse=True)
    surest = np.zeros(len(documents))
    np.maximum.at(surest, inverse, facts.column("confidence")[found])
    return documents, surest * (strength * _DECAY / log2(2 + len(documents)))


def _handed_on(facts: Facts, documents: dict[int, float], when: When) -> dict[int, float]:
    """What documents, by their strength, hand on to the entities of which they state facts."""
    subjects, objects, confidences = facts.column("subject"), facts.column("object"), facts.column("confidence")
    entities: dict[int, float] = {}
    for document, strength in documents.items():
        found = facts.held(facts.places("document", document), when.valid_at, when.known_at)[:_MOST_EDGES]
        held: dict[int, float] = {}
        for subject, object_, confidence in zip(
            subjects[found].tolist(), objects[found].tolist(), confidences[found].tolist(), strict=True
        ):
            held[subject] = max(held.get(subject, 0.0), confidence)
            held[object_] = max(held.get(object_, 0.0), confidence)
        share = strength * _DECAY / log2(2 + len(held))
        for entity, confidence in held.items():
            entities[entity] = entities.get(entity, 0.0) + share * confidence
    return entities


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
        if len(walked) == min(hops, MOST_HOPS) or steps >= _MOST_STEPS:
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


def closed(facts: Facts, entity: str) -> list[int]:
    """When each of the facts that named the entity, and are stated no more, ceased to be; ms since the epoch."""
    number = facts.entities.find(entity)
    if number is None:
        return []
    places = np.unique(np.concatenate([facts.places(end, number) for end in ("subject", "object")]))
    until = facts.column("until")[places]
    return until[until != FOREVER].tolist()


def _edges(facts: Facts, entity: int, when: When) -> list[tuple[int, int]]:
    """Facts of an entity, in both directions, with the entity at their other end."""
    subject, object_ = facts.column("subject"), facts.column("object")
    found = [
        index
        for end in ("subject", "object")
        for index in facts.held(facts.places(end, entity), when.valid_at, when.known_at)[:_MOST_EDGES].tolist()
    ]
    return [
        (index, int(object_[index]) if subject[index] == entity else int(subject[index]))
        for index in dict.fromkeys(found)
    ]


def _path(facts: Facts, entities: tuple[int, ...], walked: tuple[int, ...]) -> Path:
    told = tuple(facts.fact(index) for index in walked)
    confidence = 1.0
    for fact in told:
        confidence *= fact.confidence
    return Path(tuple(facts.entities.names[one] for one in entities), told, round(confidence, 6))
