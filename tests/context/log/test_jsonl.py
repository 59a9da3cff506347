"""The JSONL log beyond the contract: what stands in the file, what an append costs, other processes."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clew.context.log.jsonl import JsonlLog
from clew.context.log.lock import FileLock
from clew.core.errors import JournalError
from clew.gate.ports.context import Put, Remove

AT = 1_732_272_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "truth.jsonl"


@pytest.fixture
def opened(path: Path) -> Any:
    made: list[JsonlLog] = []

    def make(**options: Any) -> JsonlLog:
        made.append(JsonlLog.open(path, **options))
        return made[-1]

    yield make
    for log in made:
        log.close()


def test_the_file_is_json_lines(path: Path, opened: Callable[..., JsonlLog]) -> None:
    log = opened()
    assert path.read_bytes() == b""
    log.write([Put(id="a", text="ü\n", metadata={"k": 1}), Remove(id="a")], AT)
    log.label("one", AT)
    first, *lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert (first["type"], first["schema"]) == ("context log", 1)
    assert [(line["type"], line.get("more", False)) for line in lines] == [
        ("version", True), ("version", False), ("label", False),
    ]  # fmt: skip
    assert (lines[0]["version"]["text"], lines[0]["version"]["metadata"]) == ("ü\n", {"k": 1})
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_append_costs_the_same_however_long_the_log_is(
    path: Path, opened: Callable[..., JsonlLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in bytes and calls: nothing is read, one line is written."""
    log = opened()
    costs: list[tuple[int, int]] = []
    for size in (0, 10_000):
        if size:
            log.write([Put(id=f"d{n}", text="x" * 50) for n in range(size)], AT)
        with monkeypatch.context() as patch:
            read, written = counted(patch, "pread"), counted(patch, "pwrite")
            log.write([Put(id=f"new {size:5}", text="y")], AT)
            costs.append((sum(read), len(written)))
        assert written[-1] < 400
    assert costs == [(0, 1), (0, 1)]


def counted(patch: pytest.MonkeyPatch, name: str) -> list[int]:
    real, found = getattr(os, name), []

    def call(handle: int, what: Any, offset: int) -> Any:
        done = real(handle, what, offset)
        found.append(done if isinstance(done, int) else len(done))
        return done

    patch.setattr(os, name, call)
    return found


def test_a_follower_reads_on_from_where_it_was(
    opened: Callable[..., JsonlLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    log, follower = opened(), opened()
    log.write([Put(id=f"d{n}") for n in range(1000)], AT)
    assert follower.head() == 1000
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    log.write([Put(id="a")], AT)
    assert follower.head() == 1001
    assert len(synced) == 2  # the writer, and the follower before it relies on it
    assert follower.head() == 1001
    assert len(synced) == 2


def test_a_writer_that_hangs_is_named(path: Path, opened: Callable[..., JsonlLog]) -> None:
    log = opened(busy_s=0.02)
    other = FileLock(path.with_name("truth.jsonl.lock"), 1)
    with other.held(shared=False), pytest.raises(JournalError, match="another process has held the lock"):
        log.write([Put(id="a")], AT)
    other.close()
    assert log.head() == 0
    assert log.write([Put(id="a")], AT)[0].n == 1


def test_a_file_that_is_gone(path: Path, opened: Callable[..., JsonlLog]) -> None:
    log = opened()
    path.unlink()
    with pytest.raises(JournalError, match="No such file"):
        log.head()


def test_a_file_that_is_no_log_is_not_opened(path: Path) -> None:
    path.write_text("something else\n")
    with pytest.raises(JournalError, match="no context log"):
        JsonlLog.open(path)


def test_a_log_exchanged_under_the_process(path: Path, opened: Callable[..., JsonlLog]) -> None:
    """Somebody swaps the bytes of two lines of equal length and kind; the checksum is right, the place is not."""
    log = opened()
    log.write([Put(id="a", text="1", vector=b"\0\0\0\0")], AT)
    log.label("x" * 10, AT)
    log.attach([(1, "m", b"\0\0\0\1")])
    places = log._file.places
    label = path.read_bytes().splitlines(keepends=True)[2]
    start = path.read_bytes().index(label)
    span = type(places.span(0))(start, len(label))
    for name, found in (("span", span), ("vectors_of", {"m": span})):
        setattr(places, name, lambda _, found=found: found)
        with pytest.raises(JournalError, match="changed under this process"):
            log.get("a")
        delattr(places, name)


def test_compaction_that_fails_changes_nothing(
    path: Path, opened: Callable[..., JsonlLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = opened()
    for text in "abc":
        log.write([Put(id="a", text=text)], AT)
    before = path.read_bytes()

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(JournalError, match="No space left"):
            log.compact(3)
    assert path.read_bytes() == before
    assert (log.floor(), len(log.history("a"))) == (0, 3)
    assert log.compact(3) == 2
