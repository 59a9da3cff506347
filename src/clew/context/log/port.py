"""What a log of documents does. Backends: ``clew.context.log.sqlite`` and ``clew.context.log.jsonl``.

A *place* ``n`` numbers the versions of all documents in the order of writing, from 1; places may have gaps, and are never
given twice. A *label* is a name for a place: a snapshot that costs nothing. Compaction sets the log's *floor*: places at or
above it, labelled places and 0 stay valid for looking back; ``since`` takes any place that was ever valid.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from clew.core.errors import Conflict
from clew.gate.ports.context import Change, Put, Version
from clew.manifest.models.base import Retention
from clew.manifest.quantities import milliseconds, size_bytes

RETENTION = "retention"
"""Origin of the removals that retention makes."""
MOST_EMBEDDERS = 4
"""So many embedders' attached vectors are kept, of those that were attached last."""


class VersionConflict(Conflict):
    """A writer's ``expected`` version is not the live one; ``found`` is (0: there is none)."""

    code = "version_conflict"

    def __init__(self, id: str, expected: int, found: int) -> None:  # noqa: A002 - the field's name
        there = f"version {found}" if found else "no such document"
        wanted = f"version {expected}" if expected else "none"
        super().__init__(
            f"document {id!r}: {wanted} was expected, found is {there}", hint="read it again, or merge, and write anew"
        )
        self.id = id
        self.expected = expected
        self.found = found


class Heir(msgspec.Struct, frozen=True):
    """The document ``id`` stays whatever the bounds are, and counts for none of them. Where others are to be removed, ``made``
    says what it becomes by the same write, if anything: of what it is (None: not there), of those that go, and of some that
    would go next, all in order of writing."""

    id: str
    made: Callable[[Version | None, Iterable[Version], Iterable[Version]], Put | None]


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What a log keeps of live documents; the oldest-written go first. None: no bound.

    ``max_age`` in ms since it was written; ``max_size`` in bytes of all live documents as they were
    written (text, metadata, vector, relations; not vectors that were attached later).
    """

    max_items: int | None = None
    max_age: int | None = None
    max_size: int | None = None
    heir: Heir | None = None


NO_BOUNDS = Bounds()


def bounds_of(retention: Retention | None) -> Bounds:
    """The bounds that a manifest states."""
    if retention is None:
        return NO_BOUNDS
    return Bounds(
        max_items=retention.max_items,
        max_age=None if retention.max_age is None else milliseconds(retention.max_age),
        max_size=None if retention.max_size is None else size_bytes(retention.max_size),
    )


class Label(msgspec.Struct, frozen=True):
    """A labelled place; ``at``: when it was labelled, ms since the epoch."""

    n: int
    at: int


class Heads(NamedTuple):
    """How far a log goes: its newest place, its newest attachment, and its floor."""

    n: int
    m: int
    floor: int


class Log(Protocol):
    """One object per process, used by any number of threads; any number of processes may have the same log open.

    All methods raise JournalError where the log cannot take or give versions. Versions that are read have the vector of
    ``embedder`` where one is asked for and they have it; else their newest.
    """

    @property
    def backend(self) -> str:
        """As manifests call it."""
        ...

    @property
    def bounds(self) -> Bounds:
        """What is kept."""
        ...

    @property
    def forgotten(self) -> int:
        """How many documents the bounds removed by writes of this object."""
        ...

    def write(self, changes: Sequence[Change], at: int) -> list[Version | None]:
        """All or none, durable when it returns; None for a change that changes nothing. ``at``: ms since the epoch.
        A document without a vector keeps those that it had if its text stays the same.

        Later changes of a batch see the earlier ones. ``expected`` is looked at before anything else. Then the log's bounds are
        enforced: what is beyond them is removed, by recorded removals with the origin ``retention``.
        Raises VersionConflict, and UsageError for what can be no document.
        """
        ...

    def trim(self, at: int) -> list[Version]:
        """Enforce the bounds now; what this wrote."""
        ...

    def head(self) -> int:
        """Place of the newest version, other processes' included; 0: none."""
        ...

    def heads(self) -> Heads:
        """As of one moment, other processes' writes included. Cheap: it comes before every search."""
        ...

    def since(self, n: int, limit: int = 1000, embedder: str = "") -> list[Version]:
        """The next versions after place ``n``, removals included, in order; none: ``n`` is the head.

        A compacted log leaves out versions that were replaced later, never the newest version of a document; it may have
        forgotten removals up to its floor: who followed it to a place below that begins anew.
        """
        ...

    def get(self, id: str) -> Version | None:  # noqa: A002
        """The live version."""
        ...

    def get_many(self, ids: Sequence[str], embedder: str = "") -> dict[str, Version]:
        """The live versions of those that there are."""
        ...

    def ids(self, prefix: str = "") -> Iterator[str]:
        """Live documents by code point; what is written meanwhile may be given or not."""
        ...

    def live_places(self) -> list[int]:
        """Places of the live versions, in order."""
        ...

    def count(self) -> int:
        """Live documents."""
        ...

    def size(self) -> int:
        """Bytes of the live documents, as ``Bounds.max_size`` counts them."""
        ...

    def history(self, id: str, origin: str | None = None) -> list[Version]:  # noqa: A002
        """The document's versions (of one ``origin``), removals included, oldest first; without those that were compacted away."""
        ...

    def as_of(self, n: int, id: str) -> Version | None:  # noqa: A002
        """The version that was live at place ``n``. Raises NotFound for a place that is not valid."""
        ...

    def live_at(self, n: int) -> Iterator[Version]:
        """Everything that was live at place ``n``, in order of writing. Raises NotFound for a place that is not valid."""
        ...

    def attach(self, vectors: Sequence[tuple[int, str, bytes]]) -> None:
        """Give versions vectors that were made later: ``(n, embedder, vector)``, the vector as in ``Put``.

        A version has one of each embedder; those of ``MOST_EMBEDDERS`` are kept. All or none, durable when it returns.
        Places without a version are passed over, equal vectors write nothing.
        """
        ...

    def vectors_since(self, m: int, limit: int = 1000, embedder: str = "") -> list[tuple[int, int, str, bytes]]:
        """The next attached vectors ``(m, n, embedder, vector)`` after ``m``, which counts attachments: each version's newest,
        or those of ``embedder``."""
        ...

    def label(self, name: str, at: int) -> int:
        """Label the head; its place. The same label on the same place again changes nothing. Raises Conflict for a name in use."""
        ...

    def unlabel(self, name: str) -> None:
        """Forget a label. Raises NotFound."""
        ...

    def labels(self) -> dict[str, Label]:
        """By name, in order of place, then name."""
        ...

    def floor(self) -> int:
        """The oldest place from which on all places are valid; 0: nothing was compacted."""
        ...

    def compact(self, keep_since: int, *, removals: bool = False) -> int:
        """Drop versions that were replaced at or before ``keep_since`` and are not live at a label; how many were dropped.

        The state at ``keep_since``, at any later place and at every label stays whole. Removals stay, so that numbers of
        versions never start again; with ``removals`` those up to ``keep_since`` go too, where nothing is left that they removed.
        """
        ...

    def close(self) -> None:
        """Nothing may be called afterwards but ``close``."""
        ...
