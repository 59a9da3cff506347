"""The log in SQLite: one file in WAL mode, one transaction and one sync per write, readers never wait for the writer."""

import sqlite3
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from clew.context.log.connection import BUSY_S, connect, explain, transaction, translated
from clew.context.log.port import MOST_EMBEDDERS, NO_BOUNDS, Bounds, Heads, Label
from clew.context.log.rules import Kept, Plan, Ready, Standing, check_label, check_place, plan, ready
from clew.core.errors import Conflict, JournalError, NotFound
from clew.gate.ports.context import Change, Relation, Version

_PAGE = 500
_COLUMNS = "SELECT d.n, d.id, d.version, d.parent, d.deleted, d.meta, d.relations, d.origin, d.at, d.text, "
_NEWEST = "LEFT JOIN attached a ON a.m = (SELECT max(m) FROM attached WHERE n = d.n) "
_SELECT = f"{_COLUMNS}ifnull(a.vector, d.vector), ifnull(a.embedder, d.embedder) FROM docs d {_NEWEST}"
_OWN = "CASE WHEN d.embedder = ?1 AND d.vector != x'' THEN d"
_PREFER = (
    f"{_COLUMNS}coalesce(p.vector, {_OWN}.vector END, a.vector, d.vector), "
    f"coalesce(p.embedder, {_OWN}.embedder END, a.embedder, d.embedder) "
    f"FROM docs d LEFT JOIN attached p ON p.n = d.n AND p.embedder = ?1 {_NEWEST}"
)
"""The vector of the embedder that is the first parameter comes before the newest."""
_FROM_LIVE = "FROM cur c JOIN docs d ON d.n = c.n"
_LIVE = _SELECT.replace("FROM docs d", _FROM_LIVE)
_REPLACED = "SELECT 1 FROM docs e WHERE e.id = d.id AND e.n > d.n AND e.n <= ?"
_LIVE_AT = f"{_SELECT}WHERE d.n > ? AND d.n <= ? AND NOT d.deleted AND NOT EXISTS ({_REPLACED}) ORDER BY d.n LIMIT ?"
_DROP = """
DELETE FROM docs WHERE n IN (
  WITH spans AS (SELECT n, lead(n) OVER (PARTITION BY id ORDER BY n) AS until FROM docs)
  SELECT n FROM spans s WHERE until <= ? AND NOT EXISTS (SELECT 1 FROM labels l WHERE l.n >= s.n AND l.n < s.until)
)
"""
_DROP_REMOVALS = """
DELETE FROM docs WHERE deleted AND n <= ? AND n < (SELECT max(n) FROM docs)
  AND NOT EXISTS (SELECT 1 FROM docs e WHERE e.id = docs.id AND e.n != docs.n)
"""
_metadata = msgspec.json.Decoder(dict[str, Any])
_relations = msgspec.json.Decoder(tuple[Relation, ...])


class SqliteLog:
    """See ``clew.context.log.port.Log``. One connection writes, one reads: readers see what was committed, nothing under way."""

    backend = "sqlite"

    def __init__(self, path: Path, writing: sqlite3.Connection, reading: sqlite3.Connection, bounds: Bounds) -> None:
        self._path = path
        self.bounds = bounds
        self.forgotten = 0
        self._writing = writing
        self._reading = reading
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, bounds: Bounds = NO_BOUNDS, busy_s: float = BUSY_S) -> "SqliteLog":
        """Open or make the file; ``busy_s``: how long a write waits for other processes' writes. Raises JournalError."""
        writing = connect(path, busy_s)
        try:
            reading = connect(path, busy_s)
        except BaseException:
            writing.close()
            raise
        return cls(path, writing, reading, bounds)

    def close(self) -> None:
        with self._read_lock, self._write_lock:
            self._reading.close()
            self._writing.close()

    def write(self, changes: Sequence[Change], at: int) -> list[Version | None]:
        return self._write(ready(changes, self.bounds), at).answers

    def trim(self, at: int) -> list[Version]:
        return [written.version for written in self._write([], at).written]

    def _write(self, changes: list[Ready], at: int) -> Plan:
        with self._transaction() as connection:
            planned = plan(changes, at, _Present(connection), self.bounds)
            if planned.written:
                _store(connection, planned)
            self.forgotten += planned.forgotten
        return planned

    def head(self) -> int:
        return self._rows("SELECT ifnull(max(n), 0) FROM docs")[0][0]

    def heads(self) -> Heads:
        with self._read_lock:
            try:
                return Heads(*self._reading.execute(_HEADS).fetchone())
            except sqlite3.Error as error:
                raise explain(error, self._path) from error

    def since(self, n: int, limit: int = 1000, embedder: str = "") -> list[Version]:
        select, first = (_PREFER, (embedder,)) if embedder else (_SELECT, ())
        return self._versions(select + "WHERE d.n > ? ORDER BY d.n LIMIT ?", *first, n, limit)

    def get(self, id: str) -> Version | None:  # noqa: A002
        return _first(self._versions(_LIVE + "WHERE c.id = ?", id))

    def get_many(self, ids: Sequence[str], embedder: str = "") -> dict[str, Version]:
        found: dict[str, Version] = {}
        select, first = (_PREFER.replace("FROM docs d", _FROM_LIVE), (embedder,)) if embedder else (_LIVE, ())
        for start in range(0, len(ids), _PAGE):
            some = ids[start : start + _PAGE]
            where = f"WHERE c.id IN ({', '.join('?' * len(some))})"
            found.update((version.id, version) for version in self._versions(select + where, *first, *some))
        return found

    def ids(self, prefix: str = "") -> Iterator[str]:
        sql, after = "SELECT id FROM cur WHERE id >= ? ORDER BY id LIMIT ?", prefix
        while rows := self._rows(sql, after, _PAGE):
            for (found,) in rows:
                if not found.startswith(prefix):
                    return
                yield found
            sql, after = "SELECT id FROM cur WHERE id > ? ORDER BY id LIMIT ?", rows[-1][0]

    def live_places(self) -> list[int]:
        return [n for (n,) in self._rows("SELECT n FROM cur ORDER BY n")]

    def count(self) -> int:
        return self._rows("SELECT live FROM totals")[0][0]

    def size(self) -> int:
        return self._rows("SELECT size FROM totals")[0][0]

    def history(self, id: str, origin: str | None = None) -> list[Version]:  # noqa: A002
        return self._versions(_SELECT + "WHERE d.id = ?1 AND (?2 IS NULL OR d.origin = ?2) ORDER BY d.n", id, origin)

    def as_of(self, n: int, id: str) -> Version | None:  # noqa: A002
        found = _first(self._versions(_SELECT + "WHERE d.id = ? AND d.n <= ? ORDER BY d.n DESC LIMIT 1", id, n))
        self._check_place(n)  # after reading: another process may compact meanwhile
        return None if found is None or found.deleted else found

    def live_at(self, n: int) -> Iterator[Version]:
        after = 0
        while True:
            page = self._versions(_LIVE_AT, after, n, n, _PAGE)
            self._check_place(n)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].n

    def attach(self, vectors: Sequence[tuple[int, str, bytes]]) -> None:
        with self._transaction() as connection:
            known = "SELECT EXISTS (SELECT 1 FROM attached WHERE embedder = ?)"
            fresh = [
                name for name in {one[1] for one in vectors} if not connection.execute(known, (name,)).fetchone()[0]
            ]
            connection.executemany(
                "INSERT OR REPLACE INTO attached(n, embedder, vector) SELECT ?1, ?2, ?3 WHERE "
                "EXISTS (SELECT 1 FROM docs WHERE n = ?1 AND NOT deleted) AND "
                "NOT EXISTS (SELECT 1 FROM attached WHERE n = ?1 AND embedder = ?2 AND vector = ?3)",
                vectors,
            )
            if fresh:
                connection.execute(_FORGET, (MOST_EMBEDDERS,))

    def vectors_since(self, m: int, limit: int = 1000, embedder: str = "") -> list[tuple[int, int, str, bytes]]:
        if embedder:
            return self._rows(_ATTACHED + "a.embedder = ? ORDER BY a.m LIMIT ?", m, embedder, limit)
        return self._rows(_ATTACHED + _NO_NEWER + " ORDER BY a.m LIMIT ?", m, limit)

    def label(self, name: str, at: int) -> int:
        check_label(name)
        with self._transaction() as connection:
            head = _Present(connection).head
            found = connection.execute("SELECT n FROM labels WHERE name = ?", (name,)).fetchone()
            if found and found[0] != head:
                raise Conflict(f"the label {name!r} is on place {found[0]} already", hint="choose another name")
            if not found:
                connection.execute("INSERT INTO labels VALUES (?, ?, ?)", (name, head, at))
        return head

    def unlabel(self, name: str) -> None:
        with self._transaction() as connection:
            if not connection.execute("DELETE FROM labels WHERE name = ?", (name,)).rowcount:
                raise NotFound(f"there is no label {name!r}")

    def labels(self) -> dict[str, Label]:
        return {name: Label(n, at) for name, n, at in self._rows("SELECT name, n, at FROM labels ORDER BY n, name")}

    def floor(self) -> int:
        return self._rows("SELECT floor FROM totals")[0][0]

    def compact(self, keep_since: int, *, removals: bool = False) -> int:
        with self._transaction() as connection:
            place = min(keep_since, _Present(connection).head)
            dropped = connection.execute(_DROP, (place,)).rowcount
            if removals:
                dropped += connection.execute(_DROP_REMOVALS, (place,)).rowcount
            connection.execute("DELETE FROM attached WHERE n NOT IN (SELECT n FROM docs)")
            connection.execute("UPDATE totals SET floor = max(floor, ?)", (place,))
        with self._write_lock, translated(self._path):
            self._writing.execute("VACUUM")
            self._writing.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return dropped

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        with self._write_lock, translated(self._path), transaction(self._writing):
            yield self._writing

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        with self._read_lock, translated(self._path):
            return self._reading.execute(sql, values).fetchall()

    def _versions(self, sql: str, *values: Any) -> list[Version]:
        rows = self._rows(sql, *values)
        try:
            return [_version(row) for row in rows]
        except msgspec.MsgspecError as error:
            raise JournalError(
                f"context log {self._path}: a version between places {rows[0][0]} and {rows[-1][0]} cannot be read: {error}",
                hint="restore it from a copy",
            ) from error

    def _check_place(self, n: int) -> None:
        (head, floor, labelled) = self._rows(
            "SELECT (SELECT ifnull(max(n), 0) FROM docs), floor, EXISTS (SELECT 1 FROM labels WHERE n = ?) FROM totals",
            n,
        )[0]
        check_place(n, head, floor, bool(labelled))


class _Present:
    """The log within a write transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self.head, self.live, self.size = self._execute(
            "SELECT (SELECT ifnull(max(n), 0) FROM docs), live, size FROM totals"
        ).fetchone()

    def newest(self, id: str) -> Standing | None:  # noqa: A002
        row = self._execute(_STANDING, (id,)).fetchone()
        if row is None:
            return None
        attached = "SELECT embedder, vector FROM attached WHERE n = ? ORDER BY m DESC"
        return Standing(_version(row), row[12], tuple(self._execute(attached, (row[0],)).fetchall()))

    def oldest(self) -> Iterator[Kept]:
        return (Kept(*row) for row in self._execute("SELECT id, at, size FROM cur ORDER BY n"))


_STANDING = (
    f"{_COLUMNS}d.vector, d.embedder, ifnull(c.size, 0) FROM docs d "
    "LEFT JOIN cur c ON c.n = d.n WHERE d.id = ? ORDER BY d.n DESC LIMIT 1"
)
_HEADS = "SELECT (SELECT ifnull(max(n), 0) FROM docs), (SELECT ifnull(max(m), 0) FROM attached), floor FROM totals"
_ATTACHED = "SELECT m, n, embedder, vector FROM attached a WHERE a.m > ? AND "
_NO_NEWER = "NOT EXISTS (SELECT 1 FROM attached b WHERE b.n = a.n AND b.m > a.m)"
_FORGET = """
DELETE FROM attached WHERE embedder NOT IN (
  SELECT embedder FROM attached GROUP BY embedder ORDER BY max(m) DESC LIMIT ?
)
"""


def _store(connection: sqlite3.Connection, planned: Plan) -> None:
    versions = [written.version for written in planned.written]
    connection.executemany(
        "INSERT INTO docs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                v.n,
                v.id,
                v.version,
                v.parent,
                v.deleted,
                v.at,
                v.embedder,
                v.origin,
                w.metadata,
                w.relations,
                v.vector,
                v.text,
            )
            for v, w in zip(versions, planned.written, strict=True)
        ],
    )
    attached = [(w.version.n, *one) for w in planned.written for one in w.attached]
    connection.executemany("INSERT INTO attached(n, embedder, vector) VALUES (?, ?, ?)", attached)
    last = {written.version.id: written for written in planned.written}.values()
    replaced = [(w.version.id,) for w in last if w.version.parent]
    if replaced:
        connection.executemany("DELETE FROM cur WHERE id = ?", replaced)
    live = [(w.version.n, w.version.id, w.size, w.version.at) for w in last if not w.version.deleted]
    connection.executemany("INSERT INTO cur VALUES (?, ?, ?, ?)", live)
    connection.execute("UPDATE totals SET live = ?, size = ?", (planned.live, planned.size))


def _version(row: Sequence[Any]) -> Version:
    return Version(
        n=row[0],
        id=row[1],
        version=row[2],
        parent=row[3],
        deleted=bool(row[4]),
        metadata=_metadata.decode(row[5]) if row[5] else {},
        relations=_relations.decode(row[6]) if row[6] else (),
        origin=row[7],
        at=row[8],
        text=row[9],
        vector=row[10],
        embedder=row[11],
    )


def _first(versions: list[Version]) -> Version | None:
    return versions[0] if versions else None
