"""Conversation memory: the last turns word for word, what was decided for good, the rest in a summary (requirement C8).

A pure function of the turns, within a room of tokens where one is given. Summaries are the most central sentences unless one is
given, such as a model wrote.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from clew.context import tokens
from clew.context.condense import LONGEST, central, sentences
from clew.context.window import CUT, LEAST_CUT
from clew.core.errors import Failure
from clew.core.text import one_line

KEEP = 10
AFTER = 20
SUMMARY_TOKENS = 400

S = TypeVar("S", "Turn", "Decision")

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
_CONDENSED = 5
"""How many times shorter a summary is at least than what it stands for."""
_HEADINGS = 48
"""Tokens of the words around what is remembered, more than they have."""
_FOLDED = 20_000
"""Tokens of decisions that stay when turns are folded."""
_LEAST = 64
"""Tokens that the turns which no summary stands for yet are condensed to at least."""
_ASKED_TURNS = 60
_ASKED_TOKENS = 8_000
"""What a model is asked to summarise at once: of more turns it is shown what was made of the older ones, of longer ones a part."""
_ROLE = re.compile(r"[\w-]{1,32}")
_BEGINS = re.compile(r"^(?:\s*(?:[-*•>#|=~+`]+\s+|\[))+")
_SAYS = re.compile(r"\w")
_SPEAKER = re.compile(r"^(user|assistant|system|tool|human|developer)\s*:", re.IGNORECASE)


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
    """What stands for the turns up to ``upto``: words of agent ``by``, or what ``fold`` made. ``tokens``: of those turns;
    ``question``: with which the last one ended, if it did."""

    text: str
    upto: int
    decisions: tuple[Decision, ...] = ()
    trimmed: int = 0
    tokens: int = 0
    question: str = ""
    by: str = ""


_NOTHING = Summary(text="", upto=-1)


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept. ``trimmed``: turns of ended tasks that only the first and the last words of their task stand for;
    ``forgotten``: older decisions for which there was no room; ``summarised``: turns that a summary by agent ``by``, or one that
    was made before, stands for; tokens are estimates."""

    turns: tuple[Turn, ...]
    summary: str = ""
    decisions: tuple[Decision, ...] = ()
    forgotten: int = 0
    trimmed: int = 0
    tokens: int = 0
    tokens_before: int = 0
    summarised: int = 0
    by: str = ""

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

    Some may be among those that ``given`` stands for: they are shown as they are where there is room, and nothing else.
    ``most``: tokens of all of it, whatever it takes: half of them for turns, newest first, then decisions, then the summary.
    """
    given = given or _NOTHING
    new = [turn for turn in turns if turn.n > given.upto]
    before = sum(map(_size, new)) + given.tokens
    count = len(new) + max(0, given.upto)
    size = sum(map(_size, turns))
    if count <= after and len(turns) == count and (most is None or size <= most):
        return Memory(turns=tuple(turns), tokens=size, tokens_before=before)
    first = len(turns) - min(keep if count > after else len(turns), len(turns))
    recent, whole = (list(turns[first:]), len(turns) - first) if most is None else _newest(turns[first:], most // 2)
    hidden = turns[: len(turns) - whole]
    old = [turn for turn in hidden if turn.n > given.upto]
    made = list(_decisions(hidden, given))
    left = None if most is None else max(0, most - sum(map(_size, recent)) - _HEADINGS)
    decisions = made if left is None else _newest(made, left * 2 // 3)[0]
    if left is not None:
        room = min(room, left - sum(map(_size, decisions)))
    kept = _untrimmed(old, turns)
    memory = Memory(
        turns=tuple(recent), summary=_summary(kept, given.text, {one.text for one in made}, room),
        decisions=tuple(decisions), forgotten=len(made) - len(decisions), trimmed=len(old) - len(kept) + given.trimmed,
        tokens_before=before, summarised=max(0, given.upto), by=given.by,
    )  # fmt: skip
    return msgspec.structs.replace(memory, tokens=tokens.count(memory.text()))


def fold(turns: Sequence[Turn], given: Summary | None = None) -> Summary:
    """What stands for ``turns``, and for what ``given`` stands for, from now on: of bounded size, however long this goes on."""
    memory = remember(turns, keep=0, after=0, given=given, room=2 * SUMMARY_TOKENS)
    return Summary(
        text=memory.summary, upto=turns[-1].n, decisions=tuple(_newest(memory.decisions, _FOLDED)[0]),
        trimmed=memory.trimmed, tokens=memory.tokens_before, question=_question(turns[-1])[-LONGEST:],
    )  # fmt: skip


def due(turns: Sequence[Turn], fresh: int, *, keep: int, after: int, most: int) -> int:
    """How many of ``turns``, which no summary stands for, one is to be asked for now; 0: not yet.

    ``fresh``: how many of them, the last ones, nobody was asked about. As in ``remember``: where they are more than ``after``, or
    have more than ``most`` tokens, one is made of all but the last ``keep``, as far as those fit in half of ``most``.
    """
    if fresh <= max(after, keep) and sum(map(_size, turns[len(turns) - fresh :])) <= most:
        return 0
    return len(turns) - _newest(turns[max(0, len(turns) - keep) :], most // 2)[1]


def material(turns: Sequence[Turn], count: int, given: Summary | None) -> dict[str, Any]:
    """What a model is shown that is to write the summary of the first ``count`` of ``turns`` and of what ``given`` stands for."""
    given, old = given or _NOTHING, turns[:count]
    decided = [one for one in _decisions(old, given) if one.n > given.upto]
    new = [turn for turn in old if turn.n > given.upto]
    if len(new) > _ASKED_TURNS:
        given = fold(old[:-_ASKED_TURNS], given)
        new = new[-_ASKED_TURNS:]
    kept = [turn for turn in _untrimmed(new, turns) if turn.text.strip()]
    share = _share([tokens.count(turn.text) for turn in kept], _ASKED_TOKENS)
    return {
        "summary": given.text.splitlines(),
        "decided": [one.text for one in _newest(decided, _ASKED_TOKENS // 4)[0]],
        "turns": [{"turn": turn.n, "role": _role(turn.role), "text": _condensed(turn, share)} for turn in kept],
    }


def worded(points: Sequence[str]) -> str:
    """The text of a summary that a model made: a line each, of which none looks like a line of ours.

    Raises Failure(bad_answer) where nothing is said, or too much.
    """
    lines = [_SPEAKER.sub(r"\1 said:", _BEGINS.sub("", one_line(point))) for point in points]
    text = "\n".join(dict.fromkeys(line for line in lines if _SAYS.search(line)))
    size, most = tokens.count(text), 2 * SUMMARY_TOKENS
    if not text or size > most:
        why = f"the summary has {size:,} tokens, expected {most} at most" if text else "the summary says nothing"
        raise Failure(why, code="bad_answer")
    return text


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


def _share(sizes: Sequence[int], room: int) -> int:
    """The most that each may have, so that all have room: what short ones leave is for long ones."""
    for place, size in enumerate(sorted(sizes)):
        if size * (len(sizes) - place) > room:
            return room // (len(sizes) - place)
        room -= size
    return room


def _condensed(turn: Turn, most: int) -> str:
    """Of a long turn, what stands best for all of it."""
    if tokens.count(turn.text) <= most:
        return turn.text
    bare = msgspec.structs.replace(turn, role="", decision=False)
    return _extract([bare], set(), most) or tokens.cut(turn.text, most) or turn.text[:most]


def _summary(kept: Sequence[Turn], told: str, decided: set[str], room: int) -> str:
    """``told``, and what is condensed of ``kept``, for which half of the room is left where it needs that."""
    said = sum(_size(turn) + 1 for turn in kept)
    wanted = min(said, max(_LEAST, said // _CONDENSED))
    left = room - min(wanted, room // 2)
    if told and _listed(told) > left:
        told = _extract([Turn(n=0, role="", text=line) for line in told.splitlines()], set(), left)
    room -= _listed(told) if told else 0
    condensed = _extract(kept, decided, min(room, wanted))
    return "\n".join(part for part in (told, condensed) if part)


def _listed(text: str) -> int:
    """Tokens of a summary's lines, each with what begins it."""
    return tokens.count(text) + 2 * text.count("\n") + 2


def _decisions(turns: Iterable[Turn], given: Summary) -> Iterable[Decision]:
    """Turns that are said to be decisions, whole; of others, answers to a question, and sentences that sound like a decision.

    ``given`` has those that were made in the turns for which it stands.
    """
    yield from given.decisions
    said = {decision.text for decision in given.decisions}
    asked = given.question
    for turn in turns:
        found = _settling(turn, asked) if turn.n > given.upto else []
        for text in found:
            if text and text not in said:
                said.add(text)
                yield Decision(n=turn.n, role=turn.role, text=text)
        asked = _question(turn)


def _question(turn: Turn) -> str:
    """The one that it ends with."""
    last = sentences(turn.text)[-1:]
    return last[0] if last and turn.role in _WORKING and _QUESTION.search(last[0]) else ""


def _settling(turn: Turn, asked: str) -> list[str]:
    """``asked``: the question that the turn before ended with."""
    if turn.decision:
        return [turn.text.strip()]
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
        (_told(turn.role, sentence), sentence)
        for turn in turns
        if not turn.decision
        for sentence in sentences(turn.text)
        if sentence not in decided
    ]
    return "\n".join(central(told, room))


def _told(role: str, sentence: str) -> str:
    """A line of a summary, one whatever the sentence is."""
    line = " ".join(sentence[:LONGEST].split())
    return f"{_role(role)}: {line}" if role else line
