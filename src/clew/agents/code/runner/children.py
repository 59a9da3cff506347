"""Forked children: each in a process group of its own, answering through a pipe, killed by time."""

import contextlib
import os
import resource
import select
import signal
import time
import warnings
from pathlib import Path
from typing import Callable, Dict, List, Optional

READ = 65536


class Child:
    """A forked process that writes to ``pipe``; ``due`` is when it is killed (monotonic seconds)."""

    def __init__(self, pid: int, pipe: int, due: float) -> None:
        self.pid = pid
        self.pipe = pipe
        self.due = due
        self.data = b""
        self.began = time.monotonic()

    def end(self) -> int:
        """Kill what is left of the group, reap, and return the wait status."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)
        os.close(self.pipe)
        return os.waitpid(self.pid, 0)[1]


def spawn(body: Callable[[int], None], wall: float) -> Child:
    """Fork; the child runs ``body(write_fd)`` and exits at once, without any clean-up of the parent's."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 3.12 warns of forks beside threads; the suite may turn that into an error
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setpgid(0, 0)
            os.close(read)
            body(write)
            code = 0
        finally:
            os._exit(code)  # neither atexit nor buffered output of the parent
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)
    os.close(write)
    return Child(pid, read, time.monotonic() + wall)


def wait_any(children: List[Child]) -> Optional[Child]:
    """Wait until one child has closed its pipe (returned, not yet reaped) or is overdue (returned as well)."""
    by_pipe: Dict[int, Child] = {child.pipe: child for child in children}
    while True:
        now = time.monotonic()
        for child in children:
            if child.due <= now:
                return child
        patience = max(0.0, min(child.due for child in children) - now)
        ready, _, _ = select.select(list(by_pipe), [], [], patience)
        for pipe in ready:
            child = by_pipe[pipe]
            chunk = os.read(pipe, READ)
            child.data += chunk
            if not chunk or child.data:
                return child


def limit_cpu(seconds: float) -> None:
    """End the calling process by SIGPROF after ``seconds`` of its CPU time, even inside C code."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, seconds)


def limit_memory(extra: int) -> None:
    """Allow ``extra`` bytes of data on top of what there is now, so that a wild loop fails by itself.

    Data, not address space: of that each thread reserves far more than it ever touches.
    """
    try:
        mapped = int(Path("/proc/self/statm").read_bytes().split()[5]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = mapped + extra
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))


def silence() -> None:
    """Send file descriptors 1 and 2 of the calling process to nowhere, and take 0 from there."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
