"""The turns of a session's conversation, as documents: read, and folded where there are many.

A turn is a document with ``kind: turn`` in its metadata, and ``role``, ``task``, ``done`` and ``decision`` as ``Turn`` has them.
Of a long conversation the older turns stand in one further document, the digest; they stay where they are all the same.
"""

from contextlib import suppress
from typing import Any

import msgspec

from clew.context.collection import Collection
from clew.context.conversation import Decision, Summary, Turn, fold
from clew.core.errors import Conflict
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
MOST_TURNS = 1000
"""Turns that are read to assemble a context."""
_FOLD_AT = 800
_LEFT = 400
"""Turns that are not folded yet, at most and afterwards."""
_FOLD_CHARACTERS = 2_000_000
"""Of those turns, at most; half of them afterwards."""
_IS_TURN: dict[str, Any] = {"op": "eq", "args": ["kind", TURN]}


class _Digest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Metadata of the digest. ``place`` of the last version in the log that it stands for, ``turns``: how many those are."""

    kind: str = ""
    place: int
    turns: int
    decisions: tuple[Decision, ...] = ()
    trimmed: int = 0
    tokens: int = 0


def said(collection: Collection) -> tuple[list[Turn], Summary | None]:
    """The turns that are not folded, in order, and what stands for the others."""
    names = collection.newest(MOST_TURNS, _IS_TURN)
    found = collection.log.get_many([*names, DIGEST])
    digest, given = _digested(found.pop(DIGEST, None))
    place, count = (digest.place, digest.turns) if digest is not None else (0, 0)
    later = [found[name] for name in reversed(names) if name in found and found[name].n > place]
    return [_turn(n, version) for n, version in enumerate(later, count + 1)], given


def fold_turns(collection: Collection, origin: str) -> None:
    """Of a long conversation, bring the digest up to date, once for some hundred turns, or for fewer that are long.

    ``origin``: who added to it.
    """
    there = collection.log.get(DIGEST)
    digest, given = _digested(there)
    place, count = (digest.place, digest.turns) if digest is not None else (0, 0)
    later = _after(collection, place, _FOLD_AT)
    if len(later) == _FOLD_AT:
        later = _after(collection, place, collection.log.count())
    elif sum(len(one.text) for one in later) < _FOLD_CHARACTERS:
        return
    old, room = list(later), _FOLD_CHARACTERS // 2
    while old and len(later) - len(old) < _LEFT and room > 0:
        room -= len(old.pop().text)
    if not old:
        return
    summary = fold([_turn(n, version) for n, version in enumerate(old, count + 1)], given)
    told = _Digest(
        kind=_KIND, place=old[-1].n, turns=summary.upto, decisions=summary.decisions, trimmed=summary.trimmed,
        tokens=summary.tokens,
    )  # fmt: skip
    put = Put(
        id=DIGEST, text=summary.text, metadata=msgspec.to_builtins(told), origin=origin + _MADE,
        expected=there.version if there is not None else 0,
    )  # fmt: skip
    with suppress(Conflict):  # somebody else has folded meanwhile
        collection.write([put])


def _after(collection: Collection, place: int, most: int) -> list[Version]:
    """The newest turns that were written after ``place``, oldest first."""
    found = collection.log.get_many(collection.newest(most, _IS_TURN))
    return sorted((one for one in found.values() if one.n > place), key=lambda one: one.n)


def _digested(version: Version | None) -> tuple[_Digest, Summary] | tuple[None, None]:
    """Nothing of what is no digest: anybody may write to a session, but not in this name."""
    if version is None or not version.origin.endswith(_MADE):
        return None, None
    try:
        digest = msgspec.convert(version.metadata, _Digest)
    except msgspec.ValidationError:
        return None, None
    return digest, Summary(
        text=version.text, upto=digest.turns, decisions=digest.decisions, trimmed=digest.trimmed, tokens=digest.tokens
    )


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
