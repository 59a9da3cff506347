"""What other processes want done to runs: messages, put by anybody, consumed by the driver's append."""

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from clew.core.errors import Conflict, NotFound
from clew.gate.ports.journal import Message, MessageKind
from clew.stores.messages import encode_body
from clew.stores.runcard import ENDED

_CHUNK = 500
_MESSAGES = "SELECT i.id, r.run, i.kind, i.key, i.body, i.at FROM inbox i JOIN runs r ON r.id = i.run"
_decode = msgspec.json.Decoder().decode


def put(connection: sqlite3.Connection, run: str, kind: MessageKind, key: str, body: Any, at: int) -> int:
    """Raises NotFound for an unknown run, Conflict for one that has ended."""
    text = encode_body(body).decode()
    connection.execute("BEGIN IMMEDIATE")
    try:
        row = connection.execute("SELECT id, state FROM runs WHERE run = ?", (run,)).fetchone()
        if row is None:
            raise NotFound(f"there is no run {run!r} in this journal", hint="`clew runs` lists them")
        if row[1] in ENDED:
            raise Conflict(f"run {run} has ended ({row[1]}): it takes no more messages")
        sql = "INSERT INTO inbox(run, kind, key, body, at) VALUES (?, ?, ?, ?, ?)"
        number = connection.execute(sql, (row[0], kind, key, text, at)).lastrowid or 0
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return number


def waiting(connection: sqlite3.Connection, runs: Sequence[str]) -> list[Message]:
    """Messages for these runs, oldest first."""
    found: list[Message] = []
    for start in range(0, len(runs), _CHUNK):
        part = runs[start : start + _CHUNK]
        sql = f"{_MESSAGES} WHERE r.run IN ({', '.join('?' * len(part))})"
        for row in connection.execute(sql, tuple(part)):
            found.append(Message(id=row[0], run=row[1], kind=row[2], key=row[3], body=_decode(row[4]), at=row[5]))
    return sorted(found, key=lambda message: message.id)
