"""Who drives: a lock file per journal object, held by ``flock`` and so let go by death, however it comes.

``<state>/owners/<pid>-<random>.lock``. An owner is alive exactly while nobody else can have its lock. The descriptor is
close-on-exec; a forked child closes it at once, since a shared one would outlive the parent.
"""

import errno
import fcntl
import os
import re
import secrets
import weakref
from pathlib import Path

from clew.core.errors import JournalError

_NAME = re.compile(r"[0-9]{1,10}-[0-9a-f]{16}")


class Owner:
    """The identity of one journal object. Nothing is on disk until ``acquire``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._fd = -1
        self._pid = os.getpid()
        self.id = f"{self._pid}-{secrets.token_hex(8)}"
        _owners.add(self)

    def acquire(self) -> str:
        """Hold the lock (once) and return the id. Raises JournalError when the directory cannot be written."""
        if os.getpid() != self._pid:
            raise JournalError(
                "this journal was opened before a fork", hint="open the journal again in the child process"
            )
        if self._fd >= 0:
            return self.id
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._sweep()
            while self._fd < 0:
                self._fd = self._try_lock()
        except OSError as error:
            raise JournalError(
                f"cannot take the owner's lock in {self._directory}: {error.strerror}",
                hint="the state directory must be writable and on a local file system",
            ) from error
        return self.id

    def alive(self, owner: str) -> bool:
        """Whether the process behind ``owner`` lives. A dead one's lock file is removed."""
        if owner == self.id:
            return self._fd >= 0
        if not _NAME.fullmatch(owner):
            return False
        return not self._clean(self._path(owner))

    def close(self) -> None:
        """Let go of the lock and remove its file."""
        if self._fd >= 0 and os.getpid() == self._pid:
            self._path(self.id).unlink(missing_ok=True)
            os.close(self._fd)
        self._fd = -1

    def forget(self) -> None:
        """In a forked child: close the descriptor and leave the file and the lock to the parent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _path(self, owner: str) -> Path:
        return self._directory / f"{owner}.lock"

    def _try_lock(self) -> int:
        """A sweep by another process may remove the file between its creation and the lock: then -1, try again."""
        path = self._path(self.id)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.stat().st_ino == os.fstat(fd).st_ino:
                return fd
        except (BlockingIOError, FileNotFoundError):
            pass
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        return -1

    def _sweep(self) -> None:
        for path in self._directory.glob("*.lock"):
            if _NAME.fullmatch(path.stem):
                self._clean(path)

    def _clean(self, path: Path) -> bool:
        """Remove a dead owner's file; False when it is alive."""
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            # What cannot be looked at is taken for alive: two drivers are worse than none.
            return error.errno in (errno.ENOENT, errno.ELOOP)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
        except BlockingIOError:
            return False
        except OSError:
            return True  # the lock was free; a file that stays does no harm
        finally:
            os.close(fd)
        return True


_owners: "weakref.WeakSet[Owner]" = weakref.WeakSet()


def _after_fork() -> None:
    for owner in list(_owners):
        owner.forget()


os.register_at_fork(after_in_child=_after_fork)
