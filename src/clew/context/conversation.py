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
    r"\b(?:decid(?:e|ed|ing)|decision|agreed|settled on|approved|ruled out|chose|chosen"
    r"|(?:we|i|you)(?:'ll| will|'re going to| are going to| shall) (?:use|go with|keep|drop|not|take|live with|stay with|stick to)"
    r"|let(?:'s| us) (?:use|go with|keep|drop|not|take))\b",
    re.IGNORECASE,
)
"""Anybody's words for a decision."""
_SETTLED = re.compile(
    r"\b(?:must(?:n't)?|never(?! mind)|always|have to|has to|at most|at least|no more than|not any ?more"
    r"|from now on|instead of|stays?|final"
    r"|won't|will not|(?:we|i)(?:'re| are|'m| am) (?:taking|using|keeping|dropping|going with|sticking|not)"
    r"|(?:we|i)(?:'ll| will) \w+ (?:with|without)|i'd rather|it is(?: then)?(?=[.,!]|$)|so we \w+)\b"
    r"|^(?:(?:hm+|ok(?:ay)?|right|fine|yes|no|then|so|but|and|please|alright|sure)\b[,.:]?\s+)*"
    r"(?:make|keep|leave|use|drop|skip|take|put|avoid|stick|scrap|let us|let's|don't|do not)\b"
    r"|^(?:good idea|agreed|deal|fine|ok(?:ay)?|right|alright|sounds (?:good|right)|no|yes)\b\W+(?:[\w'’-]+\W+){3,}",
    re.IGNORECASE,
)
"""Words of the one who is worked for that settle something: rules, bounds, orders, and what follows an assent or a refusal."""
_WORKING = frozenset(["assistant", "tool", "system"])
"""Roles that report: a rule or a bound in their words is a finding as a rule."""
_SHORT = 60
"""Characters of an answer that is told with its question."""
_QUESTION = re.compile(r"\?\s*$")
_WORD = re.compile(r"\w{3,}|\d+")
_CONDENSED = 5
"""How many times shorter a summary is at least than what it stands for."""
_LONGEST = 600
"""Characters of a sentence that stands in a summary."""
_SHORTEST = 6
"""Tokens that no sentence has less than."""
_MOST = 500
"""Sentences that are chosen from, the most central ones: each is compared with each that is chosen."""
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
    room = min(room, sum(tokens.count(turn.text) for turn in kept) // _CONDENSED)
    condensed = _extract([turn for turn in kept if turn.n > covered], decided, room)
    summary = "\n".join(part for part in (given.text if given is not None else "", condensed) if part)
    memory = Memory(
        turns=tuple(recent), summary=summary, decisions=decisions, trimmed=len(old) - len(kept), tokens_before=before
    )
    return msgspec.structs.replace(memory, tokens=tokens.count(memory.text()))


def sentences(text: str) -> list[str]:
    return [stripped for part in _SENTENCES.split(text) if (stripped := part.strip())]


def _decisions(turns: Iterable[Turn]) -> Iterable[Decision]:
    """Turns that are said to be decisions, whole; of others, answers to a question, and sentences that sound like a decision."""
    said: set[str] = set()
    asked = ""
    for turn in turns:
        found = [turn.text.strip()] if turn.decision else _settling(turn, asked)
        for text in found:
            if text and text not in said:
                said.add(text)
                yield Decision(n=turn.n, role=turn.role, text=text)
        last = sentences(turn.text)[-1:]
        asked = last[0] if last and turn.role in _WORKING and _QUESTION.search(last[0]) else ""


def _settling(turn: Turn, asked: str) -> list[str]:
    """``asked``: the question that the turn before ended with."""
    told = [sentence for sentence in sentences(turn.text) if not _QUESTION.search(sentence)]
    if turn.role in _WORKING:
        return [sentence for sentence in told if _DECIDED.search(sentence)]
    if asked and told:
        answer = " ".join(told)
        return [f"{asked} {answer}" if len(answer) < _SHORT else answer]
    return [sentence for sentence in told if _DECIDED.search(sentence) or _SETTLED.search(sentence)]


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
    central = [_cosine(words, centre, weight) for _, words in told]
    open_ = sorted(sorted(range(len(told)), key=lambda i: (-central[i], i))[:_MOST])
    chosen: list[int] = []
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
