"""Sentences that stand for a text: near the centroid of all of them, without repeating each other.

After D. Radev et al., "Centroid-based summarization of multiple documents" (2004), and J. Carbonell and J. Goldstein, "The use of
MMR, diversity-based reranking for reordering documents and producing summaries" (1998).
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from math import log, sqrt

from clew.context import tokens

LONGEST = 600
"""Characters of a sentence that stands for others."""
_SHORTEST = 6
"""Tokens that no sentence has less than."""
_MOST = 500
"""Sentences that are chosen from, the most central ones: each is compared with each that is chosen."""
_SAME = 0.95
"""Likeness of two sentences that say the same."""
_SENTENCES = re.compile(r"(?<=[.!?])\s+|\n+")
_WORD = re.compile(r"\w{3,}|\d+")


def sentences(text: str) -> list[str]:
    return [stripped for part in _SENTENCES.split(text) if (stripped := part.strip())]


def central(told: Sequence[tuple[str, str]], room: int) -> list[str]:
    """Of lines, each with the sentence that it tells, those that stand best for all, in their order, within ``room`` tokens."""
    counted = [_counted(sentence) for _, sentence in told]
    spread = Counter(word for words in counted for word in words)
    weight = {word: log(1 + len(told) / df) for word, df in spread.items()}
    centroid = Counter[str]()
    for words in counted:
        centroid.update(words)
    centre = _Weighed({word: count for word, count in centroid.items() if spread[word] > 1}, weight)
    said = [_Weighed(words, weight) for words in counted]
    near = [_cosine(one, centre) for one in said]
    open_ = sorted(sorted(range(len(told)), key=lambda i: (-near[i], i))[:_MOST])
    chosen: list[int] = []
    repeated = [0.0] * len(told)
    while open_ and room > _SHORTEST:
        best = max(open_, key=lambda i: (0.7 * near[i] - 0.3 * repeated[i], -i))
        open_.remove(best)
        size = tokens.count(told[best][0]) + 2
        if size > room or repeated[best] > _SAME:
            continue
        room -= size
        chosen.append(best)
        for i in open_:
            repeated[i] = max(repeated[i], _cosine(said[i], said[best]))
    return [told[i][0] for i in sorted(chosen)]


def _counted(sentence: str) -> Counter[str]:
    return Counter(_WORD.findall(sentence.casefold()))


class _Weighed:
    """Words by weight, and the length of that vector, which is summed once however often it is compared."""

    def __init__(self, words: Mapping[str, int], weight: Mapping[str, float]) -> None:
        self.words = {word: count * weight[word] for word, count in words.items()}
        self.length = sqrt(sum(value * value for value in self.words.values()))


def _cosine(one: _Weighed, other: _Weighed) -> float:
    dot = sum(value * other.words.get(word, 0.0) for word, value in one.words.items())
    return dot / (one.length * other.length) if dot else 0.0
