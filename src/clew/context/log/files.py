"""Files of a log: made so that only the user reads them, and lasting once they are made."""

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from clew.core.errors import JournalError


@contextmanager
def explained(path: Path) -> Generator[None]:
    """The system's refusals as JournalError."""
    try:
        yield
    except OSError as error:
        raise JournalError(
            f"context log {path}: {error.strerror or error}",
            hint="look at the disk's room and at the permissions of the file and its directory",
        ) from error


def create(path: Path) -> None:
    """Make the folder and an empty file, unless they are there. Raises JournalError.

    The file is never opened here: closing it would end the locks that SQLite holds on it for other connections of this process
    (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    with explained(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
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
