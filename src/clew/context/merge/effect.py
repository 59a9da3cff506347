"""The ``merge`` effect: what is asked, what is done in a collection, and what is said of it.

What somebody settled comes with the request, by the names of the conflicts. A name stands for the place and all three texts, so
what was settled holds where the very same conflict is found again, whatever others wrote meanwhile, and nowhere else.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from clew.context.collection import Collection
from clew.context.graph.reading import restated
from clew.context.log import rules
from clew.context.log.port import NO_BOUNDS
from clew.context.merge.conflict import Conflict
from clew.context.merge.document import preview
from clew.context.scopes import Kind
from clew.context.versions import of_number
from clew.core.errors import NotFound
from clew.core.identity import digest
from clew.gate.ports.context import Put, Version

MOST = 50
"""Conflicts that are told."""
MOST_CHARACTERS = 24_000
"""Of all conflicts: their texts, their places and the lines around; some 6,000 tokens."""
_CUT = 200
_AROUND = 3
"""Lines above and below."""
_WIDEST = 200


class Merging(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The request of ``merge``: a document that was made of version ``base`` (0: of none). ``metadata`` null: as in the base.

    ``settled``: what is to stand where a conflict of this name is.
    """

    id: str
    text: str
    base: int
    metadata: dict[str, Any] | None = None
    scope: Kind = "project"
    settled: dict[str, str] = {}


def perform(collection: Collection, asked: Merging, origin: str) -> dict[str, Any]:
    """What is live now, ``{version, text, metadata, written, settled}``: whether it was ``written`` just now, and the names of
    what was ``settled``. Or what ``told`` says with the live ``version``: then nothing was written. Version 0: there is none.

    Raises NotFound where the base is not known, VersionConflict where others were faster ten times, UsageError for what can be no
    document.
    """
    history = collection.log.history(asked.id)
    base = of_number(history, asked.base)
    metadata = asked.metadata if asked.metadata is not None else base.metadata if base is not None else {}
    relations = restated(base, asked.id, asked.text)
    theirs = Put(id=asked.id, text=asked.text, metadata=metadata, relations=relations, origin=origin)
    before = [one for one in history if one.origin == origin]
    if before:  # it was written before a crash, and is asked for again: others may have gone on since
        return _stands(history, asked, theirs, before[-1])
    rules.ready([theirs], NO_BOUNDS)  # what can be no document is not compared either
    outcome = collection.merge(asked.base, theirs, lambda conflict: asked.settled.get(name(conflict)))
    live = outcome.version
    if outcome.conflicts:
        there = (live.version, live.text) if live is not None else (0, "")
        return {"version": there[0], **told(outcome.conflicts, there[1])}
    return _stands(collection.log.history(asked.id), asked, theirs, live)


def _stands(history: Sequence[Version], asked: Merging, theirs: Put, live: Version | None) -> dict[str, Any]:
    """``settled`` hangs on what the merge was made of alone, however often it was tried, and when it is asked for again."""
    written = live is not None and live.origin == theirs.origin
    used: dict[str, None] = {}

    def resolve(conflict: Conflict) -> str | None:
        known = name(conflict)
        used.update(dict.fromkeys({known} & asked.settled.keys()))
        return asked.settled.get(known)

    with suppress(NotFound):  # forgotten meanwhile
        preview([one for one in history if live is None or not written or one.n < live.n], asked.base, theirs, resolve)
    told = {"written": written, "settled": [*used]}
    if live is None:
        return {"version": 0, "text": "", "metadata": {}, **told}
    return {"version": live.version, "text": live.text, "metadata": live.metadata, **told}


def name(conflict: Conflict) -> str:
    """Of the place and all three texts; the same in every merge where they are the same."""
    place = [conflict.part, conflict.pointer, conflict.base_lines.first, conflict.base_lines.count]
    return digest([*place, conflict.base, conflict.ours, conflict.theirs])[:16]


def told(conflicts: Sequence[Conflict], ours: str) -> dict[str, Any]:
    """``{conflicts, count, left}``: ``left`` of ``count`` are not told in full, or not at all.

    ``ours``: the live text, some lines of which are shown ``above`` and ``below`` a conflict.
    """
    shown: list[dict[str, Any]] = []
    room, lines, left = MOST_CHARACTERS, ours.split("\n"), len(conflicts)
    for one in conflicts[:MOST]:
        texts = {field: getattr(one, field) for field in ("base", "ours", "theirs", "pointer")} | _around(one, lines)
        size = sum(map(len, texts.values()))
        if size <= room:
            room -= size
            left -= 1
        else:
            texts = {field: _cut(text) for field, text in texts.items()}
        shown.append(msgspec.to_builtins(one) | texts | {"name": name(one)})
    return {"conflicts": shown, "count": len(conflicts), "left": left}


def _around(conflict: Conflict, lines: Sequence[str]) -> dict[str, str]:
    if conflict.part != "text":
        return {}
    start = conflict.ours_lines.first - 1
    end = start + conflict.ours_lines.count
    sides = {"above": lines[max(0, start - _AROUND) : start], "below": lines[end : end + _AROUND]}
    return {side: "\n".join(line[:_WIDEST] for line in found) for side, found in sides.items()}


def _cut(text: str) -> str:
    return text if len(text) <= _CUT else f"{text[:_CUT]} [cut: {_CUT} of {len(text):,} characters]"
