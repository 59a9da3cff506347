"""What the SQLite log guarantees when it is opened, and how it says no."""

import sqlite3
from pathlib import Path

import pytest

from clew.context.log.connection import connect, explain
from clew.context.log.schema import APPLICATION, TABLES, VERSION
from clew.context.log.sqlite import SqliteLog
from clew.core.errors import JournalError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "truth.db"


def pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_durable_and_recognised(path: Path) -> None:
    connection = connect(path)
    assert [pragma(connection, name) for name in ("journal_mode", "synchronous", "application_id", "user_version")] == [
        "wal", 2, APPLICATION, VERSION,
    ]  # fmt: skip
    connection.close()
    connect(path).close()


def test_an_older_schema_becomes_the_present_one(path: Path) -> None:
    old = sqlite3.connect(path)
    old.executescript(
        TABLES[: TABLES.index("CREATE TABLE attached")]
        + "CREATE TABLE attached (m INTEGER PRIMARY KEY AUTOINCREMENT, n INTEGER NOT NULL UNIQUE, embedder TEXT, vector BLOB);"
        + TABLES[TABLES.index("CREATE TABLE labels") :]
    )
    old.executescript(
        "INSERT INTO docs VALUES (1, 'a', 1, 0, 0, 5, '', '', '', '', x'', 't');"
        "INSERT INTO attached VALUES (7, 1, 'm', x'00000000');"
        f"PRAGMA application_id={APPLICATION}; PRAGMA user_version=1"
    )
    old.close()
    log = SqliteLog.open(path)
    assert log.vectors_since(0) == [(7, 1, "m", b"\0\0\0\0")]
    log.attach([(1, "n", b"\0\0\0\1")])
    assert [m for m, *_ in log.vectors_since(0, embedder="m") + log.vectors_since(0)] == [7, 8]
    log.close()
    new = connect(path.with_name("new.db"))
    connection = connect(path)
    tables = "SELECT type, name, sql FROM sqlite_master WHERE name LIKE 'attached%' ORDER BY name"
    assert connection.execute(tables).fetchall() == new.execute(tables).fetchall()
    assert pragma(connection, "user_version") == VERSION
    connection.close()
    new.close()


def test_a_newer_schema(path: Path) -> None:
    connection = connect(path)
    connection.execute(f"PRAGMA user_version={VERSION + 1}")
    connection.close()
    with pytest.raises(JournalError, match=f"schema {VERSION + 1}, this Clew knows schema {VERSION} .*upgrade"):
        connect(path)


def test_another_database(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE t(x)")
    other.close()
    with pytest.raises(JournalError, match="no context log"):
        connect(path)


def test_no_database(path: Path) -> None:
    path.write_bytes(b"not a database at all " * 100)
    with pytest.raises(JournalError, match="no log or its beginning is damaged"):
        connect(path)


def test_a_folder(path: Path) -> None:
    path.mkdir()
    with pytest.raises(JournalError, match="cannot be opened"):
        connect(path)


def test_a_file_system_without_wal(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clew.context.log.connection._enter_wal", lambda _: "delete")
    with pytest.raises(JournalError, match=r"not give a durable log \(journal_mode=delete"):
        connect(path)


@pytest.mark.parametrize("lets_go", [True, False])
def test_the_switch_to_wal_waits(path: Path, monkeypatch: pytest.MonkeyPatch, lets_go: bool) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if lets_go:
            other.execute("ROLLBACK")

    monkeypatch.setattr("clew.context.log.connection.time.sleep", pause)
    if lets_go:
        connect(path, busy_s=0).close()
    else:
        with pytest.raises(JournalError, match="write lock"):
            connect(path, busy_s=0)
    assert len(pauses) == (1 if lets_go else 5)
    other.close()


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("SQLITE_FULL", "disk is full"), ("SQLITE_BUSY_SNAPSHOT", "write lock"), ("SQLITE_READONLY_DBMOVED", "written"),
        ("SQLITE_CORRUPT_INDEX", "damaged"), ("SQLITE_IOERR_FSYNC", "disk refused"), ("SQLITE_SOMETHING", "odd"),
    ],
)  # fmt: skip
def test_errors_say_how_to_mend(name: str, match: str) -> None:
    error = sqlite3.OperationalError("odd")
    error.sqlite_errorname = name
    explained = explain(error, Path("truth.db"))
    assert isinstance(explained, JournalError)
    assert explained.hint
    assert match in str(explained)
    assert name in str(explained)
    assert "[OperationalError]" in str(explain(sqlite3.OperationalError("odd"), Path("truth.db")))
