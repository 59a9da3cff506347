"""Merging a document of a log: text by lines, or by key where it is a JSON object; metadata by key; relations as a set."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol, cast

import msgspec
from msgspec import structs

from clew.context.log.port import VersionConflict
from clew.context.log.rules import canonical
from clew.context.merge.conflict import Conflict, Resolver
from clew.context.merge.keys import ABSENT, merge_json
from clew.context.merge.lines import Merged, merge_text
from clew.core.errors import NotFound
from clew.gate.ports.context import Change, Put, Relation, Version

_TRIES = 10


class Documents(Protocol):
    """What is merged in: a log, or what writes to one."""

    def history(self, id: str) -> list[Version]: ...  # noqa: A002
    def write(self, changes: Sequence[Change], at: int) -> list[Version | None]: ...


class Outcome(msgspec.Struct, frozen=True):
    """``version``: the live one afterwards. With conflicts nothing was written; ``wanted`` is the merge as far as it goes.

    In ``wanted``, conflicting lines are marked, and conflicting values are those that are live.
    """

    version: Version | None
    wanted: Put
    conflicts: tuple[Conflict, ...] = ()


def merge_document(log: Documents, base_version: int, theirs: Put, at: int, resolve: Resolver | None = None) -> Outcome:
    """Write ``theirs``, which somebody made of version ``base_version`` (0: of nothing), merged with what is live by now.

    A conflict that ``resolve`` does not settle is reported, and nothing is written. Writers who come in between make it merge
    again. Raises NotFound where the base is not in the log, VersionConflict where others were faster ten times, and what the
    log raises.
    """
    for _ in range(_TRIES - 1):
        with suppress(VersionConflict):
            return _merged(log, base_version, theirs, at, resolve)
    return _merged(log, base_version, theirs, at, resolve)


def preview(history: Sequence[Version], base_version: int, theirs: Put, resolve: Resolver | None = None) -> Outcome:
    """What ``merge_document`` would give after that ``history``, and nothing is written. Raises NotFound as it does."""
    live, wanted, conflicts = _proposed(history, base_version, theirs, resolve)
    return Outcome(live, wanted or theirs, conflicts)


def _merged(log: Documents, base_version: int, theirs: Put, at: int, resolve: Resolver | None) -> Outcome:
    live, wanted, conflicts = _proposed(log.history(theirs.id), base_version, theirs, resolve)
    if conflicts or wanted is None:
        return Outcome(live, wanted or theirs, conflicts)
    wanted = structs.replace(wanted, expected=live.version if live else 0)
    (written,) = log.write([wanted], at)
    return Outcome(written or live, wanted)


def _proposed(
    history: Sequence[Version], base_version: int, theirs: Put, resolve: Resolver | None
) -> tuple[Version | None, Put | None, tuple[Conflict, ...]]:
    """What is live, what is to be written instead (None: it stays removed), and what stands in the way."""
    base = _base(history, base_version, theirs.id)
    live = history[-1] if history and not history[-1].deleted else None
    if live:
        wanted, conflicts = _combined(base, live, theirs, resolve)
    elif base:
        wanted, conflicts = _removed(base, theirs, resolve)
    else:
        wanted, conflicts = theirs, ()
    return live, wanted, conflicts


def _base(history: Sequence[Version], version: int, id: str) -> Version | None:  # noqa: A002
    if version == 0:
        return None
    for found in history:
        if found.version == version and not found.deleted:
            return found
    raise NotFound(
        f"document {id!r} has no version {version} to merge with",
        hint="it never was, it was a removal, or it was compacted away: read the live version and make the change again",
    )


def _combined(
    base: Version | None, ours: Version, theirs: Put, resolve: Resolver | None
) -> tuple[Put, tuple[Conflict, ...]]:
    body = _body(base.text if base else "", ours.text, theirs.text, resolve)
    known = base.metadata if base else ABSENT
    metadata = merge_json(known, ours.metadata, theirs.metadata, resolve, "metadata")
    vector = (theirs.vector, theirs.embedder) if body.text == theirs.text else (b"", "")
    if not vector[0] and body.text == ours.text:
        vector = (ours.vector, ours.embedder)
    wanted = structs.replace(
        theirs,
        text=body.text,
        metadata=metadata.value,
        vector=vector[0],
        embedder=vector[1],
        relations=_relations(base.relations if base else (), ours.relations, theirs.relations),
    )
    return wanted, body.conflicts + metadata.conflicts


def _removed(base: Version, theirs: Put, resolve: Resolver | None) -> tuple[Put | None, tuple[Conflict, ...]]:
    """One side removed the document. None: it stays removed, since the other changed nothing, or so it was settled."""
    if _content(theirs) == _content(base):
        return None, ()
    conflict = Conflict(part="document", base=base.text, ours="", theirs=theirs.text)
    settled = resolve(conflict) if resolve else None
    if settled is None:
        return theirs, (conflict,)
    if settled == theirs.text:
        return theirs, ()
    return structs.replace(theirs, text=settled, vector=b"", embedder="") if settled else None, ()


def _content(document: Put | Version) -> tuple[Any, ...]:
    return document.text, canonical(document.metadata), document.relations


def _relations(base: Sequence[Relation], ours: Sequence[Relation], theirs: Sequence[Relation]) -> tuple[Relation, ...]:
    """What both have, and what either added."""
    kept = [fact for fact in ours if fact in theirs or fact not in base]
    return tuple(kept + [fact for fact in theirs if fact not in base and fact not in ours])


def _body(base: str, ours: str, theirs: str, resolve: Resolver | None) -> Merged:
    one, two, old = _object(ours), _object(theirs), _object(base) if base else {}
    if one is None or two is None or old is None:
        return merge_text(base, ours, theirs, resolve)
    merged = merge_json(old, one, two, resolve)
    for value, text in ((one, ours), (two, theirs)):
        if canonical(merged.value) == canonical(value):
            return Merged(text, merged.conflicts)
    indent = 2 if "\n" in ours.strip() else None
    text = json.dumps(merged.value, ensure_ascii=False, indent=indent)
    return Merged(text + "\n" if ours.endswith("\n") else text, merged.conflicts)


def _object(text: str) -> dict[str, Any] | None:
    """A JSON object that can be written again without losing anything; None for every other text."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_float=_exact, parse_constant=_exact)
        canonical(value)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _exact(text: str) -> float:
    if repr(float(text)) != text:
        raise ValueError("a number that would be written otherwise")
    return float(text)
