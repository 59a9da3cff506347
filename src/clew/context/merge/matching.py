"""Which lines of one text stand in another: the pairs that a merge builds on.

Lines that occur once in both texts are paired first, in the longest order that both keep (patience diff: Bram Cohen 2003; the
longest increasing sequence by patience sorting: Fredman 1975); between them the same again, and what is left goes to
``difflib`` while it is small. Any pairs in order make a correct merge; better ones make smaller conflicts. So a large stretch
without a line of its own is not paired at all, which bounds the time at O(n log n) and a constant per stretch.
"""

from bisect import bisect_left
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import pairwise

_MOST_PAIRS = 250_000
"""Lines × lines that ``difflib`` is given: its worst case is cubic."""

Pair = tuple[int, int]


def matches(old: Sequence[str], new: Sequence[str]) -> list[Pair]:
    """Pairs ``(i, j)`` with ``old[i] == new[j]``, both rising."""
    found: list[Pair] = []
    waiting = [(0, len(old), 0, len(new))]
    while waiting:
        low, high, start, end = waiting.pop()
        while low < high and start < end and old[low] == new[start]:
            found.append((low, start))
            low, start = low + 1, start + 1
        while low < high and start < end and old[high - 1] == new[end - 1]:
            high, end = high - 1, end - 1
            found.append((high, end))
        if low == high or start == end:
            continue
        anchors = _longest_rising(_unique(old, new, low, high, start, end))
        if anchors:
            edges = [(low - 1, start - 1), *anchors, (high, end)]
            waiting.extend((a + 1, b, i + 1, j) for (a, i), (b, j) in pairwise(edges))
            found.extend(anchors)
        elif (high - low) * (end - start) <= _MOST_PAIRS:
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
