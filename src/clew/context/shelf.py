"""Where saved indexes stand: ``<name>/`` folders that are written whole, and ``CURRENT``, which names the one to open."""

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

_NAME = re.compile(r"[0-9]+-[0-9a-f]{8}")
Save = Callable[[Path, Path | None], None]
"""Writes a new folder; the second is what was saved before, if anything."""


def current(base: Path) -> str:
    """Name of the folder that is to be opened; empty: none."""
    try:
        name = (base / "CURRENT").read_text()
        return name if name and "/" not in name and not name.startswith(".") and (base / name).is_dir() else ""
    except (OSError, ValueError):
        return ""


@contextmanager
def locked(base: Path) -> Generator[bool]:
    """True for the one process that may publish now; the operating system frees the lock of one that dies."""
    handle = os.open(base / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def publish(base: Path, prefix: str, save: Save) -> str:
    """Save under a new name and make it the current one, durably; what was current before is removed next time.

    Whoever holds the lock, alone. Raises OSError, and then the current one stays.
    """
    before = current(base)
    for path in base.iterdir():
        if _NAME.fullmatch(path.name) and path.name != before:
            shutil.rmtree(path, ignore_errors=True)
    name = f"{prefix}-{secrets.token_hex(4)}"
    try:
        save(base / name, base / before if before else None)
        for path in (*(base / name).rglob("*"), base / name):
            _sync(path)
        fresh = base / ".CURRENT"
        fresh.write_text(name)
        _sync(fresh)
        fresh.replace(base / "CURRENT")
    except BaseException:
        shutil.rmtree(base / name, ignore_errors=True)
        raise
    _sync(base)
    return name


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
