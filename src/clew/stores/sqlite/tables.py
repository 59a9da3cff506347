"""Rows of the journal's tables to values and back. Functions on a connection; errors are SQLite's own."""

import sqlite3
from collections.abc import Iterator
from typing import Any

import msgspec

from clew.core.codec import decode_envelope, decode_payload
from clew.core.errors import JournalError, NotFound, Tampered
from clew.core.events import Event, Status
from clew.gate.ports.journal import Head, Record, RunFilter, RunRow, RunState
from clew.gate.ports.projection import Entry
from clew.stores.audit import Stored
from clew.stores.money import from_pico
from clew.stores.runcard import RunCard

_FAR = 2**62


class Held:
    """A run that is driven here, as it stands after its last commit. ``id`` 0: not yet in the run list."""

    __slots__ = ("cost", "ended", "epoch", "hash", "id", "last", "run", "seq", "state", "status")

    def __init__(self, run: str, epoch: int, state: RunState) -> None:
        self.run = run
        self.epoch = epoch
        self.state: RunState = state
        self.id = 0
        self.seq = 0
        self.last = 0
        self.hash = ""
        self.status: Status | None = None
        self.cost = 0
        self.ended: RunState | None = None

    def copy(self) -> "Held":
        other = Held(self.run, self.epoch, self.state)
        other.id, other.seq, other.last, other.hash = self.id, self.seq, self.last, self.hash
        other.status, other.cost, other.ended = self.status, self.cost, self.ended
        return other


_COLUMNS = "e.seq, CAST(e.envelope AS BLOB), e.digest, e.hash, p.salt, CAST(p.body AS BLOB), b.data, e.run, p.blob, e.n, e.prev"
_JOINS = "LEFT JOIN payloads p ON p.n = e.n LEFT JOIN blobs b ON b.address = p.blob"
# From the run's last event backwards. ``prev < n`` ends the walk even where a hand has bent the links.
_WALK = f"""
WITH RECURSIVE walk(n) AS (
  SELECT last FROM runs WHERE id = ?1
  UNION ALL
  SELECT e.prev FROM walk w JOIN events e ON e.n = w.n WHERE e.prev > 0 AND e.prev < e.n AND e.seq > ?2 + 1
)
SELECT {_COLUMNS} FROM walk w CROSS JOIN events e ON e.n = w.n {_JOINS}
WHERE e.run = ?1 AND e.seq > ?2 AND e.seq <= ?3 ORDER BY e.seq
"""  # noqa: S608
_ROW = (
    "SELECT run, workflow, plan, state, status, created, updated, seq, hash, owner, parent, fork_of, tenant, user, cost, "
    "epoch, idempotency, id FROM runs "
)


def last_ledger(connection: sqlite3.Connection) -> tuple[int, str]:
    """Number and chain value of the ledger's last row."""
    row = connection.execute("SELECT n, chain FROM ledger ORDER BY n DESC LIMIT 1").fetchone()
    return (row[0], row[1].hex()) if row else (0, "")


def put_blob(connection: sqlite3.Connection, address: bytes, data: bytes) -> None:
    connection.execute("INSERT OR IGNORE INTO blobs(address, size, data) VALUES (?, ?, ?)", (address, len(data), data))


def insert_run(connection: sqlite3.Connection, card: RunCard, held: Held, owner: str, born: int) -> None:
    """Add a line to the run list; ``held`` has its number and head."""
    sql = (
        "INSERT INTO runs(id, run, seq, last, hash, updated, epoch, owner, state, status, cost, created, born, workflow, "
        "plan, parent, fork_of, tenant, user, idempotency) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    )
    head = (held.seq, held.last, bytes.fromhex(held.hash), card.updated)
    now = (held.epoch, owner, held.state, held.status, held.cost)
    about = (card.workflow, card.plan, card.parent, card.fork_of, card.tenant, card.user, card.idempotency)
    connection.execute(sql, (held.id, card.run, *head, *now, card.created, born, *about))


def next_run_id(connection: sqlite3.Connection) -> int:
    return connection.execute("SELECT ifnull(max(id), 0) + 1 FROM runs").fetchone()[0]


def last_event(connection: sqlite3.Connection) -> int:
    """``n`` of the event that arrived last."""
    return connection.execute("SELECT ifnull(max(n), 0) FROM events").fetchone()[0]


def run_id(connection: sqlite3.Connection, run: str) -> int:
    """The run's number. Raises NotFound."""
    row = connection.execute("SELECT id FROM runs WHERE run = ?", (run,)).fetchone()
    if row is None:
        raise NotFound(f"there is no run {run!r} in this journal", hint="`clew runs` lists them")
    return row[0]


def run_row(connection: sqlite3.Connection, run: str) -> tuple[RunRow, int]:
    """The run's line and number. Raises NotFound."""
    row = connection.execute(_ROW + "WHERE run = ?", (run,)).fetchone()
    if row is None:
        raise NotFound(f"there is no run {run!r} in this journal", hint="`clew runs` lists them")
    return _row(row), row[17]


def list_runs(connection: sqlite3.Connection, where: RunFilter) -> list[RunRow]:
    """Lines that pass the filter, newest first."""
    tests: list[str] = []
    values: list[Any] = []

    def test(sql: str, *given: Any) -> None:
        tests.append(sql)
        values.extend(given)

    if where.states:
        test(f"state IN ({', '.join('?' * len(where.states))})", *where.states)
    if set(where.states) and set(where.states) <= {"queued", "running", "waiting"}:
        tests.append("state IN ('queued', 'running', 'waiting')")  # in these words the index on open runs applies
    if where.workflow:
        test("workflow = ?", where.workflow)
    if where.parent is not None:
        test("parent = ?", where.parent)
        tests.extend(["parent <> ''"] if where.parent else [])
    if where.prefix:
        test("substr(run, 1, ?) = ?", len(where.prefix), where.prefix)
        test("run >= ? AND run < ?", where.prefix, where.prefix + chr(0x10FFFF))
    if where.idempotency:
        test("idempotency = ? AND idempotency <> ''", where.idempotency)
    if where.tenant:
        test("tenant = ?", where.tenant)
    if where.before:
        test("id < ?", run_id(connection, where.before))
    if where.updated_before is not None:
        test("updated < ?", where.updated_before)
    sql = _ROW + (f"WHERE {' AND '.join(tests)} " if tests else "") + "ORDER BY id DESC LIMIT ?"
    return [_row(row) for row in connection.execute(sql, (*values, where.limit))]


def _row(row: tuple[Any, ...]) -> RunRow:
    return RunRow(
        run=row[0],
        workflow=row[1],
        plan=row[2],
        state=row[3],
        status=row[4],
        created=row[5],
        updated=row[6],
        head=Head(row[7], row[8].hex()),
        owner=row[9],
        parent=row[10],
        fork_of=row[11],
        tenant=row[12],
        user=row[13],
        cost=from_pico(row[14]),
        epoch=row[15],
        idempotency=row[16],
    )


def records(connection: sqlite3.Connection, run: str, after: int, upto: int | None) -> list[Record]:
    """Events of a run, decoded. Raises NotFound, JournalError for what this version cannot read, Tampered for a lost blob."""
    number = run_id(connection, run)
    found: list[Record] = []
    for row in stored_rows(connection, number, after, _FAR if upto is None else upto):
        seq, envelope, digest, hashed, salt, body, data, _, blob, *_ = row
        if blob is not None:
            body = data
        if salt is not None and body is None:
            raise Tampered(f"run {run}: the blob that holds the payload of event {seq} is gone", hint="`clew verify`")
        try:
            head = decode_envelope(envelope)
            event = Event(head.fact, decode_payload(body) if body else None, head.at)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise JournalError(
                f"run {run}: event {seq} cannot be read: {error}",
                hint="a newer Clew wrote it, or it was damaged: `clew verify`",
            ) from error
        found.append(Record(run, seq, event, hashed.hex(), erased=bool(digest) and salt is None))
    return found


def stored_of(row: tuple[Any, ...]) -> Stored:
    """A row of ``stored_rows`` as the auditor takes it."""
    seq, envelope, digest, hashed, salt, body, data, _, blob, *_ = row
    return Stored(seq, envelope, _hex(digest), _hex(hashed), _bytes(salt), _bytes(data if blob is not None else body))


def stored_rows(
    connection: sqlite3.Connection, number: int, after: int = 0, upto: int = _FAR
) -> Iterator[tuple[Any, ...]]:
    """Raw rows of one run in order. Column 7 is the run's number, 8 the blob named, 9 ``n``, 10 ``prev``."""
    return iter(connection.execute(_WALK, (number, max(0, after), upto)))


def all_rows(connection: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    """Raw rows of all runs in order of arrival."""
    return iter(connection.execute(f"SELECT {_COLUMNS} FROM events e {_JOINS} ORDER BY e.n"))  # noqa: S608


def entries(connection: sqlite3.Connection, run: str, number: int, upto: int = _FAR) -> Iterator[Entry]:
    """Events of one run up to ``n`` = ``upto`` as projections read them. Raises JournalError for what cannot be read."""
    for row in stored_rows(connection, number):
        if row[9] <= upto:
            yield _entry(run, stored_of(row))


def entries_after(connection: sqlite3.Connection, n: int, limit: int) -> tuple[list[Entry], int]:
    """At most ``limit`` events of all runs after ``n`` in order of arrival, and where that ends."""
    joins = f"{_JOINS} JOIN runs r ON r.id = e.run"
    sql = f"SELECT {_COLUMNS}, r.run FROM events e {joins} WHERE e.n > ? ORDER BY e.n LIMIT ?"  # noqa: S608
    rows = connection.execute(sql, (n, limit)).fetchall()
    return [_entry(row[11], stored_of(row)) for row in rows], rows[-1][9] if rows else n


def _entry(run: str, stored: Stored) -> Entry:
    try:
        head = decode_envelope(stored.envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise JournalError(
            f"run {run}: event {stored.seq} cannot be read: {error}",
            hint="a newer Clew wrote it, or it was damaged: `clew verify`",
        ) from error
    return Entry(run, stored.seq, head.at, head.fact, stored.body or b"")


def _bytes(value: object) -> bytes | None:
    """A column as bytes, whatever type a hand that changed it left there."""
    if value is None or isinstance(value, bytes):
        return value
    return str(value).encode("utf-8", "surrogatepass")


def _hex(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else f"not bytes: {value!r}"
