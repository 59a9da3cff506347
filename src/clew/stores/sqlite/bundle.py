"""A run out of the file and into another one."""

import sqlite3

from clew.core.errors import Conflict
from clew.core.identity import digest_bytes
from clew.gate.ports.journal import Bundle, BundleEvent
from clew.stores.bundles import FORMAT, Unpacked
from clew.stores.projecting import Registry
from clew.stores.sqlite import projected
from clew.stores.sqlite.erase import add_note
from clew.stores.sqlite.rows import BLOB_FROM
from clew.stores.sqlite.tables import (
    Held,
    insert_run,
    last_event,
    last_ledger,
    next_run_id,
    put_blob,
    run_row,
    stored_of,
    stored_rows,
)


def dump(connection: sqlite3.Connection, run: str, redacted: bool) -> Bundle:
    """The run as it lies here. Raises NotFound."""
    line, number = run_row(connection, run)
    events: list[BundleEvent] = []
    for row in stored_rows(connection, number):
        stored = stored_of(row)
        salt, payload = (None, None) if redacted or stored.body is None else (stored.salt, stored.body)
        events.append(
            BundleEvent(envelope=stored.envelope, digest=stored.digest, hash=stored.hash, salt=salt, payload=payload)
        )
    blobs: dict[str, bytes] = {}
    try:
        plan = connection.execute("SELECT data FROM blobs WHERE address = ?", (bytes.fromhex(line.plan),)).fetchone()
    except ValueError:
        plan = None
    if plan is not None:
        blobs[line.plan] = plan[0]
    return Bundle(format=FORMAT, run=run, redacted=redacted, events=tuple(events), blobs=blobs)


def load(connection: sqlite3.Connection, unpacked: Unpacked, registry: Registry) -> None:
    """Take in a run whose chain was verified. Raises Conflict when it is here already."""
    card, events = unpacked.card, unpacked.bundle.events
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("SELECT 1 FROM runs WHERE run = ?", (card.run,)).fetchone():
            raise Conflict(f"run {card.run} is in this journal already", hint="import it into another state directory")
        n, number = last_event(connection), next_run_id(connection)
        held = Held(card.run, 0, unpacked.state)
        held.id, held.seq, held.last, held.hash = number, len(events), n + len(events), events[-1].hash
        held.status, held.cost = card.status, card.cost
        insert_run(connection, card, held, "", last_ledger(connection)[0] + 1)
        for seq, event in enumerate(events, 1):
            _insert(connection, (n + seq, n + seq - 1 if seq > 1 else 0, number, seq), event)
        for address, data in unpacked.bundle.blobs.items():
            put_blob(connection, bytes.fromhex(address), data)
        add_note(connection, card.run, number, unpacked.note)
        projected.redo(connection, registry, card.run, number)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _insert(connection: sqlite3.Connection, place: tuple[int, int, int, int], event: BundleEvent) -> None:
    hashes = (bytes.fromhex(event.digest), bytes.fromhex(event.hash))
    connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", (*place, event.envelope.decode(), *hashes))
    if event.payload is None:
        return
    body: str | None = event.payload.decode()
    blob: bytes | None = None
    if len(event.payload) >= BLOB_FROM:
        body, blob = None, bytes.fromhex(digest_bytes(event.payload))
        put_blob(connection, blob, event.payload)
    connection.execute("INSERT INTO payloads VALUES (?, ?, ?, ?)", (place[0], event.salt, body, blob))
