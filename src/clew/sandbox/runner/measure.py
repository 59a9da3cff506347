"""What a command in the surroundings can really do, tried out from inside under the filter and all limits."""

import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import kernel

_STATUS_KEYS = ("CapPrm", "CapEff", "CapBnd", "CapAmb", "CapInh", "NoNewPrivs", "Seccomp", "Uid", "Gid")
_CHUNK = bytes(65536)


def measure(limits: dict[str, Any]) -> int:
    """Print the findings as JSON; returns an exit code. Runs in place of the command."""
    kernel.set_dumpable(True)  # as an executed program is: without it the process may not look at its own /proc
    facts: dict[str, Any] = {}
    for line in Path("/proc/self/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key in _STATUS_KEYS:
            facts[key] = value.split()[0]
    facts["namespaces"] = {link.name: str(link.readlink()) for link in Path("/proc/self/ns").iterdir()}
    facts["processes_visible"] = sum(entry.name.isdigit() for entry in Path("/proc").iterdir())
    facts["root"] = sorted(entry.name for entry in Path("/").iterdir())
    attempts: dict[str, Callable[[], object]] = {
        "inet_socket": lambda: socket.socket(socket.AF_INET).close(),
        "packet_socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
        "vsock_socket": lambda: socket.socket(socket.AF_VSOCK).close(),
        "new_user_namespace": lambda: kernel.unshare(kernel.CLONE_NEWUSER),
        "mount": lambda: kernel.mount("tmpfs", "/tmp", "tmpfs", 0),  # noqa: S108
        "write_root": lambda: Path("/probe").mkdir(),
        "write_usr": lambda: Path("/usr/.probe").touch(),
        "become_root": lambda: os.setresuid(0, 0, 0),
    }
    facts["attempts"] = {name: _outcome(attempt) for name, attempt in attempts.items()}
    facts["forks"] = _count_forks(int(limits["processes"]) + 8)
    facts["workspace_bytes"] = _fill("/workspace/.probe", 2 * int(limits["workspace"]))
    sys.stdout.write(json.dumps(facts))
    sys.stdout.flush()
    return 0


def measure_bare(base: str) -> int:
    """As ``measure`` where the host's root and uid are shared."""
    facts: dict[str, Any] = {"filtered": kernel.is_filtered(), "Uid": str(os.getuid())}
    pair = socket.socketpair()
    attempts: dict[str, Callable[[], object]] = {
        "unix_socket": lambda: socket.socket(socket.AF_UNIX).close(),
        "inet_socket": lambda: socket.socket(socket.AF_INET).close(),
        "vsock_socket": lambda: socket.socket(socket.AF_VSOCK).close(),
        "datagram_pair": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
        "connect_a_pair": lambda: pair[0].connect("/"),
        "list_root": lambda: os.scandir("/").close(),
        "read_passwd": lambda: Path("/etc/passwd").read_bytes(),
        "read_proc": lambda: Path("/proc/self/status").read_bytes(),
        "list_neighbours": lambda: os.scandir(Path(base).parent).close(),
        "write_tmp": lambda: Path(f"{base}-probe").mkdir(),
        "chmod": lambda: Path(base).chmod(0o777),
        "signal_first_process": lambda: os.kill(os.getppid(), 0),
        "signal_init": lambda: os.kill(1, 0),
        "new_user_namespace": lambda: kernel.unshare(kernel.CLONE_NEWUSER),
        "become_root": lambda: os.setresuid(0, 0, 0),
    }
    facts["attempts"] = {name: _outcome(attempt) for name, attempt in attempts.items()}
    sys.stdout.write(json.dumps(facts))
    sys.stdout.flush()
    return 0


def _outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return f"errno {error.errno}"
    return "allowed"


def _count_forks(most: int) -> int:
    """How many tasks may live at once, this one included."""
    made: list[int] = []
    try:
        for _ in range(most):
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            made.append(pid)
    except OSError:
        pass
    for pid in made:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return len(made) + 1


def _fill(path: str, most: int) -> int:
    written = 0
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        while written < most:
            written += os.write(fd, _CHUNK)
    except OSError:
        pass
    os.close(fd)
    Path(path).unlink()
    return written
