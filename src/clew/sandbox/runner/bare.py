"""The tier without namespaces: Landlock for files and signals, seccomp for the rest, the host's own root and pids.

Weaker than namespaces, and ``ENFORCED`` says so: names and sizes of the host's files can be found out, the workspace
is a directory of the host, and nothing but a scan limits its size. The first process shares a Landlock domain with
nobody but the command, which it puts into a second one. So ``kill(-1)`` by it reaches the whole tree, at once and
nothing else, and no signal of the tree reaches it.
"""

import fcntl
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

from . import kernel, landlock
from .identity import SetupError

WORKSPACE = "workspace"
TEMPORARY = "tmp"
CONTAINER = "/"
"""For ``base``: a container of its own has /workspace and /tmp where they belong, each of limited size."""
_PARENT = "/tmp"  # noqa: S108 - made unguessable and private below
_READ = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/ld.so.cache", "/etc/ld.so.conf"),
    *("/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime", "/etc/timezone", "/etc/mime.types", "/etc/ssl/certs"),
)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_DEEP = 3000
"""Characters of a path; PATH_MAX is 4096."""
_KEPT = 200
"""Folders that a removal goes down before it lifts what is below up to the top."""
_INODE_BYTES = 4096
_OURS = re.compile("clew-[0-9a-f]{24}")
_ABANDONED_S = 60
_SPARE_TASKS = 1024
_INSIDE = re.compile(r"(?<![^=:, ])/workspace(?=[/:, ]|$)")


def check(mounts: list[tuple[str, str]]) -> None:
    """Raises SetupError for a kernel or mounts with which it cannot be done."""
    found = landlock.abi()
    if found < landlock.NEEDED_ABI:
        raise SetupError(
            f"Landlock ABI {landlock.NEEDED_ABI} is needed, this kernel has {found}", "Linux 6.12 or later"
        )
    for source, target in mounts:
        if os.path.realpath(target) != source:
            raise SetupError(
                f"mount {source} at {target}: without namespaces nothing can be shown at another place",
                "mount it where it is",
                mount=True,
            )
        if not os.access(source, os.R_OK):
            raise SetupError(
                f"mount {source}: not readable by the sandbox's user (uid {os.getuid()})",
                f"commands never run as root; chmod -R o+rX {source} and open the folders above it",
                mount=True,
            )


def make_base() -> str:
    """Make the directory that stands for the root; returns its path."""
    _remove_abandoned()
    base = f"{_PARENT}/clew-{os.urandom(12).hex()}"
    for folder in (base, f"{base}/{WORKSPACE}", f"{base}/{TEMPORARY}"):
        Path(folder).mkdir(mode=0o700)
    _lock(base)
    return base


def _lock(base: str) -> bool:
    """Mark ``base`` as in use for as long as this process lives; False when it is in use already."""
    try:
        fcntl.flock(
            os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC), fcntl.LOCK_EX | fcntl.LOCK_NB
        )
    except OSError:
        return False
    return True


def _remove_abandoned() -> None:
    """What sandboxes have left whose process was killed."""
    for entry in os.scandir(_PARENT):
        if _OURS.fullmatch(entry.name):
            try:
                status = entry.stat(follow_symlinks=False)
                if status.st_uid == os.getuid() and time.time() - status.st_mtime > _ABANDONED_S and _lock(entry.path):
                    remove(entry.path)
            except OSError:
                continue


def remove(base: str) -> None:
    """Take the directory away, however deep its content is."""
    up = [os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)]
    names: list[str] = []
    while up:
        inner = None
        with os.scandir(up[-1]) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    inner = entry.name
                    break
                os.unlink(entry.name, dir_fd=up[-1])
        if inner is not None:
            os.chmod(inner, 0o700, dir_fd=up[-1])
            if len(names) % _KEPT == _KEPT - 1:
                os.rename(inner, f"{base}/{os.urandom(12).hex()}", src_dir_fd=up[-1])  # shallow again
                continue
            up.append(os.open(inner, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=up[-1]))
            names.append(inner)
            continue
        os.close(up.pop())
        if names:
            os.rmdir(names.pop(), dir_fd=up[-1])
    Path(base).rmdir()


def size(base: str) -> int:
    """Bytes on disk below ``base`` as far as a walk finds them; what is too deep to be looked at counts as endless."""
    total = 0
    waiting = [base]
    while waiting:
        folder = waiting.pop()
        if len(folder) > _DEEP:
            return sys.maxsize
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    total += max(_INODE_BYTES, entry.stat(follow_symlinks=False).st_blocks * 512)
        except OSError:
            continue
    return total


def real(text: str, base: str) -> str:
    """``text`` with /workspace replaced by where it really is."""
    return text if base == CONTAINER else _INSIDE.sub(place(base, WORKSPACE), text)


def place(base: str, name: str) -> str:
    return f"{base.rstrip('/')}/{name}"


def confine_first(base: str, targets: list[str], supervisor: int) -> None:
    """For the first process. Raises OSError when a layer is missing, also when signals still reach ``supervisor``."""
    kernel.adopt_orphans()
    kernel.write_file("/proc/self/oom_score_adj", "1000")
    kernel.drop_capabilities()
    landlock.restrict(
        [(path, landlock.READ) for path in (*_READ, *targets)]
        + [(path, landlock.DEVICE) for path in _DEVICES]
        + [(place(base, name), landlock.WRITE) for name in (WORKSPACE, TEMPORARY)]
    )
    _prove_scope(supervisor)


def kill_tree() -> None:
    """From the first process, after ``confine_first``: SIGKILL to all others of its domain, in one step."""
    try:
        os.kill(-1, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # there was nobody


def _prove_scope(supervisor: int) -> None:
    """A domain is for good: what holds now holds at the end, when there may be no supervisor to try it on."""
    try:
        os.kill(supervisor, 0)
    except PermissionError:
        return
    raise OSError(1, "Landlock does not keep signals inside")


def tree(first: int) -> list[str]:
    """Every descendant of ``first``, seen from outside."""
    found: list[str] = []
    waiting = [str(first)]
    while waiting:
        pid = waiting.pop()
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - 50 times a second
                with open(f"/proc/{pid}/task/{thread}/children") as file:  # noqa: PTH123
                    waiting += file.read().split()
        except OSError:
            pass
        found.append(pid)
    return found


def task_ceiling() -> int:
    """What RLIMIT_NPROC may be besides a command's own processes, as it counts all threads of the user in the system.

    The user's others come and go while a child is parked and its command runs: no fork may fail because of them, so
    that the limit itself is left to the watchdog, and this one only ends a burst between two of its looks.
    """
    mine = os.getuid()
    count = _SPARE_TASKS
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                if entry.stat().st_uid == mine:
                    count += len(os.listdir(f"/proc/{entry.name}/task"))  # noqa: PTH208
            except OSError:
                continue
    return count


ENFORCED: dict[str, Any] = {
    "wall": "supervisor has the first process kill its Landlock domain",
    "cpu": "watchdog, sum over the tree; rlimit per process",
    "memory": "watchdog, sum over the tree every 20 ms; rlimit data per process",
    "processes": "WEAKER: watchdog over the tree every 20 ms; rlimit nproc, counted over all of the user's processes and "
    f"with {_SPARE_TASKS} to spare",
    "open_files": "rlimit nofile per process",
    "file_size": "rlimit fsize",
    "workspace": "WEAKER: a directory of the host; its size is looked at four times a second, deleted open files are not",
    "output": "supervisor keeps the beginning, counts the rest",
    "network": "seccomp refuses every socket but connected pairs; Landlock refuses TCP",
    "filesystem": "WEAKER: Landlock on the host's own root; names and sizes of other files can be found out; no /proc, "
    "no /tmp but TMPDIR, no /workspace but the one named in arguments, environment and folder of a command",
    "privileges": "no capabilities, no_new_privs, seccomp; WEAKER: an ordinary user's own uid, so modes, owners, times "
    "and attributes of files cannot be changed at all",
    "tree": "Landlock signal scope, orphans adopted",
}
