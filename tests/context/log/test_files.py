"""Files that only the user reads, and refusals that say what to look at."""

import errno
import os
import stat
from pathlib import Path

import pytest

from clew.context.log import files
from clew.context.log.files import create, explained, sync_folder
from clew.core.errors import JournalError


def test_only_the_user_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "truth"
    create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.write_text("something")
    create(path)
    assert path.read_text() == "something"


def test_a_file_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing it would end the locks that SQLite holds for the process."""
    path = tmp_path / "truth"
    opened: list[object] = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda name, *rest, **more: (opened.append(name), real(name, *rest, **more))[1])
    create(path)
    create(path)
    assert opened == [tmp_path]


def test_folders_that_were_made_are_there_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(files, "sync_folder", synced.append)
    create(tmp_path / "a" / "b" / "truth")
    assert sorted(synced) == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    create(tmp_path / "a" / "b" / "truth")
    assert len(synced) == 3


def test_refusals(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match=r"context log .*file/truth.*a file is in the way"):
        create(tmp_path / "file" / "truth")
    with pytest.raises(JournalError, match="No such file"), explained(tmp_path):
        sync_folder(tmp_path / "none")


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.EROFS, "mounted read-only"), (errno.EACCES, "writable for this user"), (errno.EPERM, "another state directory"),
        (errno.ENOSPC, "free some space"), (errno.EIO, "state of the disk"),
    ],
)  # fmt: skip
def test_a_refusal_says_how_to_mend_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, hint: str) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "mknod", refuse)
    with pytest.raises(JournalError, match=os.strerror(number)) as raised:
        create(tmp_path / "truth")
    assert hint in (raised.value.hint or "")
