"""Forgetting payloads for good: rows, blobs nobody else names, free pages, projections and the write-ahead log.

The ledger gets a row that names the erased events. That row is what ``verify`` believes: a payload that is gone without one
was stolen. ``secure_delete`` overwrites what is freed; emptying the log removes the copies of the pages as they were.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from clew.core.errors import Conflict, JournalError
from clew.gate.ports.journal import Head
from clew.stores.audit import Note, encode_note, ledger_link
from clew.stores.projecting import Registry
from clew.stores.sqlite import projected
from clew.stores.sqlite.owner import Owner
from clew.stores.sqlite.tables import last_ledger, run_id, stored_rows

_CHUNK = 500


def erase(
    connection: sqlite3.Connection, run: str, seqs: Sequence[int] | None, owner: Owner, registry: Registry
) -> int:
    """How many payloads were forgotten. Raises NotFound, Conflict for a run that is driven."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        number = run_id(connection, run)
        _not_driven(connection, run, number, owner)
        found = _named(connection, number, seqs)
        if found:
            _forget(connection, [n for n, _ in found])
            add_note(connection, run, number, Note(erased=tuple(seq for _, seq in found)))
            projected.redo(connection, registry, run, number)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return len(found)


def empty_log(connection: sqlite3.Connection, path: Path) -> None:
    """Copy the write-ahead log into the file and cut it to nothing. Raises JournalError while another process reads."""
    busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    if busy:
        raise JournalError(
            f"the payloads are erased, but {path.name}-wal still holds old pages because another process reads the journal",
            hint="run the same command again when that process has ended",
        )


def add_note(connection: sqlite3.Connection, run: str, number: int, note: Note) -> None:
    """Within a transaction: a row of the ledger that says something besides the run's head."""
    seq, hashed, event = connection.execute("SELECT seq, hash, last FROM runs WHERE id = ?", (number,)).fetchone()
    n, link = last_ledger(connection)
    text = encode_note(note)
    link = ledger_link(link, n + 1, run, Head(seq, hashed.hex()), text)
    sql = "INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?)"
    connection.execute(sql, (n + 1, number, seq, event, hashed, bytes.fromhex(link), text))


def _not_driven(connection: sqlite3.Connection, run: str, number: int, owner: Owner) -> None:
    holder = connection.execute("SELECT owner FROM runs WHERE id = ?", (number,)).fetchone()[0]
    if holder and owner.alive(holder):
        raise Conflict(
            f"run {run} is driven by process {holder.split('-')[0]}", code="driven", hint="wait until it has ended"
        )


def _named(connection: sqlite3.Connection, number: int, seqs: Sequence[int] | None) -> list[tuple[int, int]]:
    """``(n, seq)`` of the events whose payload is here and is to be forgotten."""
    wanted = None if seqs is None else set(seqs)
    return [
        (row[9], row[0])
        for row in stored_rows(connection, number)
        if row[4] is not None and (wanted is None or row[0] in wanted)
    ]


def _forget(connection: sqlite3.Connection, numbers: list[int]) -> None:
    named: set[bytes] = set()
    for start in range(0, len(numbers), _CHUNK):
        part = numbers[start : start + _CHUNK]
        marks = ", ".join("?" * len(part))
        sql = f"SELECT blob FROM payloads WHERE blob IS NOT NULL AND n IN ({marks})"  # noqa: S608 - question marks only
        named.update(row[0] for row in connection.execute(sql, part))
        connection.execute(f"DELETE FROM payloads WHERE n IN ({marks})", part)  # noqa: S608
    for address in sorted(named):
        connection.execute(
            "DELETE FROM blobs WHERE address = ?1 AND NOT EXISTS (SELECT 1 FROM payloads WHERE blob = ?1) "
            "AND NOT EXISTS (SELECT 1 FROM runs WHERE plan = ?2)",
            (address, address.hex()),
        )
