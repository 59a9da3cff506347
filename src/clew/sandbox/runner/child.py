"""The two processes inside: the first of the pid namespace, which sets up and reaps, and the command itself.

When the first process ends, the kernel kills everything else in the namespace: that is how a tree is killed.
"""

import contextlib
import json
import math
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any, NamedTuple

from . import kernel, root, seccomp
from .identity import Identity
from .measure import measure

HOSTNAME = "sandbox"
NAMESPACES = (
    kernel.CLONE_NEWUSER
    | kernel.CLONE_NEWNS
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWCGROUP
)
_DEFAULT_ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": root.WORKSPACE, "LANG": "C.UTF-8"}
_OWN_TASKS = 2
"""The supervisor and the namespace's first process count against RLIMIT_NPROC too."""
_DATA_HEADROOM = 1.25
"""Private memory of one process may pass the limit by this before its allocations fail; the watchdog acts first."""
_SIGNALS_PENDING = 4096
_LOCKED_BYTES = 64 * 1024
_LAST_FD = 2**31 - 1


class Command(NamedTuple):
    """One request, decoded. ``probe``: measure the surroundings instead of running ``argv``."""

    argv: list[str]
    cwd: str
    env: dict[str, str]
    limits: dict[str, Any]
    probe: bool


def run_first(command: Command, identity: Identity, targets: list[str], go: int, status: int) -> None:
    """Body of pid 1; never returns. ``go``: ends when the supervisor is ready (or gone). Reports on ``status``."""
    code = 1
    try:
        kernel.die_with_parent(0)
        if os.read(go, 1) != b"g":
            os._exit(1)
        os.close(go)
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with contextlib.suppress(OSError):  # /proc/sys is read-only in some containers; the filter holds anyway
            Path(root.OLD_PROC, "sys/user/max_user_namespaces").write_text("0")
        with contextlib.suppress(OSError):
            Path(root.OLD_PROC, "self/oom_score_adj").write_text("1000")
        kernel.set_hostname(HOSTNAME)
        root.enter(identity, targets, int(command.limits["workspace"]))
        kernel.drop_privileges()
        kernel.set_dumpable(False)
        _report(status, {"ready": True})
        _report(status, _wait_for(_start(command, status)))
        code = 0
    except BaseException as error:  # the last frame of a process: everything must become a report
        with contextlib.suppress(OSError):
            _report(status, {"failed": f"{type(error).__name__}: {error}"})
    os._exit(code)


def _report(status: int, fact: dict[str, Any]) -> None:
    os.write(status, json.dumps(fact).encode() + b"\n")


def _wait_for(pid: int) -> dict[str, Any]:
    """Reap whatever ends, until the command itself does."""
    while True:
        ended, status, usage = os.wait4(-1, 0)
        if ended == pid:
            return {"exit": status, "max_rss": usage.ru_maxrss * 1024}


def _start(command: Command, status: int) -> int:
    pid = os.fork()
    if pid == 0:
        code = 126
        try:
            _become(command, status)
        except FileNotFoundError as error:
            code = 127
            sys.stderr.write(f"sandbox: cannot run {command.argv[0]!r}: {error.strerror}\n")
        except OSError as error:
            sys.stderr.write(f"sandbox: cannot run {command.argv[0]!r}: {error}\n")
        except BaseException as error:
            sys.stderr.write(f"sandbox: cannot run {command.argv[0]!r}: {type(error).__name__}: {error}\n")
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)
    return pid


def _become(command: Command, status: int) -> None:
    os.close(status)
    os.setsid()
    os.umask(0o022)
    os.chdir(command.cwd)
    env = {**_DEFAULT_ENV, **command.env}
    program = seccomp.assemble(kernel.MACHINE)
    kernel.default_signals()
    os.closerange(3, _LAST_FD)
    _set_limits(command.limits)
    kernel.load_filter(program)
    if command.probe:
        os._exit(measure(command.limits))
    os.execvpe(command.argv[0], command.argv, env)  # noqa: S606 - no shell is the point


def _set_limits(limits: dict[str, Any]) -> None:
    cpu = math.ceil(limits["cpu_s"])
    for which, soft, hard in (
        (resource.RLIMIT_CPU, cpu + 1, cpu + 3),
        (resource.RLIMIT_DATA, int(limits["memory"] * _DATA_HEADROOM), None),
        (resource.RLIMIT_NPROC, limits["processes"] + _OWN_TASKS, None),
        (resource.RLIMIT_NOFILE, limits["open_files"], None),
        (resource.RLIMIT_FSIZE, limits["file_size"], None),
        (resource.RLIMIT_MEMLOCK, _LOCKED_BYTES, None),
        (resource.RLIMIT_MSGQUEUE, 0, None),
        (resource.RLIMIT_SIGPENDING, _SIGNALS_PENDING, None),
        (resource.RLIMIT_NICE, 0, None),
        (resource.RLIMIT_RTPRIO, 0, None),
        # 1, not 0: a limit of 0 does not keep the kernel from piping a core to the host's crash handler (core(5)).
        (resource.RLIMIT_CORE, 1, None),
    ):
        ceiling = resource.getrlimit(which)[1]
        top = hard if hard is not None else soft
        if ceiling != resource.RLIM_INFINITY:
            soft, top = min(soft, ceiling), min(top, ceiling)
        resource.setrlimit(which, (soft, top))
