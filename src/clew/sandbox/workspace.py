"""The engine's side of a workspace: a tmpfs that only a directory descriptor leads to; nothing of it is on disk."""

import ctypes
import errno
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path

from clew.core.errors import Failure, NotFound, UsageError
from clew.gate.beneath import open_regular, parent_beneath, parts_beneath, walk_beneath

_PREFIX = "/workspace"
_CHUNK = 1 << 20
_libc = ctypes.CDLL(None)


class Workspace:
    """Files below ``root`` (a descriptor that this object owns), made for the user that commands run as."""

    def __init__(self, root: int, uid: int, gid: int) -> None:
        self._root = root
        self._uid = uid
        self._gid = gid

    def close(self) -> None:
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def put(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file, replacing what stands there. Raises UsageError, Failure(code="workspace_full")."""
        with (
            _reported(path),
            self._as_owner(),
            parent_beneath(self._open_root(), _relative(path), create=True) as (parent, name),
            self._create(parent, name, mode) as fd,
        ):
            _write_all(fd, data)

    def get(self, path: str, limit: int) -> bytes:
        """Read a regular file of at most ``limit`` bytes. Raises NotFound, UsageError, Failure(code="too_large")."""
        with _reported(path):
            fd = open_regular(self._open_root(), _relative(path))
        try:
            chunks: list[bytes] = []
            left = limit + 1
            while left > 0 and (chunk := os.read(fd, min(left, _CHUNK))):
                chunks.append(chunk)
                left -= len(chunk)
        finally:
            os.close(fd)
        if left <= 0:
            raise Failure(f"{path} is larger than {limit} bytes", code="too_large", hint="ask for a higher limit")
        return b"".join(chunks)

    def put_tree(self, source: Path, target: str, ignore: tuple[str, ...]) -> None:
        """Copy a directory. Links are kept when they lead to something inside ``source``; special files are skipped."""
        if not source.is_dir():
            raise NotFound(f"{source} is not a directory")
        base = "/".join(parts_beneath(_relative(target)))
        inside = source.resolve()
        self._make_directory(base)
        host = os.open(inside, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for found in walk_beneath(host, skip=lambda name: any(fnmatch(name, pattern) for pattern in ignore)):
                there = f"{base}/{found.path}".lstrip("/")
                if found.kind == "directory":
                    self._make_directory(there)
                elif found.kind == "link":
                    self._copy_link(inside / found.path, there, inside)
                else:
                    self._copy_file(host, found.path, there)
        finally:
            os.close(host)

    def _open_root(self) -> int:
        if self._root < 0:
            raise UsageError("the sandbox is closed")
        return self._root

    def _make_directory(self, path: str) -> None:
        with _reported(path), self._as_owner():
            if parts_beneath(path):
                with parent_beneath(self._open_root(), f"{path}/_", create=True):
                    pass

    def _copy_file(self, host: int, path: str, target: str) -> None:
        try:
            source = open_regular(host, path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM):
                raise Failure(f"cannot copy {path}: {error.strerror}", code="unreadable") from None
            return  # gone or became something else since it was listed
        try:
            mode = 0o755 if os.fstat(source).st_mode & 0o100 else 0o644
            with (
                _reported(target),
                self._as_owner(),
                parent_beneath(self._open_root(), target) as (parent, last),
                self._create(parent, last, mode) as fd,
            ):
                while chunk := os.read(source, _CHUNK):
                    _write_all(fd, chunk)
        finally:
            os.close(source)

    def _copy_link(self, link: Path, target: str, inside: Path) -> None:
        try:
            text = str(link.readlink())
            target_of = (link.parent / text).resolve()  # still a link: a circle, for which 3.13 raises nothing
            leads_inside = not text.startswith("/") and target_of.is_relative_to(inside) and not target_of.is_symlink()
        except (OSError, RuntimeError):
            return
        if leads_inside:
            with _reported(target), self._as_owner(), parent_beneath(self._open_root(), target) as (parent, name):
                _remove(parent, name)
                os.symlink(text, name, dir_fd=parent)

    @contextmanager
    def _as_owner(self) -> Generator[None]:
        """For root: make files as the user that commands run as. Its workspace may lie in a user namespace that knows
        no root, so that giving files away afterwards would not do. Holds for this thread alone (setfsuid(2)); a side
        effect is that the process cannot be dumped any more."""
        if os.geteuid() != 0 or self._uid == 0:
            yield
            return
        _libc.setfsgid(self._gid)
        _libc.setfsuid(self._uid)
        try:
            if _libc.setfsuid(-1) != self._uid:
                raise Failure("the sandbox's user cannot be taken on", code="sandbox_failed")
            yield
        finally:
            _libc.setfsuid(0)
            _libc.setfsgid(0)

    @contextmanager
    def _create(self, parent: int, name: str, mode: int) -> Generator[int]:
        _remove(parent, name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(name, flags, mode, dir_fd=parent)
        try:
            yield fd
        finally:
            os.close(fd)


def _relative(path: str) -> str:
    """``/workspace/a`` and ``a`` are the same file."""
    if path == _PREFIX or path.startswith(_PREFIX + "/"):
        return path[len(_PREFIX) :].lstrip("/")
    return path


@contextmanager
def _reported(path: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise NotFound(f"{path}: no such file in the workspace") from None
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Failure("the workspace is full", code="workspace_full", hint="raise Profile.workspace") from None
        if error.errno in (errno.EXDEV, errno.ELOOP):
            raise UsageError(f"{path}: leads out of the workspace", code="outside_root") from None
        raise UsageError(f"{path}: {error.strerror}") from None


def _remove(parent: int, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=parent)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
