"""Control groups (Linux ``Documentation/admin-guide/cgroup-v2.rst``) where a subtree was delegated to the engine.

Below it every sandbox has a group, below that its server has one (no group with limits for its children may hold
processes itself) and every command another. A subtree counts as delegated when this user may write to it; root always
may, so for root only when systemd says so (``Delegate=``), or when it is all that can be seen, as in a container.
"""

import contextlib
import os
import time
from pathlib import Path
from typing import Any

from .identity import Identity

_CONTROLLERS = {"memory", "pids"}
_ENABLE = "+memory +pids"
_ENGINE, _SERVER, _PREFIX = "clew-engine", "server", "clew-sandbox-"
_ABANDONED_S = 60
_TMP_LIMITS = (128 << 20, 64 << 20)
_OWN_BYTES = 16 << 20
"""For the first process, page tables and pipes, which count too."""
ENFORCED = {
    "memory": "cgroup memory.max and no swap, for processes, kernel memory and all files together (the limit plus what "
    "/workspace, /tmp and /dev/shm may hold); watchdog, sum over the tree's own every 20 ms; rlimit data per process",
    "processes": "cgroup pids.max",
    "tree": "cgroup.kill",
}
"""What is held better than without."""


def find(engine: int) -> str:
    """The directory below which groups with limits can be made, or "" where there is none.

    Where the engine and this process are alone in what is delegated, both are moved into a group of their own in it.
    """
    try:
        own, top = _own()
        for parent in (own, own.parent) if own != top else (own,):
            if _is_ours(parent, top) and _prepare(parent, {str(engine), str(os.getpid())}):
                _remove_abandoned(parent)
                return str(parent)
    except (OSError, ValueError):
        pass
    return ""


def enter(parent: str, identity: Identity) -> int:
    """Make this sandbox's group, give it to ``identity``, move this process into it. Returns its directory's descriptor.

    To be called before privileges are given up. -1 where it cannot be done, or ``parent`` is "".
    """
    if not parent:
        return -1
    base = Path(parent, f"{_PREFIX}{os.getpid()}")
    try:
        Path(base, _SERVER).mkdir(parents=True)
        _write(base / "cgroup.subtree_control", _ENABLE)
        for place in (base, base / "cgroup.procs"):
            os.chown(place, identity.uid, identity.gid)
        _write(base / _SERVER / "cgroup.procs", "0")
        return os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return -1


def leave(parent: str, pid: int) -> None:
    """Remove the group of the sandbox whose process was ``pid``, and is reaped."""
    _remove(Path(parent, f"{_PREFIX}{pid}"))


class Group:
    """One command's group. Raises OSError when any limit cannot be set. ``sandbox``: see ``enter``."""

    def __init__(self, sandbox: int, limits: dict[str, Any]) -> None:
        self._sandbox, self._name = sandbox, str(os.getpid())
        os.mkdir(self._name, dir_fd=sandbox)
        try:
            self._directory = os.open(self._name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=sandbox)
            files = limits["workspace"] + sum(min(limits["workspace"], most) for most in _TMP_LIMITS)
            self._set("memory.max", str(limits["memory"] + files + _OWN_BYTES))
            self._set("memory.oom.group", "1")
            with contextlib.suppress(FileNotFoundError):  # a kernel that does not account for swap
                self._set("memory.swap.max", "0")
            self._set("pids.max", str(limits["processes"] + 1))
            # Opened now: who opens decides what may be moved, and that is over with a cgroup namespace of one's own.
            self._procs, self._kill = self._open("cgroup.procs"), self._open("cgroup.kill")
        except OSError:
            self.remove()
            raise

    def join(self) -> bool:
        """Move this process, which has one thread, into the group; False when it may not be."""
        try:
            os.write(self._procs, b"0")
        except OSError:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL to all of the group at once, also to what is being forked. Raises OSError."""
        os.write(self._kill, b"1")

    def ran_out_of_memory(self) -> bool:
        fd = os.open("memory.events", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)
        try:
            counts = dict(line.split() for line in os.read(fd, 4096).decode().splitlines())
        finally:
            os.close(fd)
        return int(counts["oom_kill"]) > 0

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            os.rmdir(self._name, dir_fd=self._sandbox)

    def _set(self, name: str, value: str) -> None:
        fd = self._open(name)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)

    def _open(self, name: str) -> int:
        return os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=self._directory)


def _own() -> tuple[Path, Path]:
    """This process' group, and the highest that can be seen. Raises OSError, ValueError."""
    path = next(line[3:] for line in _lines("/proc/self/cgroup") if line.startswith("0::"))
    for line in _lines("/proc/self/mountinfo"):
        fields, _, kind = line.partition(" - ")
        if kind.startswith("cgroup2 "):
            root, point = fields.split()[3:5]
            top = Path(point)
            return top / os.path.relpath(path, root), top
    raise ValueError("no cgroup2 is mounted")


def _is_ours(place: Path, top: Path) -> bool:
    if not os.access(place, os.W_OK) or not set(_read(place / "cgroup.controllers").split()) >= _CONTROLLERS:
        return False
    if os.geteuid() != 0 or place == top:
        return True
    for name in ("user.delegate", "trusted.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(place, name) == b"1":
                return True
    return False


def _prepare(parent: Path, mine: set[str]) -> bool:
    """Have ``parent`` hand the controllers on to its children."""
    control = parent / "cgroup.subtree_control"
    if set(_read(control).split()) >= _CONTROLLERS:
        return True
    inside = set(_read(parent / "cgroup.procs").split())
    if inside and inside <= mine:
        leaf = parent / _ENGINE
        leaf.mkdir(exist_ok=True)
        for pid in inside:
            _write(leaf / "cgroup.procs", pid)
    try:
        _write(control, _ENABLE)
    except OSError:
        return False  # there are others in it
    return True


def _remove_abandoned(parent: Path) -> None:
    """What sandboxes have left whose fork server was killed."""
    for entry in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - entry.stat().st_mtime > _ABANDONED_S:
                _remove(entry)


def _remove(base: Path) -> None:
    """Groups that still have processes stay."""
    with contextlib.suppress(OSError):
        for entry in list(base.iterdir()):
            if entry.is_dir():
                entry.rmdir()
        base.rmdir()


def _lines(path: str) -> list[str]:
    return _read(Path(path)).splitlines()


def _read(path: Path) -> str:
    return path.read_text()


def _write(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
