"""The lock between processes: one writer or several readers, and a clear word when it takes too long."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from clew.context.log.lock import FileLock
from clew.core.errors import JournalError


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FileLock, FileLock]]:
    monkeypatch.setattr("clew.context.log.lock.time.sleep", lambda _: None)
    one, two = (FileLock(tmp_path / "truth.lock", 0.2) for _ in range(2))
    yield one, two
    one.close()
    two.close()


def test_readers_side_by_side(pair: tuple[FileLock, FileLock]) -> None:
    with pair[0].held(shared=True), pair[1].held(shared=True):
        pass


@pytest.mark.parametrize(("one", "two"), [(True, False), (False, True), (False, False)])
def test_a_writer_is_alone(pair: tuple[FileLock, FileLock], one: bool, two: bool) -> None:
    with (
        pair[0].held(shared=one),
        pytest.raises(JournalError, match=r"truth\.lock: another process has held the lock for 0\.2 s"),
        pair[1].held(shared=two),
    ):
        pass
    with pair[1].held(shared=two):
        pass


def test_it_is_let_go_on_errors(pair: tuple[FileLock, FileLock]) -> None:
    with pytest.raises(ValueError), pair[0].held(shared=False):
        raise ValueError
    with pair[1].held(shared=False):
        pass


def test_it_waits(pair: tuple[FileLock, FileLock], monkeypatch: pytest.MonkeyPatch) -> None:
    held = pair[0].held(shared=False)
    held.__enter__()
    monkeypatch.setattr("clew.context.log.lock.time.sleep", lambda _: held.__exit__(None, None, None))
    with pair[1].held(shared=False):
        pass


def test_other_errors_are_not_waited_out(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "truth.lock", 0.2)
    os.close(lock._handle)
    with pytest.raises(OSError, match="Bad file"), lock.held(shared=False):
        pass
