"""Numbered migrations: ``sql/NNN_name.sql`` brings schema NNN-1 to NNN, each in one transaction. ``user_version`` counts."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from clew.core.errors import JournalError
from clew.stores.sqlite.connection import APPLICATION, translated

SCRIPTS = Path(__file__).parent / "sql"
_NAME = re.compile(r"([0-9]{3})_[a-z0-9_]+\.sql")


def scripts(directory: Path = SCRIPTS) -> list[Path]:
    """The migrations in order. Raises JournalError when their numbers have a gap."""
    found = sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name))
    if [int(path.name[:3]) for path in found] != list(range(1, len(found) + 1)):
        raise JournalError(f"the migrations in {directory} are not numbered 001, 002 ...", hint="install Clew again")
    return found


def migrate(connection: sqlite3.Connection, path: Path, directory: Path = SCRIPTS) -> int:
    """Bring the file to the newest schema; returns the version it had. Raises JournalError for a newer one."""
    with translated(path):
        had = connection.execute("PRAGMA user_version").fetchone()[0]
        known = scripts(directory)
        if had > len(known):
            raise JournalError(
                f"journal {path} has schema {had}, this Clew knows schema {len(known)}",
                hint="a newer Clew wrote it: upgrade",
            )
        for number in range(had + 1, len(known) + 1):
            _run(connection, path, known[number - 1], number)
    return had


def _run(connection: sqlite3.Connection, path: Path, script: Path, number: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have been here while this one waited for the lock.
        if connection.execute("PRAGMA user_version").fetchone()[0] < number:
            for statement in statements(script.read_text(encoding="utf-8")):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION}")
            connection.execute(f"PRAGMA user_version={number}")
        connection.execute("COMMIT")
    except BaseException as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if number > 1 and isinstance(error, sqlite3.Error):
            raise JournalError(
                f"journal {path} could not be brought to schema {number}: {error}; nothing was changed",
                hint="copy the state directory, then try again; the Clew that wrote it still reads it",
            ) from error
        raise


def statements(script: str) -> Iterator[str]:
    """Split a script into its statements."""
    part = ""
    for line in script.splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            yield part
            part = ""
    if part.strip():
        raise JournalError(f"a migration ends within a statement: {part.strip()[:60]!r}", hint="install Clew again")
