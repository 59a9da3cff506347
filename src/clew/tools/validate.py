"""What keeps a tool's paths below its root, and what the file system says in words an agent can use."""

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from clew.core.errors import Failure, UsageError
from clew.gate.beneath import open_beneath, parent_beneath

_CODES = {
    errno.ENOENT: ("not_found", "no such file or directory"),
    errno.ENOTDIR: ("not_found", "a part of the path is not a directory"),
    errno.EISDIR: ("is_directory", "is a directory"),
    errno.EXDEV: ("outside_root", "leads out of the root"),
    errno.ELOOP: ("outside_root", "goes over a link that is not followed"),
    errno.EACCES: ("no_permission", "permission denied"),
    errno.EPERM: ("no_permission", "not permitted"),
    errno.EROFS: ("no_permission", "the file system is read-only"),
    errno.EINVAL: ("special_file", "is not a regular file"),
    errno.ENXIO: ("special_file", "is not a regular file"),
    errno.ENAMETOOLONG: ("invalid_path", "the path is too long"),
    errno.ENOSPC: ("disk_full", "no space left"),
    errno.EDQUOT: ("disk_full", "the quota is used up"),
}


@contextmanager
def opened_root(root: Path) -> Generator[int]:
    """A descriptor of ``root``, the only way by which the file tools reach anything."""
    with file_errors(str(root)):
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def file_errors(path: str) -> Generator[None]:
    """Turn what the file system and path checks raise into Failure: not_found, outside_root, is_directory, …"""
    try:
        yield
    except UsageError as error:
        raise Failure(error.message, code=error.code, hint=error.hint) from None
    except OSError as error:
        code, text = _CODES.get(error.errno or 0, ("io_error", os.strerror(error.errno) if error.errno else str(error)))
        shown = path if len(path) < 200 else path[:200] + "…"
        raise Failure(f"{shown}: {text}", code=code, details={"path": shown}) from None


def confine(root: Path, path: str) -> Path:
    """The real path of ``path`` below ``root``; its last part need not exist.

    For tools that hand a path to another program: what opens files itself uses ``gate.beneath``, which leaves no time
    between check and use. Raises Failure: outside_root, invalid_path, not_found, special_file.
    """
    with opened_root(root) as fd, file_errors(path):
        try:
            return _real(open_beneath(fd, path, os.O_PATH), path)
        except FileNotFoundError:
            with parent_beneath(fd, path) as (parent, name):
                return _real(os.dup(parent), path) / name


def _real(fd: int, path: str) -> Path:
    try:
        mode = os.fstat(fd).st_mode & 0o170000
        if mode not in (0o100000, 0o040000):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
        return Path(f"/proc/self/fd/{fd}").readlink()
    finally:
        os.close(fd)
