"""The log as a file of JSON lines: one append and one sync per write, however long the file is.

Every process holds in memory where the lines stand, and reads on when the file has grown. What a killed writer left unfinished
at the end is cut off by the next write. A line that is damaged otherwise is an error: nothing is left out.
"""

import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import structs

from clew.context.log.files import create, explained
from clew.context.log.linefile import LineFile
from clew.context.log.lines import Attached, Head, Labelled, Line, Wrote
from clew.context.log.lock import FileLock
from clew.context.log.places import Places, Span
from clew.context.log.port import NO_BOUNDS, Bounds, Heads, Label
from clew.context.log.rules import Kept, Plan, Ready, Standing, check_label, check_place, plan, ready
from clew.core.errors import Conflict, JournalError, NotFound
from clew.gate.ports.context import Change, Version

BUSY_S = 10.0
_PAGE = 500


class JsonlLog:
    """See ``clew.context.log.port.Log``. Readers make durable what they read of others' writes before they give it."""

    backend = "file"

    def __init__(self, path: Path, bounds: Bounds, lock: FileLock) -> None:
        self._path = path
        self.bounds = bounds
        self.forgotten = 0
        self._between = lock
        self._within = threading.RLock()
        self._file = LineFile(path)
        self._closed = False

    @classmethod
    def open(cls, path: Path, bounds: Bounds = NO_BOUNDS, busy_s: float = BUSY_S) -> "JsonlLog":
        """Open or make the file; ``busy_s``: how long to wait for other processes. Raises JournalError."""
        create(path)
        with explained(path):
            log = cls(path, bounds, FileLock(path.with_name(path.name + ".lock"), busy_s))
        try:
            log.head()
        except BaseException:
            log.close()
            raise
        return log

    def close(self) -> None:
        with self._within:
            if not self._closed:
                self._closed = True
                self._between.close()
                self._file.close()

    def write(self, changes: Sequence[Change], at: int) -> list[Version | None]:
        return self._write(ready(changes, self.bounds), at).answers

    def trim(self, at: int) -> list[Version]:
        return [written.version for written in self._write([], at).written]

    def _write(self, changes: list[Ready], at: int) -> Plan:
        with self._alone() as places:
            planned = plan(changes, at, _Present(self, places), self.bounds)
            lines: list[Line] = [Wrote(written.version, written.size) for written in planned.written]
            vectors = [(written.version.n, *one) for written in planned.written for one in written.attached]
            self._file.append(lines + [Attached(m, *one) for m, one in enumerate(vectors, places.m + 1)])
            self.forgotten += planned.forgotten
        return planned

    def head(self) -> int:
        with self._current() as places:
            return places.head

    def heads(self) -> Heads:
        with self._current() as places:
            return Heads(places.head, places.m, places.floor)

    def since(self, n: int, limit: int = 1000, embedder: str = "") -> list[Version]:
        with self._current() as places:
            return self._versions(places.after(n, limit), embedder)

    def get(self, id: str) -> Version | None:  # noqa: A002
        with self._current() as places:
            index = places.live_index(id)
            return None if index is None else self.version(index)

    def get_many(self, ids: Sequence[str], embedder: str = "") -> dict[str, Version]:
        with self._current() as places:
            indexes = {id_: places.live_index(id_) for id_ in ids}
            return {id_: self.version(index, embedder) for id_, index in indexes.items() if index is not None}

    def ids(self, prefix: str = "") -> Iterator[str]:
        with self._current() as places:
            found = places.ids(prefix)
        yield from found

    def live_places(self) -> list[int]:
        with self._current() as places:
            return places.live_places()

    def count(self) -> int:
        with self._current() as places:
            return places.live

    def size(self) -> int:
        with self._current() as places:
            return places.size

    def history(self, id: str, origin: str | None = None) -> list[Version]:  # noqa: A002
        with self._current() as places:
            return [one for one in self._versions(places.chain(id)) if origin in (None, one.origin)]

    def as_of(self, n: int, id: str) -> Version | None:  # noqa: A002
        with self._at(n) as places:
            index = places.as_of(n, id)
            found = None if index is None else self.version(index)
        return None if found is None or found.deleted else found

    def live_at(self, n: int) -> Iterator[Version]:
        with self._at(n) as places:
            wanted = places.places_at(n)
        for start in range(0, len(wanted), _PAGE):
            with self._at(n) as places:  # again for each page: another process may compact meanwhile
                indexes = (places.index_of(place) for place in wanted[start : start + _PAGE])
                page = self._versions(index for index in indexes if index is not None)
            yield from (version for version in page if not version.deleted)

    def attach(self, vectors: Sequence[tuple[int, str, bytes]]) -> None:
        with self._alone() as places:
            now: dict[tuple[int, str], bytes] = {}
            lines: list[Line] = []
            for n, embedder, vector in vectors:
                index = places.index_of(n)
                if index is None:
                    continue
                span = places.vectors_of(index).get(embedder)
                known = now.get((n, embedder)) or (self._attached(span).vector if span else b"")
                if known != vector and not self._wrote(index).version.deleted:
                    now[n, embedder] = vector
                    lines.append(Attached(places.m + len(lines) + 1, n, embedder, vector))
            self._file.append(lines)

    def vectors_since(self, m: int, limit: int = 1000, embedder: str = "") -> list[tuple[int, int, str, bytes]]:
        with self._current() as places:
            found = [(m_, n, self._attached(span)) for m_, n, span in places.attached(m, limit, embedder)]
        return [(m_, n, line.embedder, line.vector) for m_, n, line in found]

    def label(self, name: str, at: int) -> int:
        check_label(name)
        with self._alone() as places:
            found = places.labels.get(name)
            if found and found.n != places.head:
                raise Conflict(f"the label {name!r} is on place {found.n} already", hint="choose another name")
            if not found:
                self._file.append([Labelled(name, places.head, at)])
            return places.head

    def unlabel(self, name: str) -> None:
        with self._alone() as places:
            if name not in places.labels:
                raise NotFound(f"there is no label {name!r}")
            self._file.append([Labelled(name, None)])

    def labels(self) -> dict[str, Label]:
        with self._current() as places:
            return dict(sorted(places.labels.items(), key=lambda item: (item[1].n, item[0])))

    def floor(self) -> int:
        with self._current() as places:
            return places.floor

    def compact(self, keep_since: int, *, removals: bool = False) -> int:
        with self._alone() as places:
            place = min(keep_since, places.head)
            kept = places.keep(place, removals=removals)
            self._file.replace(self._lines(kept, Head(floor=max(places.floor, place), m=places.m)))
        return places.versions - len(kept)

    def _lines(self, kept: list[int], head: Head) -> Iterator[Line]:
        """The lines of the file as it is written anew."""
        places = self._file.places
        yield head
        yield from (self._wrote(index) for index in kept)
        vectors = sorted(span for index in kept for span in places.vectors_of(index).values())
        yield from (self._attached(span) for span in vectors)
        yield from (Labelled(name, label.n, label.at) for name, label in places.labels.items())

    @contextmanager
    def _current(self) -> Generator[Places]:
        """What is committed now, held still for this thread."""
        with self._within, explained(self._path):
            self._check_open()
            if self._file.has_changed():
                with self._between.held(shared=True):
                    self._file.refresh()
            yield self._file.places

    @contextmanager
    def _at(self, n: int) -> Generator[Places]:
        """What is committed now, if place ``n`` is valid."""
        with self._current() as places:
            labelled = any(label.n == n for label in places.labels.values())
            check_place(n, places.head, places.floor, labelled)
            yield places

    @contextmanager
    def _alone(self) -> Generator[Places]:
        """What is committed, and nobody else writes or reads on meanwhile."""
        with self._within, explained(self._path):
            self._check_open()
            with self._between.held(shared=False):
                self._file.refresh()
                yield self._file.places

    def _check_open(self) -> None:
        if self._closed:
            raise JournalError(f"context log {self._path} is closed")

    def _versions(self, indexes: Iterable[int], embedder: str = "") -> list[Version]:
        return [self.version(index, embedder) for index in indexes]

    def version(self, index: int, embedder: str = "") -> Version:
        """A version by its index in memory, with its vector of that embedder or the newest."""
        version, vectors = self._wrote(index).version, self._file.places.vectors_of(index)
        if not vectors or (embedder == version.embedder != "" and version.vector and embedder not in vectors):
            return version
        attached = self._attached(vectors.get(embedder) or [*vectors.values()][-1])
        return structs.replace(version, vector=attached.vector, embedder=attached.embedder)

    def standing(self, index: int) -> Standing:
        """The same as it was written, and what was attached."""
        places = self._file.places
        lines = [self._attached(span) for span in reversed(places.vectors_of(index).values())]
        attached = tuple((line.embedder, line.vector) for line in lines)
        return Standing(self._wrote(index).version, places.size_of(index), attached)

    def _wrote(self, index: int) -> Wrote:
        line = self._file.read(self._file.places.span(index))
        if not isinstance(line, Wrote):
            raise JournalError(f"context log {self._path} was changed under this process")
        return line

    def _attached(self, span: Span) -> Attached:
        line = self._file.read(span)
        if not isinstance(line, Attached):
            raise JournalError(f"context log {self._path} was changed under this process")
        return line


class _Present:
    """The log under its writer's lock."""

    def __init__(self, log: JsonlLog, places: Places) -> None:
        self._log = log
        self._places = places
        self.head = places.head
        self.live = places.live
        self.size = places.size

    def newest(self, id: str) -> Standing | None:  # noqa: A002
        index = self._places.newest(id)
        return None if index is None else self._log.standing(index)

    def oldest(self) -> Iterator[Kept]:
        return self._places.oldest()
