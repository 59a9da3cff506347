"""Opening the file, its guarantees, and errors that say how to mend them."""

import os
import sqlite3
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from clew.core.errors import JournalError

APPLICATION = 0x436C6577
"""SQLite application id ("Clew"): tells a journal from any other database."""
BUSY_S = 10.0
_OLDEST = (3, 35, 0)


def connect(path: Path, busy_s: float = BUSY_S) -> sqlite3.Connection:
    """A connection in WAL mode with ``synchronous=FULL``, both asserted. Raises JournalError.

    The driver uses one connection from one thread at a time; autocommit, so that every transaction is written out.
    """
    if sqlite3.sqlite_version_info < _OLDEST:
        raise JournalError(f"SQLite {sqlite3.sqlite_version} is too old for a journal", hint="3.35 or newer is needed")
    with translated(path):
        connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
        try:
            _guarantee(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def create_file(path: Path) -> None:
    """Make the directory and an empty file that only the user can read, unless it is there. Raises JournalError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # not opened: closing it would drop the locks that SQLite has on it in this process
        os.mknod(path, stat.S_IFREG | 0o600)
    except FileExistsError:
        pass
    except OSError as error:
        raise JournalError(
            f"cannot write the journal {path}: {error.strerror}",
            hint="choose another state directory with --state, or make this one writable",
        ) from error


def _guarantee(connection: sqlite3.Connection, path: Path) -> None:
    execute = connection.execute
    tables = execute("SELECT count(*) FROM sqlite_master").fetchone()[0]  # first: another process may be making them
    if tables and execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
        raise JournalError(
            f"{path} is a database, but no Clew journal", hint="choose another state directory with --state"
        )
    mode = _enter_wal(connection)
    for pragma in ("synchronous=FULL", "secure_delete=ON", "foreign_keys=ON", "cache_size=-16000", "temp_store=FILE"):
        execute(f"PRAGMA {pragma}")
    execute("PRAGMA wal_autocheckpoint=2000")
    synchronous = execute("PRAGMA synchronous").fetchone()[0]
    if mode != "wal" or synchronous != 2:
        raise JournalError(
            f"{path} does not give a durable journal (journal_mode={mode}, synchronous={synchronous})",
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
            return JournalError(f"journal {path}: {what} [{name}]", hint=hint)
    return JournalError(f"journal {path}: {error} [{name}]", hint="`clew doctor` looks at the state directory")


_ADVICE = (
    ("SQLITE_FULL", "the disk is full, nothing was written", "free some space, then `clew resume`"),
    ("SQLITE_BUSY", "another process holds the write lock", "end the process that hangs, then `clew resume`"),
    ("SQLITE_LOCKED", "another connection holds the write lock", "try again"),
    (
        "SQLITE_READONLY",
        "it cannot be written",
        "make the file and its directory writable, or choose another with --state",
    ),
    ("SQLITE_PERM", "access is denied", "make the file and its directory readable and writable for this user"),
    ("SQLITE_AUTH", "access is denied", "make the file and its directory readable and writable for this user"),
    ("SQLITE_CANTOPEN", "it cannot be opened", "look at the path and its permissions, or choose another with --state"),
    (
        "SQLITE_IOERR",
        "the disk refused to read or write; nothing more is written by this process",
        "look at the disk and the system log, then start again and run `clew verify`",
    ),
    (
        "SQLITE_NOTADB",
        "the file is no journal or its beginning is damaged",
        "restore it from a copy, or choose another with --state",
    ),
    (
        "SQLITE_CORRUPT",
        "the file is damaged",
        "keep a copy of it with its -wal file, export what can be read with `clew export`, restore from a backup",
    ),
    ("SQLITE_TOOBIG", "a value is larger than SQLite holds (1 GB)", "write large data to a file and record its path"),
    ("SQLITE_NOMEM", "no memory is left", "end other processes, then `clew resume`"),
)
