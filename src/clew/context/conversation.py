"""Conversation memory: the last turns word for word, what was decided for good, the rest in a summary (requirement C8).

A pure function of the turns, within a room of tokens where one is given. Summaries are extractive unless one is given: sentences
near the centroid of what they stand for, without repeating each other (D. Radev et al., "Centroid-based summarization of multiple
documents", 2004; J. Carbonell and J. Goldstein, "The use of MMR", 1998).
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from math import log, sqrt
from typing import TypeVar

import msgspec

from clew.context import tokens
from clew.context.window import CUT, LEAST_CUT

KEEP = 10
AFTER = 20
SUMMARY_TOKENS = 400

S = TypeVar("S", "Turn", "Decision")

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
_HEADINGS = 48
"""Tokens of the words around what is remembered, more than they have."""
_FOLDED = 20_000
"""Tokens of decisions that stay when turns are folded."""
_ROLE = re.compile(r"[\w-]{1,32}")


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One turn. ``decision``: it is one, whatever its words; ``task``: what it belonged to; ``done``: that task ended with it."""

    n: int
    role: str
    text: str
    task: str = ""
    done: bool = False
    decision: bool = False

    def line(self) -> str:
        return f"{_role(self.role)}: {_indented(self.text)}"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    n: int
    role: str
    text: str

    def line(self) -> str:
        return f"- [{_role(self.role)}, turn {self.n}] {_indented(self.text)}"


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What stands for the turns up to ``upto``: words that a model found, or what ``fold`` made. ``tokens``: of those turns."""

    text: str
    upto: int
    decisions: tuple[Decision, ...] = ()
    trimmed: int = 0
    tokens: int = 0


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept. ``trimmed``: turns of ended tasks that only the first and the last words of their task stand for;
    ``forgotten``: older decisions for which there was no room; tokens are estimates."""

    turns: tuple[Turn, ...]
    summary: str = ""
    decisions: tuple[Decision, ...] = ()
    forgotten: int = 0
    trimmed: int = 0
    tokens: int = 0
    tokens_before: int = 0

    def text(self) -> str:
        """As an agent is shown it: what begins a line is ours, lines of what was said are indented after the first."""
        parts: list[str] = []
        if self.summary:
            told = "\n".join(f"- {_indented(line)}" for line in self.summary.split("\n"))
            parts.append("Earlier in this conversation (summary):\n" + told)
        if self.decisions:
            older = f" ({self.forgotten} older ones are left out)" if self.forgotten else ""
            parts.append(f"Decided{older}:\n" + "\n".join(one.line() for one in self.decisions))
        if self.turns:
            parts.append("\n\n".join(turn.line() for turn in self.turns if turn.text.strip()))
        return "\n\n".join(parts)


def remember(
    turns: Sequence[Turn],
    *,
    keep: int = KEEP,
    after: int = AFTER,
    given: Summary | None = None,
    room: int = SUMMARY_TOKENS,
    most: int | None = None,
) -> Memory:
    """``turns`` in order. Up to ``after`` of them stay as they are; of more, all but the last ``keep`` are condensed.

    ``most``: tokens of all of it, whatever it takes: half of them for turns, newest first, then decisions, then the summary.
    """
    before = sum(map(_size, turns)) + (given.tokens if given is not None else 0)
    count = len(turns) + (given.upto if given is not None else 0)
    if given is None and count <= after and (most is None or before <= most):
        return Memory(turns=tuple(turns), tokens=before, tokens_before=before)
    first = len(turns) - min(keep if count > after else len(turns), len(turns))
    recent, whole = (list(turns[first:]), len(turns) - first) if most is None else _newest(turns[first:], most // 2)
    old = turns[: len(turns) - whole]
    made = list(_decisions(old, given.decisions if given is not None else ()))
    left = None if most is None else max(0, most - sum(map(_size, recent)) - _HEADINGS)
    decisions = made if left is None else _newest(made, left * 2 // 3)[0]
    if left is not None:
        room = min(room, left - sum(map(_size, decisions)))
    kept = _untrimmed(old, turns)
    memory = Memory(
        turns=tuple(recent), summary=_summary(kept, given, {one.text for one in made}, room), decisions=tuple(decisions),
        forgotten=len(made) - len(decisions), trimmed=len(old) - len(kept) + (given.trimmed if given is not None else 0),
        tokens_before=before,
    )  # fmt: skip
    return msgspec.structs.replace(memory, tokens=tokens.count(memory.text()))


def fold(turns: Sequence[Turn], given: Summary | None = None) -> Summary:
    """What stands for ``turns``, and for what ``given`` stands for, from now on: of bounded size, however long this goes on."""
    memory = remember(turns, keep=0, after=0, given=given, room=2 * SUMMARY_TOKENS)
    return Summary(
        text=memory.summary, upto=turns[-1].n, decisions=tuple(_newest(memory.decisions, _FOLDED)[0]),
        trimmed=memory.trimmed, tokens=memory.tokens_before,
    )  # fmt: skip


def _role(role: str) -> str:
    return role if _ROLE.fullmatch(role) else "user"


def _indented(text: str) -> str:
    """No line of it begins like a line of ours."""
    first, *rest = text.splitlines() or [""]
    return "\n".join([first, *(f"  {line}" if line.strip() else "" for line in rest)])


def _size(said: Turn | Decision) -> int:
    return tokens.count(said.line()) + 1


def _newest(said: Sequence[S], room: int) -> tuple[list[S], int]:
    """The newest within ``room`` tokens, in order, and how many of them are whole: the one that no longer fits is cut."""
    kept: list[S] = []
    whole = 0
    for one in reversed(said):
        size = _size(one)
        if size > room:
            bare = _size(msgspec.structs.replace(one, text=CUT))
            text = tokens.cut("\n".join(one.text.splitlines()), room - bare) if room >= LEAST_CUT else ""
            kept += [msgspec.structs.replace(one, text=text + CUT)] if text else []
            break
        room -= size
        whole += 1
        kept.append(one)
    return kept[::-1], whole


def _untrimmed(old: Sequence[Turn], turns: Sequence[Turn]) -> list[Turn]:
    """Without what stands between the first and the last words of a task that has ended."""
    ends = {turn.task: turn.n for turn in turns if turn.done and turn.task}
    begun: dict[str, int] = {}
    for turn in old:
        begun.setdefault(turn.task, turn.n)
    return [turn for turn in old if turn.task not in ends or not begun[turn.task] < turn.n < ends[turn.task]]


def _summary(kept: Sequence[Turn], given: Summary | None, decided: set[str], room: int) -> str:
    told = given.text if given is not None else ""
    if told and tokens.count(told) + 2 * told.count("\n") + 2 > room // 2:
        lines = [Turn(n=0, role="", text=line) for line in told.splitlines()]
        told = _extract(lines, set(), room // 2)
    covered = given.upto if given is not None else -1
    later = [turn for turn in kept if turn.n > covered]
    room -= tokens.count(told) + 2 * told.count("\n") + 2 if told else 0
    condensed = _extract(later, decided, min(room, sum(tokens.count(turn.text) for turn in kept) // _CONDENSED))
    return "\n".join(part for part in (told, condensed) if part)


def sentences(text: str) -> list[str]:
    return [stripped for part in _SENTENCES.split(text) if (stripped := part.strip())]


def _decisions(turns: Iterable[Turn], earlier: Sequence[Decision] = ()) -> Iterable[Decision]:
    """Turns that are said to be decisions, whole; of others, answers to a question, and sentences that sound like a decision."""
    yield from earlier
    said = {decision.text for decision in earlier}
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
        (_told(turn.role, sentence), _counted(sentence))
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
        size = tokens.count(told[best][0]) + 2
        if size > room or repeated[best] > _SAME:
            continue
        room -= size
        chosen.append(best)
        own = {word: count * weight[word] for word, count in told[best][1].items()}
        for i in open_:
            repeated[i] = max(repeated[i], _cosine(told[i][1], own, weight))
    return "\n".join(told[i][0] for i in sorted(chosen))


def _told(role: str, sentence: str) -> str:
    """A line of a summary, one whatever the sentence is."""
    line = " ".join(sentence[:_LONGEST].split())
    return f"{_role(role)}: {line}" if role else line


def _counted(sentence: str) -> Counter[str]:
    return Counter(_WORD.findall(sentence.casefold()))


def _cosine(words: Counter[str], other: dict[str, float], weight: dict[str, float]) -> float:
    dot = sum(count * weight[word] * other.get(word, 0.0) for word, count in words.items())
    if not dot:
        return 0.0
    own = sqrt(sum((count * weight[word]) ** 2 for word, count in words.items()))
    return dot / (own * sqrt(sum(value * value for value in other.values())))
