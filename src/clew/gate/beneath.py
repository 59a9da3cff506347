"""Open files beneath a directory, whatever links and races the tree below it holds.

``openat2`` with RESOLVE_BENEATH (Linux 5.6, openat2(2)) lets the kernel follow links as long as they stay inside, in
one step with the open, so there is no moment between check and use. Where it is missing, the path is walked with
O_NOFOLLOW and no link is followed at all.
"""

import ctypes
import errno
import os
import platform
import stat
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from clew.core.errors import UsageError

MAX_PATH = 4096
MAX_NAME = 255

_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_BENEATH = 0x08
_RETRIES = 32

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def parts_beneath(path: str) -> tuple[str, ...]:
    """The components of a relative path; empty for the directory itself.

    Raises UsageError for absolute paths, ``..``, NUL, and names or paths that are too long.
    """
    if "\0" in path:
        raise UsageError(f"path {path!r} holds a NUL byte", code="invalid_path")
    if path.startswith("/"):
        raise UsageError(f"path {path!r} is absolute", hint="name it relative to the root", code="outside_root")
    try:
        length = len(os.fsencode(path))
    except UnicodeEncodeError:
        raise UsageError(f"path {path!r} is not text", code="invalid_path") from None
    if length >= MAX_PATH:
        raise UsageError(f"path of {len(path)} characters is too long", hint="at most 4095 bytes", code="invalid_path")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if ".." in parts:
        raise UsageError(f"path {path!r} holds '..'", hint="name it relative to the root", code="outside_root")
    if any(len(os.fsencode(part)) > MAX_NAME for part in parts):
        raise UsageError("a name in the path is longer than 255 bytes", code="invalid_path")
    return parts


def open_beneath(root: int, path: str, flags: int, mode: int = 0) -> int:
    """Open ``path`` (checked by ``parts_beneath``) below the directory ``root``; returns a descriptor.

    Raises OSError; ``EXDEV`` or ``ELOOP`` say that the path leads out of ``root`` (or, without openat2, over a link).
    """
    relative = "/".join(parts_beneath(path)) or "."
    flags |= os.O_CLOEXEC | (0 if flags & os.O_PATH else os.O_NOCTTY)  # openat2 is strict about O_PATH
    how = _OpenHow(flags, mode, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    for _ in range(_RETRIES):
        fd = int(
            _libc.syscall(
                ctypes.c_long(_OPENAT2),
                ctypes.c_int(root),
                ctypes.c_char_p(os.fsencode(relative)),
                ctypes.byref(how),
                ctypes.c_size_t(ctypes.sizeof(how)),
            )
        )
        if fd >= 0:
            return fd
        number = ctypes.get_errno()
        if number == errno.EAGAIN or number == errno.EINTR:  # a rename somewhere raced with the walk
            continue
        if number in (errno.ENOSYS, errno.EPERM) and platform.system() == "Linux":
            return _walk(root, relative, flags, mode)
        raise OSError(number, os.strerror(number), relative)
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), relative)


def open_regular(root: int, path: str, flags: int = os.O_RDONLY) -> int:
    """As ``open_beneath`` for an existing regular file; a FIFO or device is refused (EINVAL) without waiting on it."""
    fd = open_beneath(root, path, flags | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        kind = errno.EISDIR if stat.S_ISDIR(os.fstat(fd).st_mode) else errno.EINVAL
        os.close(fd)
        raise OSError(kind, "not a regular file", path)
    return fd


class Found(NamedTuple):
    """An entry of ``walk_beneath``. ``kind``: ``file``, ``directory``, ``link``; special files are never reported."""

    path: str
    kind: str
    size: int


def walk_beneath(
    root: int, start: str = "", *, skip: Callable[[str], bool] | None = None, most: int = 200_000
) -> Iterator[Found]:
    """Everything below ``start``, a directory's entries before what is below them; no link below is followed.

    ``skip(name)``: leave out an entry and what is below it. Ends after ``most`` entries. Raises OSError for ``start``.
    """
    stack = ["/".join(parts_beneath(start))]
    first = True
    while stack and most > 0:
        folder = stack.pop()
        try:
            entries = _entries(root, folder, 0 if first else os.O_NOFOLLOW)
        except OSError:
            if first:
                raise
            continue  # vanished, unreadable, or became something else meanwhile
        first = False
        deeper: list[str] = []
        for name, status in entries:
            kind = _KINDS.get(stat.S_IFMT(status.st_mode))
            path = f"{folder}/{name}" if folder else name
            if kind is None or (skip is not None and skip(name)) or len(os.fsencode(path)) >= MAX_PATH:
                continue
            most -= 1
            if most < 0:
                return
            yield Found(path, kind, status.st_size)
            if kind == "directory":
                deeper.append(path)
        stack += reversed(deeper)


_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}


def _entries(root: int, folder: str, flags: int) -> list[tuple[str, os.stat_result]]:
    fd = open_beneath(root, folder, os.O_RDONLY | os.O_DIRECTORY | flags)
    try:
        found: list[tuple[str, os.stat_result]] = []
        for name in sorted(os.listdir(fd)):  # noqa: PTH208 - of a descriptor
            with suppress(OSError):
                found.append((name, os.stat(name, dir_fd=fd, follow_symlinks=False)))
        return found
    finally:
        os.close(fd)


@contextmanager
def parent_beneath(root: int, path: str, *, create: bool = False, mode: int = 0o755) -> Generator[tuple[int, str]]:
    """Yield (descriptor of the directory that holds ``path``, last name). ``create`` makes missing directories.

    Raises UsageError when ``path`` is the root itself, OSError as ``open_beneath``.
    """
    parts = parts_beneath(path)
    if not parts:
        raise UsageError(f"path {path!r} is the root directory itself", code="invalid_path")
    if create:
        for depth in range(1, len(parts)):
            _make_directory(root, "/".join(parts[:depth]), mode)
    directory = open_beneath(root, "/".join(parts[:-1]) or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield directory, parts[-1]
    finally:
        os.close(directory)


def _make_directory(root: int, path: str, mode: int) -> None:
    head, _, name = path.rpartition("/")
    parent = open_beneath(root, head or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(FileExistsError):
            os.mkdir(name, mode, dir_fd=parent)
    finally:
        os.close(parent)


def _walk(root: int, relative: str, flags: int, mode: int) -> int:
    directory = os.dup(root)
    try:
        *heads, last = relative.split("/")
        for head in heads:
            deeper = os.open(head, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
            os.close(directory)
            directory = deeper
        return os.open(last, flags | os.O_NOFOLLOW, mode, dir_fd=directory)
    finally:
        os.close(directory)
