"""The two processes inside: the first of the pid namespace, which sets up and reaps, and the command itself.

When the first process ends, the kernel kills everything else in the namespace: that is how a tree is killed.
"""

import contextlib
import json
import math
import os
import resource
import signal
from typing import Any, NamedTuple

from . import bare, kernel, landlock, preload, root, seccomp
from .identity import Identity
from .measure import measure, measure_bare

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
_DATA_HEADROOM = 1.25
"""Private memory of one process may pass the limit by this before its allocations fail; the watchdog acts first."""
_SIGNALS_PENDING = 4096
_LOCKED_BYTES = 64 * 1024
_LAST_FD = 2**31 - 1


class Stage(NamedTuple):
    """What a child is parked with. ``request``: where its command will come from; ``status``: where it reports."""

    identity: Identity
    targets: list[str]
    limits: dict[str, Any]
    request: int
    status: int
    base: str = ""
    """Without namespaces: the directory of the host that holds the workspace."""
    other_tasks: int = 2
    """What counts against RLIMIT_NPROC too: the supervisor and the first process, or all that the user runs."""


def run_first(stage: Stage) -> None:
    """Body of pid 1; never returns. Its only child is isolated completely, then waits for its command."""
    code = 1
    try:
        kernel.die_with_parent(0)
        os.setsid()
        with contextlib.suppress(OSError):  # /proc/sys is read-only in some containers; the filter holds anyway
            kernel.write_file(f"{root.OLD_PROC}/sys/user/max_user_namespaces", "0")
        with contextlib.suppress(OSError):
            kernel.write_file(f"{root.OLD_PROC}/self/oom_score_adj", "1000")
        kernel.set_hostname(HOSTNAME)
        root.enter(stage.identity, stage.targets, int(stage.limits["workspace"]))
        kernel.drop_privileges()
        kernel.set_dumpable(False)
        _attend(stage)
        code = 0
    except BaseException as error:  # the last frame of a process: everything must become a report
        with contextlib.suppress(OSError):
            _report(stage.status, {"failed": f"{type(error).__name__}: {error}"})
    os._exit(code)


def run_first_bare(stage: Stage, supervisor: int) -> None:
    """As ``run_first`` where there are no namespaces: what the kernel does at the end of pid 1 is done here."""
    code = 1
    try:
        kernel.tell_of_parents_end(supervisor)
        signal.signal(signal.SIGTERM, _end)
        os.setsid()
        bare.confine_first(stage.base, stage.targets, supervisor)
        kernel.set_dumpable(False)
        try:
            _attend(stage)
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            bare.kill_tree()
        code = 0
    except _EndedError:
        code = 0
    except BaseException as error:  # as above
        with contextlib.suppress(OSError):
            _report(stage.status, {"failed": f"{type(error).__name__}: {error}"})
    os._exit(code)


class _EndedError(BaseException):
    """The supervisor wants an end, or is gone."""


def _end(*_: object) -> None:
    raise _EndedError


def _attend(stage: Stage) -> None:
    pid = _fork_command(stage)
    os.close(stage.request)
    _report(stage.status, {"ready": True})
    _report(stage.status, _wait_for(pid))


def _report(status: int, fact: dict[str, Any]) -> None:
    os.write(status, json.dumps(fact).encode() + b"\n")


def _wait_for(pid: int) -> dict[str, Any]:
    """Reap whatever ends, until the command itself does."""
    while True:
        ended, status, usage = os.wait4(-1, 0)
        if ended == pid:
            return {"exit": status, "max_rss": usage.ru_maxrss * 1024}


def _fork_command(stage: Stage) -> int:
    pid = os.fork()
    if pid == 0:
        code = 126
        name = "the command"
        try:
            request = _confine_and_wait(stage)
            name = repr(request["argv"][0])
            _become(request, stage)
        except FileNotFoundError as error:
            code = 127
            _complain(f"sandbox: cannot run {name}: {error.strerror}\n")
        except OSError as error:
            _complain(f"sandbox: cannot run {name}: {error}\n")
        except BaseException as error:
            _complain(f"sandbox: cannot run {name}: {type(error).__name__}: {error}\n")
        os._exit(code)
    return pid


def _complain(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, text.encode("utf-8", "backslashreplace"))


def _confine_and_wait(stage: Stage) -> dict[str, Any]:
    """The rest of the isolation, then read one JSON text: no byte of the engine comes in before it is complete."""
    os.setsid()
    os.umask(0o022)
    request = os.dup2(stage.request, 3)
    os.closerange(4, _LAST_FD)
    _set_limits(stage.limits, stage.other_tasks)
    if stage.base:
        landlock.restrict_signals()
    kernel.load_filter(seccomp.program(bare=bool(stage.base)))
    data = bytearray()
    while chunk := os.read(request, 65536):
        data += chunk
    os.close(request)
    if not data:
        os._exit(0)  # the supervisor is gone, or had no use for this child
    return json.loads(data)


def environment(base: str) -> dict[str, str]:
    """What every command finds, whether its request names it or not."""
    if not base:
        return _DEFAULT_ENV
    return {**_DEFAULT_ENV, "HOME": bare.place(base, bare.WORKSPACE), "TMPDIR": bare.place(base, bare.TEMPORARY)}


def _become(request: dict[str, Any], stage: Stage) -> None:
    argv, env, cwd = request["argv"], request["env"], request["cwd"]
    if stage.base:
        argv = [bare.real(text, stage.base) for text in argv]
        env = {name: bare.real(text, stage.base) for name, text in env.items()}
        cwd = bare.real(cwd, stage.base)
    os.chdir(cwd)
    if request["probe"]:
        os._exit(measure_bare(stage.base) if stage.base else measure(stage.limits))
    if request["preloaded"]:
        kernel.set_dumpable(True)  # as an executed program is
        preload.run_script(argv, env)
    preload.restore_signals()
    os.execvpe(argv[0], argv, {**environment(stage.base), **env})  # noqa: S606 - no shell is the point


def _set_limits(limits: dict[str, Any], other_tasks: int) -> None:
    cpu = math.ceil(limits["cpu_s"])
    for which, soft, hard in (
        (resource.RLIMIT_CPU, cpu + 1, cpu + 3),
        (resource.RLIMIT_DATA, int(limits["memory"] * _DATA_HEADROOM), None),
        (resource.RLIMIT_NPROC, limits["processes"] + other_tasks, None),
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
