"""A lock between processes: ``flock`` on a file of its own beside the log, which compaction never replaces."""

import errno
import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from clew.core.errors import JournalError

_PAUSES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)


class FileLock:
    """Held by one writer or several readers. One thread at a time uses it."""

    def __init__(self, path: Path, busy_s: float) -> None:
        self._path = path
        self._busy_s = busy_s
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        os.close(self._handle)

    @contextmanager
    def held(self, *, shared: bool) -> Generator[None]:
        """Raises JournalError when others hold it for longer than ``busy_s``."""
        self._take(fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._handle, fcntl.LOCK_UN)

    def _take(self, how: int) -> None:
        waited, step = 0.0, 0
        while not self._taken(how):
            if waited >= self._busy_s:
                raise JournalError(
                    f"context log {self._path}: another process has held the lock for {self._busy_s:g} s",
                    hint="end the process that hangs, then try again",
                )
            pause = _PAUSES[min(step, len(_PAUSES) - 1)]
            time.sleep(pause)
            waited, step = waited + pause, step + 1

    def _taken(self, how: int) -> bool:
        try:
            fcntl.flock(self._handle, how | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            return False
        return True
