"""Projections in the journal's file: installed on opening, caught up when lazy, redone after erasures and imports."""

import sqlite3
from collections.abc import Iterable

from clew.gate.ports.projection import Entry, Projection
from clew.stores.projecting import Registry
from clew.stores.sqlite.tables import entries, entries_after, last_event

CHUNK = 1000


def install(connection: sqlite3.Connection, registry: Registry) -> None:
    """Create what is missing and rebuild what has another version, each in one transaction.

    A projection that this process does not know falls behind with its first append: it is struck from the list, so that
    whoever knows it builds it again.
    """
    for projection in registry.projections.values():
        if _version(connection, projection) == projection.version:
            continue
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _version(connection, projection) != projection.version:
                _rebuild(connection, registry, projection)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    known = tuple(registry.projections)
    marks = ", ".join("?" * len(known))
    strange = f"FROM projections WHERE name NOT IN ({marks})"
    if connection.execute(f"SELECT count(*) {strange}", known).fetchone()[0]:
        connection.execute(f"DELETE {strange}", known)


def _version(connection: sqlite3.Connection, projection: Projection) -> int | None:
    row = connection.execute("SELECT version FROM projections WHERE name = ?", (projection.name,)).fetchone()
    return row[0] if row else None


def _rebuild(connection: sqlite3.Connection, registry: Registry, projection: Projection) -> None:
    registry.create(projection, connection)
    upto = 0
    while not projection.lazy:
        found, upto = entries_after(connection, upto, CHUNK)
        if not found:
            break
        _apply(connection, projection, found)
    connection.execute(
        "INSERT OR REPLACE INTO projections VALUES (?, ?, ?)", (projection.name, projection.version, upto)
    )


def _apply(connection: sqlite3.Connection, projection: Projection, found: Iterable[Entry]) -> None:
    for entry in found:
        if type(entry.fact) in projection.facts:
            projection.apply(entry, connection)


def catch_up(connection: sqlite3.Connection, projection: Projection) -> bool:
    """Let a lazy projection see the next events; True while there are more."""
    upto = _upto(connection, projection)
    if last_event(connection) <= upto:
        return False
    connection.execute("BEGIN IMMEDIATE")
    try:
        found, now = entries_after(connection, _upto(connection, projection), CHUNK)
        _apply(connection, projection, found)
        connection.execute("UPDATE projections SET upto = ? WHERE name = ?", (now, projection.name))
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return len(found) == CHUNK


def redo(connection: sqlite3.Connection, registry: Registry, run: str, number: int) -> None:
    """Within a transaction: build the rows of one run anew. A lazy projection that has not seen all of the run yet sees the
    rest later, so only what it has seen is redone."""
    eager = [name for name, projection in registry.projections.items() if not projection.lazy]
    registry.redo(run, entries(connection, run, number), connection, eager)
    for name, projection in registry.projections.items():
        if projection.lazy:
            upto = _upto(connection, projection)
            registry.redo(run, entries(connection, run, number, upto), connection, [name])


def _upto(connection: sqlite3.Connection, projection: Projection) -> int:
    row = connection.execute("SELECT upto FROM projections WHERE name = ?", (projection.name,)).fetchone()
    return row[0] if row else 0
