"""Verification of the file: one pass over the ledger, one over the events, one over the blobs; nothing held but heads.

It runs on a connection of its own, within one read transaction, so that it sees one moment while others write.
"""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from clew.core.errors import JournalError
from clew.core.identity import digest_bytes
from clew.gate.ports.journal import Finding, Head
from clew.stores.audit import LedgerAudit, LedgerRow, RunAudit, check_blob, check_head, decode_note
from clew.stores.runcard import ENDED
from clew.stores.sqlite.connection import connect, explain
from clew.stores.sqlite.tables import all_rows, run_id, stored_of, stored_rows

_LEDGER = (
    "SELECT l.n, r.run, l.seq, l.hash, l.chain, l.note, e.hash, l.run FROM ledger l "
    "LEFT JOIN runs r ON r.id = l.run LEFT JOIN events e ON e.n = l.event AND e.run = l.run AND e.seq = l.seq "
)
_PLAN = 64


def verify(path: Path, run: str | None, head: Head | None) -> list[Finding]:
    """See the port. Raises NotFound; a file that SQLite itself cannot read is a finding, not an error."""
    try:
        connection = connect(path)
    except JournalError as error:
        return [Finding("", 0, "unreadable", error.message)]
    connection.text_factory = _text
    try:
        connection.execute("BEGIN")
        number = None if run is None else run_id(connection, run)
        return list(_guarded(_Verification(connection, run, number, head).findings(), path))
    finally:
        connection.close()


def _guarded(findings: Iterator[Finding], path: Path) -> Iterator[Finding]:
    try:
        yield from findings
    except sqlite3.DatabaseError as error:
        yield Finding("", 0, "unreadable", explain(error, path).message)


class _Verification:
    def __init__(self, connection: sqlite3.Connection, run: str | None, number: int | None, head: Head | None) -> None:
        self._connection = connection
        self._run = run
        self._number = number
        self._head = head

    def findings(self) -> Iterator[Finding]:
        execute = self._connection.execute
        execute(
            "CREATE TEMP TABLE erased (run INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (run, seq)) WITHOUT ROWID"
        )
        execute("CREATE TEMP TABLE heads (run INTEGER PRIMARY KEY, seq INTEGER NOT NULL)")
        yield from self._ledger()
        yield from self._runs()
        yield from self._kept()
        if self._run is None:
            yield from self._blobs()
            yield from self._strays()

    def _ledger(self) -> Iterator[Finding]:
        """The whole ledger, or the run's rows, each against the row before it; notes of erasures are put aside for the events."""
        audit = LedgerAudit()
        write = self._connection.cursor().execute
        for n, run, seq, hashed, link, note, event_hash, number in self._ledger_rows():
            row = LedgerRow(
                n, run, seq, _hex(hashed), _hex(link), note, None if event_hash is None else _hex(event_hash)
            )
            if self._number is not None:
                before = write("SELECT chain FROM ledger WHERE n = ?", (n - 1,)).fetchone()
                audit = LedgerAudit(n - 1, _hex(before[0]) if before else "")
            yield from audit.take(row)
            write("INSERT INTO heads VALUES (?1, ?2) ON CONFLICT(run) DO UPDATE SET seq = max(seq, ?2)", (number, seq))
            if note is not None:
                yield from self._note(n, run or "", number, note)

    def _ledger_rows(self) -> Iterator[tuple[Any, ...]]:
        if self._number is None:
            return iter(self._connection.execute(_LEDGER + "ORDER BY l.n"))
        born = self._connection.execute("SELECT born FROM runs WHERE id = ?", (self._number,)).fetchone()[0]
        where = "WHERE l.n >= ? AND l.run = ? ORDER BY l.n"
        return iter(self._connection.execute(_LEDGER + where, (born, self._number)))

    def _note(self, n: int, run: str, number: int, text: str) -> Iterator[Finding]:
        try:
            note = decode_note(text)
        except msgspec.MsgspecError as error:
            yield Finding(run, 0, "ledger", f"the note of ledger row {n} cannot be read: {error}")
            return
        rows = [(number, seq) for seq in note.erased]
        self._connection.executemany("INSERT OR IGNORE INTO erased VALUES (?, ?)", rows)

    def _erased(self, number: int) -> Callable[[int], bool]:
        sql = "SELECT 1 FROM erased WHERE run = ? AND seq = ?"
        cursor = self._connection.cursor()
        return lambda seq: cursor.execute(sql, (number, seq)).fetchone() is not None

    def _runs(self) -> Iterator[Finding]:
        audits: dict[int, RunAudit] = {}
        names: dict[int, str] = dict(self._connection.execute("SELECT id, run FROM runs"))
        lasts: dict[int, int] = {}
        rows = all_rows(self._connection) if self._number is None else stored_rows(self._connection, self._number)
        for row in rows:
            number: int = row[7]
            audit = audits.get(number)
            if audit is None:
                audit = audits[number] = RunAudit(names.get(number, f"#{number}"), self._erased(number))
            stored = stored_of(row)
            yield from audit.take(stored)
            if row[10] != lasts.get(number, 0):
                yield Finding(
                    audit.run, stored.seq, "sequence", f"event {stored.seq} does not name the event before it"
                )
            lasts[number] = row[9]
            # A blob that was changed shows by its own address too, which the payload's digest covers already.
            if row[8] is not None and stored.body is not None and digest_bytes(stored.body) != _hex(row[8]):
                yield Finding(audit.run, stored.seq, "blob", f"blob {_hex(row[8])[:12]} does not give its address")
        where = "" if self._number is None else f"WHERE r.id = {int(self._number)}"
        sql = f"SELECT r.*, h.seq AS ledger_seq FROM runs r LEFT JOIN heads h ON h.run = r.id {where} ORDER BY r.id"  # noqa: S608
        cursor = self._connection.cursor()
        cursor.row_factory = sqlite3.Row  # type: ignore[assignment]
        for line in cursor.execute(sql):
            audit = audits.pop(line["id"], None) or RunAudit(line["run"], lambda _: False)
            yield from audit.finish(Head(line["seq"], _hex(line["hash"])))
            if self._number is None and line["last"] != lasts.get(line["id"], 0):
                yield Finding(audit.run, 0, "head", "the run list does not name the run's last event")
            yield from self._line(audit, line)
        for audit in audits.values():
            yield Finding(audit.run, 0, "removed", f"{audit.seq} events belong to a run that is not in the run list")

    def _line(self, audit: RunAudit, line: Any) -> Iterator[Finding]:
        """The run's line against what its events say."""
        card, run = audit.card, audit.run
        if line["ledger_seq"] is None:
            yield Finding(run, 0, "ledger", "the ledger does not know this run")
        elif line["ledger_seq"] != audit.seq:
            yield Finding(
                run, 0, "ledger", f"the ledger saw {line['ledger_seq']} events of this run, {audit.seq} are here"
            )
        if card is None:
            return
        for name in (
            "run",
            "workflow",
            "plan",
            "parent",
            "fork_of",
            "tenant",
            "user",
            "created",
            "updated",
            "cost",
            "status",
        ):
            if line[name] != getattr(card, name):
                yield Finding(
                    run, 0, "row", f"the run list says {name} {line[name]!r}, the events say {getattr(card, name)!r}"
                )
        if line["state"] != card.ended and (card.ended or line["state"] in ENDED):
            yield Finding(
                run,
                0,
                "row",
                f"the run list says state {line['state']!r}, the events say {card.ended or 'not ended'!r}",
            )
        plan: str = card.plan
        if len(plan) == _PLAN and set(plan) <= set("0123456789abcdef"):
            address = bytes.fromhex(plan)
            if self._connection.execute("SELECT 1 FROM blobs WHERE address = ?", (address,)).fetchone() is None:
                yield Finding(run, 1, "blob", f"the recorded plan {plan[:12]} is gone")

    def _kept(self) -> Iterator[Finding]:
        if self._head is None:
            return
        if self._number is not None:
            rows = stored_rows(self._connection, self._number, self._head.seq - 1, self._head.seq)
            found = next((row[3] for row in rows), None)
        else:
            row = self._connection.execute("SELECT chain FROM ledger WHERE n = ?", (self._head.seq,)).fetchone()
            found = row[0] if row else None
        yield from check_head(self._run or "", self._head, None if found is None else _hex(found))

    def _blobs(self) -> Iterator[Finding]:
        for address, size, data in self._connection.execute("SELECT address, size, data FROM blobs ORDER BY id"):
            yield from check_blob(_hex(address), size, data if isinstance(data, bytes) else str(data).encode())

    def _strays(self) -> Iterator[Finding]:
        sql = "SELECT count(*) FROM payloads WHERE n NOT IN (SELECT n FROM events)"
        count = self._connection.execute(sql).fetchone()[0]
        if count:
            yield Finding("", 0, "payload", f"{count} payloads belong to no event")


def _hex(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else f"not bytes: {value!r}"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
