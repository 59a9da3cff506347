"""What all backends agree on, as functions of values: what a document may be, what a write writes, which places are valid."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import msgspec
from msgspec import structs

from clew.context.log.port import NO_BOUNDS, RETENTION, Bounds, Heir, VersionConflict
from clew.core.errors import NotFound, UsageError
from clew.gate.ports.context import Change, Put, Relation, Remove, Version

MOST_ID = 1000
MOST_LEVELS = 100
_AHEAD = 256
"""Documents, and half of all at most, that an heir is shown before they are to be removed: it need not change at every write."""
_encoder = msgspec.json.Encoder(order="deterministic")
_metadata = msgspec.json.Decoder(dict[str, Any])
_relations = msgspec.json.Decoder(tuple[Relation, ...])
T = TypeVar("T")
_LATEST = 2**62


class Standing(NamedTuple):
    """The newest version of a document as it was written, a removal included, and how many bytes it takes while it is live.

    ``attached``: ``(embedder, vector)``, the newest first.
    """

    version: Version
    size: int
    attached: tuple[tuple[str, bytes], ...] = ()


class Kept(NamedTuple):
    """A live document as retention sees it."""

    id: str
    at: int
    size: int


class Present(Protocol):
    """A log as it stands under its writer's lock. ``live`` and ``size``: number and bytes of live documents."""

    head: int
    live: int
    size: int

    def newest(self, id: str) -> Standing | None: ...  # noqa: A002
    def oldest(self) -> Iterator[Kept]:
        """Live documents in order of writing."""
        ...


class Ready(NamedTuple):
    """A change that was checked: the version that it asks for, without numbers; its JSON canonical, empty for none."""

    version: Version
    expected: int | None
    metadata: str
    relations: str
    size: int


class Written(NamedTuple):
    """A version to be stored, with its ``metadata`` and ``relations`` as JSON, and the vectors to be attached to it at once,
    the newest last."""

    version: Version
    metadata: str
    relations: str
    size: int
    attached: Sequence[tuple[str, bytes]] = ()


class Plan(NamedTuple):
    """What a write answers, and what is to be appended for it, in order. ``live`` and ``size``: of live documents afterwards;
    ``forgotten``: how many documents the bounds removed."""

    answers: list[Version | None]
    written: list[Written]
    live: int
    size: int
    forgotten: int


def ready(changes: Sequence[Change], bounds: Bounds) -> list[Ready]:
    """Check changes. Raises UsageError for what can be no document, and for one that is larger than the log may be."""
    return [_removal(change) if isinstance(change, Remove) else _document(change, bounds) for change in changes]


def plan(changes: Sequence[Ready], at: int, present: Present, bounds: Bounds) -> Plan:
    """What is to be written. Raises VersionConflict, and UsageError for what is too large with the vector that it keeps."""
    planner = _Planner(present, at)
    answers = [planner.answer(change) for change in changes]
    for written in planner.written:
        _check_size(written.version.id, written.size, bounds)
    if bounds.max_items is not None or bounds.max_age is not None or bounds.max_size is not None:
        planner.enforce(bounds)
    return Plan(answers, planner.written, planner.live, planner.size, planner.forgotten)


def check_place(n: int, head: int, floor: int, labelled: bool) -> None:
    """Raises NotFound unless the state at place ``n`` is known whole."""
    if n > head:
        raise NotFound(f"place {n} is not written yet: the newest is {head}")
    if 0 < n < floor and not labelled:
        raise NotFound(
            f"what was live at place {n} was compacted away",
            hint=f"places from {floor} on and labelled places can be looked at",
        )


def check_id(id: str) -> None:  # noqa: A002
    """Raises UsageError for what can be no document id."""
    if not 0 < len(id) <= MOST_ID or "\0" in id:
        raise UsageError(f"{id[:60]!r} can be no document id: 1 to {MOST_ID} characters are, without NUL")
    _text(id, f"document id {id[:60]!r}")


def check_label(name: str) -> None:
    """Raises UsageError for what can be no label."""
    if not 0 < len(name) <= MOST_ID or not name.isprintable():
        raise UsageError(f"{name[:60]!r} can be no label: 1 to {MOST_ID} printable characters are")


def canonical(value: Any) -> bytes:
    """JSON with sorted keys: equal exactly where the values are the same JSON. Raises as msgspec does for what is no JSON."""
    return _encoder.encode(value)


class _Planner:
    """Applies changes one after another to what is there, and notes what that writes."""

    def __init__(self, present: Present, at: int) -> None:
        self._present = present
        self._at = at
        self._changed: dict[str, Standing | None] = {}
        self.live = present.live
        self.size = present.size
        self.written: list[Written] = []
        self.forgotten = 0

    def answer(self, change: Ready) -> Version | None:
        wanted = change.version
        standing = self._newest(wanted.id)
        live = None if standing is None or standing.version.deleted else standing.version
        found = live.version if live else 0
        if change.expected is not None and change.expected != found:
            raise VersionConflict(wanted.id, change.expected, found)
        if (wanted.deleted and live is None) or (standing and live and not wanted.deleted and _same(standing, change)):
            return None
        return self._append(standing, change)

    def enforce(self, bounds: Bounds) -> None:
        """Remove the oldest-written documents while there is too much, or they are too old; what is left of them is the heir's."""
        heir, gone = bounds.heir, list[str]()
        there = self._newest(heir.id) if heir is not None else None
        own = there if there is not None and not there.version.deleted else None
        live, size = (self.live, self.size) if own is None else (self.live - 1, self.size - own.size)
        for kept in self._oldest(heir):
            if not _beyond(bounds, live, size, self._at - kept.at):
                break
            gone.append(kept.id)
            live, size = live - 1, size - kept.size
        if heir is not None and gone:
            soon = islice(self._oldest(heir), len(gone), len(gone) + min(_AHEAD, live // 2))
            before = own.version if own is not None else None
            left = heir.made(before, self._versions(gone), self._versions(kept.id for kept in soon))
            if left is not None:
                self._append(there, _document(left, NO_BOUNDS))
        for id_ in gone:
            self._append(self._newest(id_), _removal(Remove(id=id_, origin=RETENTION)))
        self.forgotten = len(gone)

    def _oldest(self, heir: Heir | None) -> Iterator[Kept]:
        """Live documents but the heir, in order of writing."""
        standing = [(id_, s) for id_, s in self._changed.items() if s and not s.version.deleted]
        young = (Kept(id_, s.version.at, s.size) for id_, s in standing)
        old = (kept for kept in self._present.oldest() if kept.id not in self._changed)
        return (kept for kept in chain(old, young) if heir is None or kept.id != heir.id)

    def _versions(self, ids: Iterable[str]) -> Iterator[Version]:
        return (standing.version for id_ in ids if (standing := self._newest(id_)) is not None)

    def _newest(self, id: str) -> Standing | None:  # noqa: A002
        return self._changed[id] if id in self._changed else self._present.newest(id)

    def _append(self, before: Standing | None, ready: Ready) -> Version:
        n = self._present.head + len(self.written) + 1
        parent = before.version.version if before else 0
        version, size = structs.replace(ready.version, n=n, version=parent + 1, parent=parent, at=self._at), ready.size
        attached: tuple[tuple[str, bytes], ...] = ()
        if before and not before.version.deleted:
            self.live -= 1
            self.size -= before.size
            if not version.deleted and not version.vector and version.text == before.version.text:
                own, attached = before.version, before.attached
                version = structs.replace(version, vector=own.vector, embedder=own.embedder)
                size += len(own.vector) + len(own.embedder.encode()) - len(ready.version.embedder.encode())
        if not version.deleted:
            self.live += 1
            self.size += size
        self._changed.pop(version.id, None)
        self._changed[version.id] = Standing(version, size, attached)
        self.written.append(Written(version, ready.metadata, ready.relations, size, attached[::-1]))
        return structs.replace(version, embedder=attached[0][0], vector=attached[0][1]) if attached else version


def _same(standing: Standing, change: Ready) -> bool:
    live, wanted = standing.version, change.version
    if live.text != wanted.text or live.relations != wanted.relations:
        return False
    known = {live.embedder: live.vector, **dict(standing.attached)}
    if wanted.vector and known.get(wanted.embedder) != wanted.vector:
        return False
    return change.metadata == (canonical(live.metadata).decode() if live.metadata else "")


def _beyond(bounds: Bounds, live: int, size: int, age: int) -> bool:
    return (
        (bounds.max_items is not None and live > bounds.max_items)
        or (bounds.max_size is not None and size > bounds.max_size)
        or (bounds.max_age is not None and age > bounds.max_age)
    )


def _removal(change: Remove) -> Ready:
    check_id(change.id)
    _text(change.origin, f"document {change.id!r}: the origin")
    return Ready(Version(n=0, id=change.id, version=0, deleted=True, origin=change.origin), change.expected, "", "", 0)


def _document(change: Put, bounds: Bounds) -> Ready:
    check_id(change.id)
    what = f"document {change.id!r}: "
    if len(change.vector) % 4:
        raise UsageError(f"{what}a vector of {len(change.vector)} bytes is no row of float32")
    metadata, plain = _json(change.metadata, _metadata, what + "metadata")
    relations, _ = _json(change.relations, _relations, what + "relations")
    if not all(0 <= relation.confidence <= 1 for relation in change.relations):
        raise UsageError(f"{what}the confidence of a relation is a number from 0 to 1")
    times = [time for one in change.relations for time in (one.valid_from, one.valid_to) if time is not None]
    if any(abs(time) > _LATEST for time in times):
        raise UsageError(f"{what}the times of a relation are milliseconds since 1970, and none is beyond ±2**62")
    size = len(change.vector) + len(change.id.encode()) + len(metadata) + len(relations)
    for name, value in (("text", change.text), ("embedder", change.embedder), ("origin", change.origin)):
        size += len(_text(value, what + name))
    _check_size(change.id, size, bounds)
    version = Version(
        n=0,
        id=change.id,
        version=0,
        text=change.text,
        metadata=plain or {},
        vector=change.vector,
        embedder=change.embedder,
        relations=change.relations,
        origin=change.origin,
    )
    return Ready(version, change.expected, metadata.decode(), relations.decode(), size)


def _check_size(id: str, size: int, bounds: Bounds) -> None:  # noqa: A002
    """Raises UsageError for a document that nothing else could make room for."""
    spared = bounds.heir is not None and bounds.heir.id == id
    if bounds.max_size is not None and size > bounds.max_size and not spared:
        raise UsageError(
            f"document {id!r}: it takes {size} bytes, the collection keeps {bounds.max_size} at most",
            hint="split it, or raise max_size of the store's retention",
        )


def _text(value: str, what: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{what} is no Unicode text: {error.reason} at character {error.start}") from error


def _json(value: T, decoder: msgspec.json.Decoder[T], what: str) -> tuple[bytes, T | None]:
    """``value`` as canonical JSON, and as it is read back; nothing where it is empty."""
    if not value:
        return b"", None
    try:
        data = canonical(value)
        plain = decoder.decode(data)
        deep = data.count(b"{") + data.count(b"[") > MOST_LEVELS and _levels(msgspec.json.decode(data)) > MOST_LEVELS
    except (TypeError, ValueError, RecursionError, OverflowError, msgspec.MsgspecError) as error:
        raise UsageError(f"{what} cannot be kept as JSON: {error}") from error
    if deep:
        raise UsageError(f"{what} is nested deeper than {MOST_LEVELS} levels")
    return data, plain


def _levels(value: Any) -> int:
    level, inner = 0, [value]
    while inner:
        level += 1
        inner = [held for holder in inner for held in _held(holder)]
    return level


def _held(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return cast("dict[str, Any]", value).values()
    return cast("list[Any]", value) if isinstance(value, list) else ()
