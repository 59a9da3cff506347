"""The rows that a group of appends becomes."""

import sqlite3
from typing import Any

from clew.core.identity import digest_bytes
from clew.gate.ports.journal import Head
from clew.stores.audit import ledger_link
from clew.stores.sqlite.tables import Held

BLOB_FROM = 16 * 1024
"""Payloads of at least so many bytes go to the blob table."""

Line = tuple[int, bytes, str, str, bytes, bytes]
"""seq, envelope, digest, hash, salt, payload."""


class Rows:
    """The rows of a group of appends, gathered so that each table takes them in one statement."""

    def __init__(self, n: int, ledger: int, link: str) -> None:
        self.ledger = ledger
        self._n = n
        self._link = link
        self._events: list[tuple[Any, ...]] = []
        self._payloads: list[tuple[Any, ...]] = []
        self._blobs: list[tuple[bytes, int, bytes]] = []
        self._ledger_rows: list[tuple[Any, ...]] = []

    def add(self, run: str, held: Held, lines: list[Line]) -> Head:
        """One append; moves the run's last event."""
        n, prev, number = self._n, held.last, held.id
        seq, hashed = 0, ""
        for seq, envelope, digest, hashed, salt, payload in lines:
            n += 1
            self._events.append((n, prev, number, seq, envelope.decode(), bytes.fromhex(digest), bytes.fromhex(hashed)))
            prev = n
            if len(payload) >= BLOB_FROM:
                address = bytes.fromhex(digest_bytes(payload))
                self._blobs.append((address, len(payload), payload))
                self._payloads.append((n, salt, None, address))
            elif payload:
                self._payloads.append((n, salt, payload.decode(), None))
        self._n = held.last = n
        self.ledger += 1
        head = Head(seq, hashed)
        self._link = ledger_link(self._link, self.ledger, run, head, None)
        self._ledger_rows.append((self.ledger, number, seq, n, bytes.fromhex(hashed), bytes.fromhex(self._link)))
        return head

    def insert(self, connection: sqlite3.Connection) -> None:
        many = connection.executemany
        many("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", self._events)
        if self._payloads:
            many("INSERT INTO payloads VALUES (?, ?, ?, ?)", self._payloads)
        if self._blobs:
            many("INSERT OR IGNORE INTO blobs(address, size, data) VALUES (?, ?, ?)", self._blobs)
        many("INSERT INTO ledger(n, run, seq, event, hash, chain) VALUES (?, ?, ?, ?, ?, ?)", self._ledger_rows)
