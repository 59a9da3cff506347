"""The turns of a session's conversation, as documents: read, and folded or summarised where there are many.

A turn is a document with ``kind: turn`` in its metadata, and ``role``, ``task``, ``done`` and ``decision`` as ``Turn`` has them.
Of a long conversation the older turns stand in one further document, the digest; they stay where they are all the same. Where an
agent summarises, the write that makes a summary due notes so in the digest: of several runs that are at work, one asks.
What retention removes is folded by the write that removes it.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from clew.context import conversation
from clew.context.collection import Collection
from clew.context.conversation import AFTER, KEEP, Decision, Memory, Summary, Turn, fold, remember, worded
from clew.context.log.port import RETENTION, Heir
from clew.context.window import DEFAULT_TOKENS
from clew.core.errors import Conflict, Failure
from clew.gate.ports.context import Put, Version

TURN = "turn"
"""``metadata.kind`` of a turn."""
_KIND = "digest"
OURS = [TURN, _KIND]
"""Kinds of what belongs to a conversation: it is shown as one, and not as documents."""
DIGEST = "conversation:digest"
"""Id of the digest."""
_MADE = "/digest"
"""How the origin of a digest ends."""
_ASKING = "/due" + _MADE
"""How it ends where the digest only says that somebody is asked for one."""
MOST_TURNS = 1000
"""Turns that are read to assemble a context."""
_FOLD_AT = 800
_LEFT = 400
"""Turns that are not folded yet, at most and afterwards."""
_FOLD_CHARACTERS = 2_000_000
"""Of those turns, at most; half of them afterwards."""
_IS_TURN: dict[str, Any] = {"op": "eq", "args": ["kind", TURN]}


class Bounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of a conversation is shown as it was said. ``max_tokens``: of a context, documents included."""

    keep_turns: int = KEEP
    summarise_after: int = AFTER
    max_tokens: int = DEFAULT_TOKENS

    @property
    def most(self) -> int:
        """Tokens of the conversation: the rest is for documents, whatever was said."""
        return self.max_tokens * 3 // 4


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A summary that is to be asked for: of the turns up to place ``upto``, where a digest stands for those up to ``base``."""

    base: int
    upto: int
    material: dict[str, Any]


class Summarised(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What agent ``by`` answered to a ``Due``, or ``why`` (and ``code``) it did not."""

    base: int
    upto: int
    by: str
    points: tuple[str, ...] = ()
    why: str = ""
    code: str = ""


class _Digest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Metadata of the digest. ``place`` of the last version in the log that it stands for, ``turns``: how many those are;
    ``asked``: the last place up to which an agent was asked for a summary, ``by``: the one whose words the text is;
    ``question``: as in ``Summary``."""

    kind: str = ""
    place: int
    turns: int
    decisions: tuple[Decision, ...] = ()
    trimmed: int = 0
    tokens: int = 0
    asked: int = 0
    question: str = ""
    by: str = ""


class _Talk(msgspec.Struct, frozen=True):
    """``later``: turns for which the digest does not stand, oldest first; ``earlier``: the last ones for which it does."""

    there: Version | None
    digest: _Digest
    earlier: list[Version]
    later: list[Version]

    @property
    def given(self) -> Summary | None:
        digest = self.digest
        if self.there is None or not digest.turns:
            return None
        return Summary(
            text=self.there.text, upto=digest.turns, decisions=digest.decisions, trimmed=digest.trimmed,
            tokens=digest.tokens, question=digest.question, by=digest.by,
        )  # fmt: skip

    def turns(self, upto: int | None = None) -> list[Turn]:
        """In order, the earlier ones too; ``upto``: a place in the log."""
        first = self.digest.turns - len(self.earlier) + 1
        found = [_turn(n, version) for n, version in enumerate([*self.earlier, *self.later], first)]
        return found if upto is None else found[: len(self.earlier) + sum(one.n <= upto for one in self.later)]


def recall(collection: Collection, bounds: Bounds) -> Memory:
    """The conversation as it is shown."""
    talk = _read(collection, MOST_TURNS, max(bounds.keep_turns, bounds.summarise_after, 1), whole=False)
    return remember(
        talk.turns(), keep=bounds.keep_turns, after=bounds.summarise_after, given=talk.given, room=bounds.max_tokens // 4,
        most=bounds.most,
    )  # fmt: skip


def measured(memory: Memory) -> dict[str, Any]:
    """How much smaller the conversation is by now, and what of it is not shown word for word."""
    told = {
        "tokens": memory.tokens,
        "tokens_before": memory.tokens_before,
        "turns": len(memory.turns),
        "decisions": len(memory.decisions),
        "forgotten": memory.forgotten,
        "trimmed": memory.trimmed,
        "summarised": memory.summarised,
    }
    return told | {"by": memory.by} if memory.by else told


def added(collection: Collection, origin: str, bounds: Bounds | None = None) -> Due | None:
    """After turns were added by ``origin``: of a long conversation, bring the digest up to date, once for some hundred turns, or
    for fewer that are long; and say which summary is due by ``bounds``, where an agent is to be asked."""
    talk = _read(collection, _FOLD_AT)
    folded = _folded(collection, talk, origin)
    if bounds is None:
        return None
    return _due(collection, _read(collection, _FOLD_AT) if folded else talk, origin, bounds)


def summarise(collection: Collection, asked: Summarised, origin: str) -> dict[str, Any]:
    """Make an agent's words the digest's, beside what was decided; what came of it, as it is recorded.

    Whatever is wrong with them, the digest is left as it is, and the turns are as they were.
    """
    told: dict[str, Any] = {"by": asked.by}
    if asked.why:
        return told | {"why": asked.why, "code": asked.code}
    try:
        text = worded(asked.points)
    except Failure as failure:
        return told | {"why": failure.message, "code": failure.code}
    done = collection.log.history(DIGEST, origin + _MADE)  # else it was written before a crash
    while not done:
        talk = _read(collection, _FOLD_AT)
        turns = talk.turns(asked.upto)
        if talk.digest.place != asked.base or len(turns) == len(talk.earlier):
            return told | {"why": "the older turns were summarised otherwise meanwhile", "code": Conflict.code}
        summary = msgspec.structs.replace(fold(turns, talk.given), by=asked.by)
        digest = _digest(summary, asked.upto, max(talk.digest.asked, asked.upto))
        if _write(collection, talk, digest, text, origin + _MADE):
            break
    return told | {"points": text.count("\n") + 1}


def _inherited(there: Version | None, gone: Iterable[Version], soon: Iterable[Version]) -> Put | None:
    """The digest, where it does not stand yet for a turn that is removed; it stands for those that are next as well then."""
    digest = _digested(there)
    lost = [one for one in gone if _is_turn(one) and one.n > digest.place]
    if not lost:
        return None
    lost += [one for one in soon if _is_turn(one)]
    talk = _Talk(there, digest, [], lost)
    summary = fold(talk.turns(), talk.given)
    metadata = msgspec.to_builtins(_digest(summary, lost[-1].n, digest.asked))
    return Put(id=DIGEST, text=summary.text, metadata=metadata, origin=RETENTION + _MADE)


HEIR = Heir(DIGEST, _inherited)
"""What retention removes of a conversation stands in its digest, which stays."""


def _folded(collection: Collection, talk: _Talk, origin: str) -> bool:
    later = talk.later
    if len(later) < _FOLD_AT and sum(len(one.text) for one in later) < _FOLD_CHARACTERS:
        return False
    old, room = list(later), _FOLD_CHARACTERS // 2
    while old and len(later) - len(old) < _LEFT and room > 0:
        room -= len(old.pop().text)
    if not old:
        return False
    place = old[-1].n
    summary = fold(talk.turns(place), talk.given)
    return _write(collection, talk, _digest(summary, place, talk.digest.asked), summary.text, origin + _MADE)


def _due(collection: Collection, talk: _Talk, origin: str, bounds: Bounds) -> Due | None:
    digest, there, turns = talk.digest, talk.there, talk.turns()
    begin = len(talk.earlier)
    if there is not None and there.origin == origin + _ASKING:  # it was written before a crash
        count, upto = len(talk.turns(digest.asked)) - begin, digest.asked
    else:
        fresh = sum(one.n > digest.asked for one in talk.later)
        keep, after = bounds.keep_turns, bounds.summarise_after
        count = conversation.due(turns[begin:], fresh, keep=keep, after=after, most=bounds.most)
        upto = talk.later[count - 1].n if count else 0
        claim = msgspec.structs.replace(digest, kind=_KIND, asked=upto)
        text = talk.given.text if talk.given is not None else ""
        if not count or not _write(collection, talk, claim, text, origin + _ASKING):
            return None
    return Due(base=digest.place, upto=upto, material=conversation.material(turns, begin + count, talk.given))


def _digest(summary: Summary, place: int, asked: int) -> _Digest:
    return _Digest(
        kind=_KIND, place=place, turns=summary.upto, decisions=summary.decisions, trimmed=summary.trimmed,
        tokens=summary.tokens, asked=asked, question=summary.question, by=summary.by,
    )  # fmt: skip


def _write(collection: Collection, talk: _Talk, digest: _Digest, text: str, origin: str) -> bool:
    """Whether nobody else has written the digest meanwhile."""
    put = Put(
        id=DIGEST, text=text, metadata=msgspec.to_builtins(digest), origin=origin,
        expected=talk.there.version if talk.there is not None else 0,
    )  # fmt: skip
    try:
        collection.write([put])
    except Conflict:
        return False
    return True


def _read(collection: Collection, most: int, earlier: int = 1, *, whole: bool = True) -> _Talk:
    """The newest ``most`` turns, those that no digest stands for and of the others the last ``earlier``.

    ``whole``: more of them, where the digest does not stand for all others.
    """
    names = collection.newest(most, _IS_TURN)
    found = collection.log.get_many([*names, DIGEST])
    there = found.pop(DIGEST, None)
    digest = _digested(there)
    turns = sorted(found.values(), key=lambda one: one.n)
    later = [one for one in turns if one.n > digest.place]
    if whole and len(later) == most:
        return _read(collection, max(2 * most, collection.log.count()), earlier)
    before = turns[: len(turns) - len(later)]
    return _Talk(there, digest, before[max(0, len(before) - min(earlier, digest.turns)) :], later)


def _digested(version: Version | None) -> _Digest:
    """Nothing of what is no digest: anybody may write to a session, but not in this name."""
    nothing = _Digest(place=0, turns=0)
    if version is None or not version.origin.endswith(_MADE):
        return nothing
    try:
        return msgspec.convert(version.metadata, _Digest)
    except msgspec.ValidationError:
        return nothing


def _is_turn(version: Version) -> bool:
    return version.metadata.get("kind") == TURN


def _turn(n: int, version: Version) -> Turn:
    told = version.metadata
    return Turn(
        n=n,
        role=str(told.get("role", "user")),
        text=version.text,
        task=str(told.get("task", "")),
        done=told.get("done") is True,
        decision=told.get("decision") is True,
    )
