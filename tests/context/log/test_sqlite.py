"""The SQLite log beyond the contract: locks, damage, a disk that is full, room that compaction gives back."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from clew.context.log import sqlite as module
from clew.context.log.sqlite import SqliteLog
from clew.core.errors import JournalError
from clew.gate.ports.context import Put

AT = 1_732_272_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "truth.db"


@pytest.fixture
def log(path: Path) -> Any:
    made = SqliteLog.open(path, busy_s=0.05)
    yield made
    made.close()


def test_another_writer_is_waited_for_and_then_named(path: Path, log: SqliteLog) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError, match="another process holds the write lock"):
        log.write([Put(id="a")], AT)
    assert log.head() == 0
    other.execute("ROLLBACK")
    assert log.write([Put(id="a")], AT)[0].n == 1
    other.close()


def test_a_full_disk_writes_nothing(log: SqliteLog) -> None:
    log.write([Put(id="a")], AT)
    pages = log._writing.execute("PRAGMA page_count").fetchone()[0]
    log._writing.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(JournalError, match="disk is full, nothing was written"):
        log.write([Put(id="b"), Put(id="c", text="x" * 100_000)], AT)
    assert (log.head(), log.count(), log.get("b")) == (1, 1, None)
    log._writing.execute("PRAGMA max_page_count=100000")
    assert log.write([Put(id="c", text="x" * 100_000)], AT)[0].n == 2


def test_a_row_that_no_clew_wrote(path: Path, log: SqliteLog) -> None:
    log.write([Put(id="a")], AT)
    other = sqlite3.connect(path)
    other.execute("UPDATE docs SET meta = '{nonsense'")
    other.commit()
    other.close()
    with pytest.raises(JournalError, match="between places 1 and 1 cannot be read"):
        log.since(0)


def test_a_damaged_page(path: Path) -> None:
    log = SqliteLog.open(path)
    log.write([Put(id=f"d{n}", text="x" * 3000) for n in range(50)], AT)
    log.close()
    data = bytearray(path.read_bytes())
    for start in range(4096, len(data), 4096):
        data[start : start + 100] = b"\xff" * 100
    path.write_bytes(data)
    log = SqliteLog.open(path)
    with pytest.raises(JournalError, match="damaged"):
        log.since(0)
    log.close()


def test_compaction_gives_room_back(path: Path, log: SqliteLog) -> None:
    for n in range(20):
        log.write([Put(id="a", text=str(n) * 100_000)], AT)
    log.compact(log.head())
    assert path.stat().st_size < 400_000
    assert path.with_name("truth.db-wal").stat().st_size == 0
    assert log.get("a").text == "19" * 100_000


def test_opening_fails_as_a_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, made = module.connect, []

    def connect(*arguments: Any) -> sqlite3.Connection:
        if made:
            raise JournalError("no")
        made.append(real(*arguments))
        return made[0]

    monkeypatch.setattr(module, "connect", connect)
    with pytest.raises(JournalError, match="no"):
        SqliteLog.open(path)
    with pytest.raises(sqlite3.ProgrammingError):
        made[0].execute("SELECT 1")


def test_a_write_under_way_is_not_seen(log: SqliteLog) -> None:
    log.write([Put(id="a", text="old")], AT)
    with log._transaction() as connection:
        connection.execute("UPDATE docs SET text = 'new'")
        assert log.get("a").text == "old"
    assert log.get("a").text == "new"
