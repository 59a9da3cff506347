"""Opening the SQLite log: its guarantees, its schema, and errors that say how to mend them."""

import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from clew.context.log.files import create
from clew.context.log.schema import APPLICATION, OLDER, TABLES, VERSION
from clew.core.errors import JournalError

BUSY_S = 10.0


def connect(path: Path, busy_s: float = BUSY_S) -> sqlite3.Connection:
    """A connection in WAL mode with ``synchronous=FULL``, both asserted, to a file of this schema. Raises JournalError.

    Autocommit: transactions are written out. The driver uses a connection from one thread at a time.
    """
    create(path)
    with translated(path):
        connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
        try:
            _guarantee(connection, path)
            _schema(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _guarantee(connection: sqlite3.Connection, path: Path) -> None:
    execute = connection.execute
    # In this order: another process may make the file's tables, and sets the id with them.
    tables = execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
        raise JournalError(f"{path} is a database, but no context log", hint="choose another path for the store")
    mode = _enter_wal(connection)
    execute("PRAGMA synchronous=FULL")
    execute("PRAGMA cache_size=-16000")
    synchronous = execute("PRAGMA synchronous").fetchone()[0]
    if mode != "wal" or synchronous != 2:
        raise JournalError(
            f"{path} does not give a durable log (journal_mode={mode}, synchronous={synchronous})",
            hint="keep the state directory on a local file system",
        )


def _enter_wal(connection: sqlite3.Connection) -> str:
    """The switch does not wait for a lock by itself, and a new file is switched by whoever comes first."""
    for pause in (0.01, 0.05, 0.2, 0.5, 1.0):
        try:
            return connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            if not getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
                raise
            time.sleep(pause)
    return connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]


def _schema(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables of a new file, or the present ones of older ones. Raises JournalError for a file of a newer schema."""
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found < VERSION:
        with transaction(connection):
            # Another process may have been here while this one waited for the lock.
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            if found == 0:
                _run(connection, TABLES)
                connection.execute(f"PRAGMA application_id={APPLICATION}")
            for older in range(found, VERSION) if found else ():
                _run(connection, OLDER[older])
            if found < VERSION:
                connection.execute(f"PRAGMA user_version={VERSION}")
    if found > VERSION:
        raise JournalError(
            f"context log {path} has schema {found}, this Clew knows schema {VERSION}",
            hint="a newer Clew wrote it: upgrade",
        )


def _run(connection: sqlite3.Connection, script: str) -> None:
    """``executescript`` would commit first."""
    for statement in script.split(";\n"):
        connection.execute(statement)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    """A write transaction: all of it or, on any exception, nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def translated(path: Path) -> Generator[None]:
    """SQLite's errors as JournalError."""
    try:
        yield
    except sqlite3.Error as error:
        raise explain(error, path) from error


def explain(error: sqlite3.Error, path: Path) -> JournalError:
    """What happened and how to mend it."""
    name: str = getattr(error, "sqlite_errorname", "") or type(error).__name__
    for prefix, what, hint in _ADVICE:
        if name.startswith(prefix):
            return JournalError(f"context log {path}: {what} [{name}]", hint=hint)
    return JournalError(f"context log {path}: {error} [{name}]", hint="`clew doctor` looks at the state directory")


_ADVICE = (
    ("SQLITE_FULL", "the disk is full, nothing was written", "free some space, then try again"),
    ("SQLITE_BUSY", "another process holds the write lock", "end the process that hangs, then try again"),
    ("SQLITE_LOCKED", "another connection holds the lock", "try again"),
    (
        "SQLITE_READONLY",
        "it cannot be written",
        "make the file and its directory writable for this user, or choose another state directory",
    ),
    ("SQLITE_PERM", "access is denied", "make the file and its directory readable and writable for this user"),
    ("SQLITE_AUTH", "access is denied", "make the file and its directory readable and writable for this user"),
    (
        "SQLITE_CANTOPEN",
        "it cannot be opened",
        "look at the path; its directory must be writable for this user, since files for locks stand beside the log",
    ),
    ("SQLITE_IOERR", "the disk refused to read or write", "look at the disk's room and the system log, then try again"),
    ("SQLITE_NOTADB", "the file is no log or its beginning is damaged", "restore it from a copy"),
    (
        "SQLITE_CORRUPT",
        "the file is damaged",
        "keep a copy of it with its -wal file, save what can be read with `sqlite3 … .recover`, or restore a copy",
    ),
    ("SQLITE_TOOBIG", "a value is larger than SQLite holds (1 GB)", "split the document"),
    ("SQLITE_NOMEM", "no memory is left", "end other processes, then try again"),
)
