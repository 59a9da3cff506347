"""Conversation memory: the last turns word for word, what was decided for good, the rest in a summary (requirement C8).

A pure function of the turns. Summaries are extractive unless one is given: sentences near the centroid of what they stand for,
without repeating each other (D. Radev et al., "Centroid-based summarization of multiple documents", 2004; J. Carbonell and
J. Goldstein, "The use of MMR", 1998).
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from math import log, sqrt

import msgspec

from clew.context import tokens

KEEP = 10
AFTER = 20
SUMMARY_TOKENS = 400

_SENTENCES = re.compile(r"(?<=[.!?])\s+|\n+")
_DECIDED = re.compile(
    r"\b(?:decid(?:e|ed|ing)|decision|agreed|settled on|approved|rejected|ruled out|chose|chosen"
    r"|(?:we|i|you)(?:'ll| will| are going to| shall) (?:use|go with|keep|drop|not)|let's (?:use|go with|keep|drop|not)"
    r"|must(?:n't)?|never|always)\b",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"\?\s*$")
_WORD = re.compile(r"\w{3,}|\d+")
_LONGEST = 600
"""Characters of a sentence that stands in a summary."""
_SHORTEST = 6
"""Tokens that no sentence has less than."""
_SAME = 0.95
"""Likeness of two sentences that say the same."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One turn. ``decision``: it is one, whatever its words; ``task``: what it belonged to; ``done``: that task ended with it."""

    n: int
    role: str
    text: str
    task: str = ""
    done: bool = False
    decision: bool = False


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A summary that somebody made (a model), of the turns up to ``upto``."""

    text: str
    upto: int


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    n: int
    role: str
    text: str


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept. ``trimmed``: turns of ended tasks that only their last words stand for; tokens are estimates."""

    turns: tuple[Turn, ...]
    summary: str = ""
    decisions: tuple[Decision, ...] = ()
    trimmed: int = 0
    tokens: int = 0
    tokens_before: int = 0

    def text(self) -> str:
        """As an agent is shown it."""
        parts: list[str] = []
        if self.summary:
            parts.append("Earlier in this conversation (summary):\n" + self.summary)
        if self.decisions:
            parts.append("Decided:\n" + "\n".join(f"- [{d.role}, turn {d.n}] {d.text}" for d in self.decisions))
        if self.turns:
            parts.append("\n\n".join(f"{turn.role}: {turn.text}" for turn in self.turns))
        return "\n\n".join(parts)


def remember(
    turns: Sequence[Turn],
    *,
    keep: int = KEEP,
    after: int = AFTER,
    given: Summary | None = None,
    room: int = SUMMARY_TOKENS,
) -> Memory:
    """``turns`` in order. Up to ``after`` of them stay as they are; of more, all but the last ``keep`` are condensed."""
    before = sum(tokens.count(turn.text) for turn in turns)
    if len(turns) <= after:
        return Memory(turns=tuple(turns), tokens=before, tokens_before=before)
    first = max(0, len(turns) - keep)
    old, recent = turns[:first], turns[first:]
    decisions = tuple(_decisions(old))
    decided = {decision.text for decision in decisions}
    ended = {turn.task: turn.n for turn in old if turn.done and turn.task}
    kept = [turn for turn in old if ended.get(turn.task, turn.n) == turn.n]
    covered = given.upto if given is not None else -1
    condensed = _extract([turn for turn in kept if turn.n > covered], decided, room)
    summary = "\n".join(part for part in (given.text if given is not None else "", condensed) if part)
    memory = Memory(
        turns=tuple(recent), summary=summary, decisions=decisions, trimmed=len(old) - len(kept), tokens_before=before
    )
    return msgspec.structs.replace(memory, tokens=tokens.count(memory.text()))


def sentences(text: str) -> list[str]:
    return [stripped for part in _SENTENCES.split(text) if (stripped := part.strip())]


def _decisions(turns: Iterable[Turn]) -> Iterable[Decision]:
    """Turns that are said to be decisions, whole; of others, the sentences that sound like one."""
    said: set[str] = set()
    for turn in turns:
        found = [turn.text.strip()] if turn.decision else [s for s in sentences(turn.text) if _sounds_decided(s)]
        for text in found:
            if text and text not in said:
                said.add(text)
                yield Decision(n=turn.n, role=turn.role, text=text)


def _sounds_decided(sentence: str) -> bool:
    return bool(_DECIDED.search(sentence)) and not _QUESTION.search(sentence)


def _extract(turns: Sequence[Turn], decided: set[str], room: int) -> str:
    """The sentences that stand best for all of them, in their order, within ``room`` tokens."""
    told = [
        (f"{turn.role}: {sentence[:_LONGEST]}", _counted(sentence))
        for turn in turns
        if not turn.decision
        for sentence in sentences(turn.text)
        if sentence not in decided
    ]
    spread = Counter(word for _, words in told for word in words)
    weight = {word: log(1 + len(told) / df) for word, df in spread.items()}
    centroid = Counter[str]()
    for _, words in told:
        centroid.update(words)
    centre = {word: count * weight[word] for word, count in centroid.items() if spread[word] > 1}
    open_, chosen = list(range(len(told))), list[int]()
    central = [_cosine(words, centre, weight) for _, words in told]
    repeated = [0.0] * len(told)
    while open_ and room > _SHORTEST:
        best = max(open_, key=lambda i: (0.7 * central[i] - 0.3 * repeated[i], -i))
        open_.remove(best)
        size = tokens.count(told[best][0]) + 1
        if size > room or repeated[best] > _SAME:
            continue
        room -= size
        chosen.append(best)
        own = {word: count * weight[word] for word, count in told[best][1].items()}
        for i in open_:
            repeated[i] = max(repeated[i], _cosine(told[i][1], own, weight))
    return "\n".join(told[i][0] for i in sorted(chosen))


def _counted(sentence: str) -> Counter[str]:
    return Counter(_WORD.findall(sentence.casefold()))


def _cosine(words: Counter[str], other: dict[str, float], weight: dict[str, float]) -> float:
    dot = sum(count * weight[word] * other.get(word, 0.0) for word, count in words.items())
    if not dot:
        return 0.0
    own = sqrt(sum((count * weight[word]) ** 2 for word, count in words.items()))
    return dot / (own * sqrt(sum(value * value for value in other.values())))
