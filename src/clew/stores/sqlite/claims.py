"""Taking and leaving runs: an owner column that is believed only while the owner's lock is held."""

import sqlite3
from collections.abc import Iterable

from clew.core.errors import Conflict, NotFound
from clew.stores.runcard import ENDED
from clew.stores.sqlite.owner import Owner
from clew.stores.sqlite.tables import Held


def claim(connection: sqlite3.Connection, run: str, owner: Owner) -> Held:
    """Become the driver of a run that nobody, or a dead process, drives. Raises NotFound, Conflict."""
    me = owner.acquire()
    connection.execute("BEGIN IMMEDIATE")
    try:
        row = connection.execute(
            "SELECT id, seq, hash, epoch, state, status, cost, owner, last FROM runs WHERE run = ?", (run,)
        ).fetchone()
        if row is None:
            raise NotFound(f"there is no run {run!r} in this journal", hint="`clew runs` lists them")
        if row[7] and row[7] != me and owner.alive(row[7]):
            pid = row[7].split("-")[0]
            raise Conflict(
                f"run {run} is driven by process {pid}", code="driven", hint="wait for it, or end that process"
            )
        epoch = row[3] + 1
        connection.execute("UPDATE runs SET owner = ?, epoch = ? WHERE id = ?", (me, epoch, row[0]))
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    held = Held(run, epoch, row[4])
    held.id, held.seq, held.hash, held.last = row[0], row[1], row[2].hex(), row[8]
    held.status, held.cost, held.ended = row[5], row[6], row[4] if row[4] in ENDED else None
    return held


def release(connection: sqlite3.Connection, runs: Iterable[Held], owner: Owner) -> None:
    """Leave runs, in one transaction, unless somebody else has them by now."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        sql = "UPDATE runs SET owner = '' WHERE id = ? AND owner = ? AND epoch = ?"
        connection.executemany(sql, [(held.id, owner.id, held.epoch) for held in runs])
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
