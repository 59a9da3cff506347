"""Files of a log: made so that only the user reads them, and lasting once they are made."""

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path

from clew.core.errors import JournalError


@contextmanager
def explained(path: Path) -> Generator[None]:
    """The system's refusals as JournalError."""
    try:
        yield
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, "look at the path and at the state of the disk")
        raise JournalError(f"context log {path}: {error.strerror or error}", hint=hint) from error


_DENIED = "make the file and its directory readable and writable for this user, or choose another state directory"
_NO_FOLDER = "a file is in the way where a directory is to be: move it, or choose another state directory"
_HINTS = {
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.ENOTDIR: _NO_FOLDER,
    errno.EEXIST: _NO_FOLDER,
    errno.EROFS: "the file system is mounted read-only: choose a state directory on one that can be written",
    errno.ENOSPC: "free some space, then try again",
    errno.EDQUOT: "free some space of your quota, then try again",
}


def create(path: Path) -> None:
    """Make the folder and an empty file, unless they are there, durably. Raises JournalError.

    The file is never opened here: closing it would end the locks that SQLite holds on it for other connections of this process
    (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    with explained(path):
        missing = list(takewhile(lambda folder: not folder.exists(), path.parents))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in missing:
            sync_folder(folder.parent)
        with suppress(FileExistsError):
            os.mknod(path, 0o600)
            sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
