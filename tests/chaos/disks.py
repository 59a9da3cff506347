"""Disks that are too small: a tmpfs of a given size that only this process and its children see, and a limit on file sizes."""

import ctypes
import json
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x00020000
_PRIVATE, _RECURSIVE, _REMOUNT = 1 << 18, 1 << 14, 32
_libc = ctypes.CDLL(None, use_errno=True)


def small_disk(directory: Path, size: int) -> None:
    """Mount a tmpfs of ``size`` bytes on ``directory``, in user and mount namespaces of this process. Raises OSError."""
    uid, gid = os.geteuid(), os.getegid()
    _checked(_libc.unshare(_NEW_USER | _NEW_MOUNTS))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    _checked(_libc.mount(b"none", b"/", None, _PRIVATE | _RECURSIVE, None))
    _mount(directory, size, 0)


def resize(directory: Path, size: int) -> None:
    """Give the small disk another size."""
    _mount(directory, size, _REMOUNT)


def _mount(directory: Path, size: int, flags: int) -> None:
    _checked(_libc.mount(b"tmpfs", os.fsencode(directory), b"tmpfs", flags, f"size={size},mode=700".encode()))


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def limit_files(size: int) -> None:
    """No file of this process may grow beyond ``size``: writes fail with EFBIG."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def in_child(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What ``call`` returns in a forked child."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(json.dumps(call()).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return json.loads(said)
