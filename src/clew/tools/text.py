"""Files as text, read and written below a root in one piece."""

import hashlib
import os
import secrets
import stat
from contextlib import suppress

from clew.core.errors import Failure
from clew.gate.beneath import open_regular, parent_beneath

READ_LIMIT = 4 * 1024 * 1024
WRITE_LIMIT = 4 * 1024 * 1024
_CHUNK = 1 << 20
_BINARY_PROBE = 8192


def read_bytes(root: int, path: str, limit: int = READ_LIMIT) -> bytes:
    """Raises OSError as ``open_regular``, Failure(code="too_large")."""
    fd = open_regular(root, path)
    try:
        size = os.fstat(fd).st_size
        data = bytearray()
        while len(data) <= limit and (chunk := os.read(fd, _CHUNK)):
            data += chunk
    finally:
        os.close(fd)
    if len(data) > limit:
        raise Failure(f"{path}: {max(size, len(data))} bytes, more than the {limit} that can be read", code="too_large")
    return bytes(data)


def decode(data: bytes, path: str) -> str:
    """Raises Failure(code="binary_file") for what is not UTF-8 text."""
    if b"\0" not in data[:_BINARY_PROBE]:
        with suppress(UnicodeDecodeError):
            return data.decode("utf-8")
    raise Failure(f"{path}: not UTF-8 text", code="binary_file", details={"path": path, "size": len(data)})


def split_lines(text: str) -> list[str]:
    """Lines with their ends; only ``\\n`` ends a line, as for patches and editors (not form feed or U+2028)."""
    lines = text.split("\n")
    last = lines.pop()
    return [line + "\n" for line in lines] + ([last] if last else [])


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Replacement:
    """New content of one file, written beside it and not yet in its place; ``commit`` renames, ``discard`` forgets."""

    def __init__(self, root: int, path: str, data: bytes, *, executable: bool | None = None) -> None:
        self._path = path
        with parent_beneath(root, path, create=True) as (parent, name):
            self._parent = os.dup(parent)
        self._name = name
        self._temporary = f".{name[:200]}.{secrets.token_hex(8)}"
        try:
            self._write(data, self._present_mode(), executable)
        except BaseException:
            self.discard()
            raise

    def commit(self) -> None:
        """Put the new content in place, atomically, and make it durable."""
        os.rename(self._temporary, self._name, src_dir_fd=self._parent, dst_dir_fd=self._parent)
        os.fsync(self._parent)
        os.close(self._parent)
        self._parent = -1

    def discard(self) -> None:
        if self._parent >= 0:
            with suppress(FileNotFoundError):
                os.unlink(self._temporary, dir_fd=self._parent)
            os.close(self._parent)
            self._parent = -1

    def _present_mode(self) -> int | None:
        try:
            status = os.stat(self._name, dir_fd=self._parent, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if stat.S_ISLNK(status.st_mode):
            raise Failure(f"{self._path}: is a link", code="is_link", hint="write to the file that it points to")
        if stat.S_ISDIR(status.st_mode):
            raise Failure(f"{self._path}: is a directory", code="is_directory")
        if not stat.S_ISREG(status.st_mode):
            raise Failure(f"{self._path}: is not a regular file", code="special_file")
        return stat.S_IMODE(status.st_mode) & 0o777

    def _write(self, data: bytes, mode: int | None, executable: bool | None) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(self._temporary, flags, 0o666, dir_fd=self._parent)
        try:
            if mode is None:
                mode = stat.S_IMODE(os.fstat(fd).st_mode)
            if executable is not None:
                mode = mode | (mode & 0o444) >> 2 if executable else mode & ~0o111
            os.fchmod(fd, mode)
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        finally:
            os.close(fd)
