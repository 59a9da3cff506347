"""Which lines of one text stand in another: the pairs that a merge builds on.

Lines that occur once in both texts are paired first, in the longest order that both keep (patience diff: Bram Cohen 2003; the
longest increasing sequence by patience sorting: Fredman 1975); between them the same again, and what is left goes to
``difflib``. Any pairs in order make a correct merge; better ones make smaller conflicts. So levels of stretches within stretches
are bounded, each takes O(n log n), and so are the steps of ``difflib``: what is left then is not paired at all.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import pairwise

_MOST_STEPS = 1 << 24
"""Of ``difflib``, for all stretches of two texts together: a fraction of a second. Its worst case is cubic."""
_LEVELS = 8
"""Versions of a text, and texts that are strangers, need 3."""

Pair = tuple[int, int]


def matches(old: Sequence[str], new: Sequence[str]) -> list[Pair]:
    """Pairs ``(i, j)`` with ``old[i] == new[j]``, both rising."""
    found: list[Pair] = []
    room = _MOST_STEPS
    waiting = [(0, len(old), 0, len(new), 0)]
    while waiting:
        low, high, start, end, level = waiting.pop()
        while low < high and start < end and old[low] == new[start]:
            found.append((low, start))
            low, start = low + 1, start + 1
        while low < high and start < end and old[high - 1] == new[end - 1]:
            high, end = high - 1, end - 1
            found.append((high, end))
        if low == high or start == end:
            continue
        anchors = _longest_rising(_unique(old, new, low, high, start, end)) if level < _LEVELS else []
        if anchors:
            edges = [(low - 1, start - 1), *anchors, (high, end)]
            waiting.extend((a + 1, b, i + 1, j, level + 1) for (a, i), (b, j) in pairwise(edges))
            found.extend(anchors)
        elif (steps := _steps(old[low:high], new[start:end])) <= room:
            room -= steps
            blocks = SequenceMatcher(None, old[low:high], new[start:end], autojunk=False).get_matching_blocks()
            found.extend((low + a + k, start + b + k) for a, b, size in blocks for k in range(size))
    return sorted(found)


def _unique(old: Sequence[str], new: Sequence[str], low: int, high: int, start: int, end: int) -> list[Pair]:
    """Pairs of lines that occur once in each stretch, by place in ``old``."""
    places: dict[str, list[int]] = {}
    for side, (text, first, last) in enumerate(((old, low, high), (new, start, end))):
        for index in range(first, last):
            counted = places.setdefault(text[index], [0, 0, 0, 0])
            counted[side] += 1
            counted[side + 2] = index
    return [(i, j) for ours, theirs, i, j in places.values() if ours == theirs == 1]


def _steps(old: Sequence[str], new: Sequence[str]) -> int:
    """Of ``difflib`` at worst: for each block that it finds it looks at every line, and at every pair of equal ones."""
    there = Counter(new)
    pairs = sum(there[line] for line in old)
    return (pairs + len(old)) * min(pairs, len(old), len(new))


def _longest_rising(pairs: list[Pair]) -> list[Pair]:
    """The most pairs, rising in ``old`` as given, that rise in ``new`` as well."""
    tops: list[int] = []
    piles: list[int] = []
    before: list[int] = []
    for index, (_, new) in enumerate(pairs):
        pile = bisect_left(tops, new)
        before.append(piles[pile - 1] if pile else -1)
        tops[pile : pile + 1] = [new]
        piles[pile : pile + 1] = [index]
    found: list[Pair] = []
    index = piles[-1] if piles else -1
    while index >= 0:
        found.append(pairs[index])
        index = before[index]
    return found[::-1]
