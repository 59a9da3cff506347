"""What was: versions by their numbers and by what made them, snapshots compared and restored. Functions over a log, by place or by
a label's place.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from clew.context.log.port import Log
from clew.context.log.rules import canonical
from clew.core.errors import NotFound
from clew.gate.ports.context import Change, Put, Remove, Version

_PAGE = 500


class Difference(msgspec.Struct, frozen=True):
    """Ids of documents, by code point."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def of_number(history: Sequence[Version], number: int) -> Version | None:
    """Of a document's versions the one with this number, which may be a removal; None: it is not among them."""
    return next((one for one in history if one.version == number), None)


def numbered(log: Log, id: str, number: int) -> Version:  # noqa: A002 - the word of the contract
    """Version ``number`` of a document, as it was. Raises NotFound, which says whether it is forgotten or never was."""
    versions = log.history(id)
    found = of_number(versions, number)
    if found is not None and not found.deleted:
        return found
    if not versions:
        raise NotFound(f"there never was a document {id!r}")
    if found is not None:
        why = f"version {number} of document {id!r} is its removal"
    elif 0 < number < versions[-1].version:
        why = f"version {number} of document {id!r} is forgotten: the store's retention bounds history"
    else:
        why = f"document {id!r} never had a version {number}: the newest is {versions[-1].version}"
    raise NotFound(why, hint="`clew context history` lists those that there are")


def difference(log: Log, a: int, b: int) -> Difference:
    """What became of the documents from place ``a`` to place ``b``; the other way round where ``a`` is later.

    Takes time by what was written in between. ``changed``: another text, other metadata or relations; a vector is none of them.
    Raises NotFound for a place that is not valid.
    """
    if a > b:
        back = difference(log, b, a)
        return Difference(back.removed, back.added, back.changed)
    added: list[str] = []
    removed: list[str] = []
    changed: list[str] = []
    for id_ in _touched(log, a, b):
        before, after = log.as_of(a, id_), log.as_of(b, id_)
        if before is None and after is not None:
            added.append(id_)
        elif before is not None and after is None:
            removed.append(id_)
        elif before is not None and after is not None and _content(before) != _content(after):
            changed.append(id_)
    return Difference(tuple(added), tuple(removed), tuple(changed))


def restore(log: Log, n: int, origin: str, at: int) -> list[Version]:
    """Make what was live at place ``n`` live again, by new versions in one write; those versions.

    Raises VersionConflict where somebody wrote one of these documents meanwhile (nothing was restored then), NotFound for a
    place that is not valid.
    """
    changes: list[Change] = []
    for id_ in _touched(log, n, log.head()):
        before, now = log.as_of(n, id_), log.get(id_)
        expected = now.version if now else 0
        if before is None:
            changes.append(Remove(id=id_, origin=origin, expected=expected))
        elif now is None or before.n != now.n:
            changes.append(_again(before, origin, expected))
    return [version for version in log.write(changes, at) if version]


def standing(log: Log, changes: Sequence[Change], written: Sequence[Version | None]) -> dict[str, int]:
    """By document, the version that a write of ``changes`` made, or that said the same already; 0: removed, or never there.

    Never one that somebody else wrote since: nobody here has seen it, and a merge from it would drop what it says.
    """
    found: dict[str, int] = {}
    for change, version in zip(changes, written, strict=True):
        if version is None and isinstance(change, Put):
            version = next((one for one in _from_last(log, change.id) if _says(one, change)), None)
        found[change.id] = version.version if version is not None and not version.deleted else 0
    return found


def _from_last(log: Log, id_: str) -> Iterator[Version]:
    """The newest version first; history is read where that does not do."""
    live = log.get(id_)
    if live is not None:
        yield live
    yield from reversed(log.history(id_))


def _says(version: Version, put: Put) -> bool:
    return not version.deleted and version.text == put.text and canonical(version.metadata) == canonical(put.metadata)


def _again(before: Version, origin: str, expected: int) -> Put:
    return Put(
        id=before.id,
        text=before.text,
        metadata=before.metadata,
        vector=before.vector,
        embedder=before.embedder,
        relations=before.relations,
        origin=origin,
        expected=expected,
    )


def _touched(log: Log, a: int, b: int) -> list[str]:
    """Documents with a version after ``a``, up to ``b``. Raises NotFound for a place that is not valid."""
    for place in (a, b):
        log.as_of(place, "-")
    return sorted({version.id for version in _between(log, a, b)})


def _between(log: Log, a: int, b: int) -> Iterator[Version]:
    while page := log.since(a, _PAGE):
        for version in page:
            if version.n > b:
                return
            yield version
        a = page[-1].n


def _content(version: Version) -> tuple[Any, ...]:
    return version.text, canonical(version.metadata), version.relations
