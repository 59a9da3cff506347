"""One process per command, outside the command's pid namespace: sets the stage, feeds, drains, watches, kills, reports."""

import contextlib
import errno
import json
import os
import select
import signal
import socket
import struct
import time
from typing import Any, NamedTuple

from . import bare, cgroup, child, kernel, root
from .identity import INSIDE, Identity, map_ids
from .watchdog import Watchdog

_LENGTH = struct.Struct("!I")
_CHUNK = 65536
_TICK_S = 0.02
_FIRST_TICK_S = 0.005
_SIZE_EVERY = 12
_KILL_S = 2.0
"""How long the first process of a bare tree may take to kill it; then it is killed itself and the rest picked up."""
ENFORCED = {
    "wall": "supervisor kills the pid namespace",
    "cpu": "watchdog, sum over the tree; rlimit per process",
    "memory": "watchdog, sum over the tree every 20 ms; rlimit data per process (no cgroup; files in /workspace, /tmp "
    "and /dev/shm count against their own sizes)",
    "processes": "rlimit nproc, counted per user namespace",
    "open_files": "rlimit nofile per process",
    "file_size": "rlimit fsize",
    "workspace": "tmpfs size and inodes",
    "output": "supervisor keeps the beginning, counts the rest",
    "network": "empty network namespace; seccomp refuses every socket family but AF_UNIX",
    "filesystem": "mount namespace, pivot_root, read-only nosuid nodev",
    "privileges": "user namespace with one id, no capabilities, no_new_privs, seccomp",
    "tree": "pid namespace",
}


class Place(NamedTuple):
    """Where a sandbox's commands run. ``base``: without namespaces, the directory that stands for the root; ``group``: the
    descriptor of its control group, or -1."""

    identity: Identity
    targets: list[str]
    base: str
    group: int = -1


class _Outcome:
    """What became of the command, as far as known."""

    def __init__(self) -> None:
        self.killed = ""
        self.reason = ""
        self.exit: int | None = None
        self.failed = ""
        self.command_rss = 0
        self.started = 0.0
        self.ended = 0.0


class _Drain:
    """One output pipe: the beginning is kept, the rest counted."""

    def __init__(self, fd: int, keep: int) -> None:
        self.fd = fd
        self.keep = keep
        self.data = bytearray()
        self.dropped = 0

    def read(self) -> bool:
        """Take what is there; False at the end."""
        try:
            chunk = os.read(self.fd, _CHUNK)
        except BlockingIOError:
            return True
        room = self.keep - len(self.data)
        self.data += chunk[:room]
        self.dropped += max(0, len(chunk) - room)
        return bool(chunk)


def serve_one(handover: socket.socket, place: Place, limits: dict[str, Any]) -> None:
    """Park a child, wait for a connection, run the request that comes on it, answer.

    The tree is dead before the answer is sent."""
    failure = ""
    supervision = None
    try:
        supervision = _Supervision(place, limits)
    except OSError as error:
        failure = f"setting up: {error}"
    connection = supervision.wait(handover) if supervision else _accept(handover)
    if connection is None:
        return
    output = (b"", b"")
    answer: dict[str, Any] = {"status": "INTERNAL_ERROR", "rc": None, "reason": failure}
    if supervision:
        text = _receive(connection, _LENGTH.unpack(_receive(connection, _LENGTH.size))[0])
        request = json.loads(text)
        stdin = _receive(connection, request["stdin"])
        answer, output = supervision.run(connection, text, stdin, request["wall_s"])
    header = json.dumps({**answer, "stdout": len(output[0]), "stderr": len(output[1])}).encode()
    with contextlib.suppress(OSError):  # the engine is gone or has cancelled
        connection.sendall(_LENGTH.pack(len(header)) + header + output[0] + output[1])
    connection.close()  # at once: leaving takes the namespaces down, and that takes time
    if supervision:
        supervision.close()


def _group(sandbox: int, limits: dict[str, Any]) -> cgroup.Group | None:
    if sandbox < 0:
        return None
    try:
        return cgroup.Group(sandbox, limits)
    except OSError:
        return None


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _accept(handover: socket.socket) -> socket.socket | None:
    fds = socket.recv_fds(handover, 16, 1)[1]
    return socket.socket(fileno=fds[0]) if fds else None


def _receive(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = connection.recv(min(size - len(data), 1 << 20))
        if not chunk:
            os._exit(0)  # cancelled before it was complete
        data += chunk
    return bytes(data)


class _Supervision:
    """Parks a child in the constructor (raises OSError when the namespaces cannot be had), ends with ``run``."""

    def __init__(self, place: Place, limits: dict[str, Any]) -> None:
        self._limits = limits
        self._wall_s = float(limits["wall_s"])
        self._outcome = _Outcome()
        self._base = place.base
        self._facts = bytearray()
        self._stdin = memoryview(b"")
        self._ready = False
        self._cancelled = False
        self._hung_up = False
        self._kill_by = 0.0
        self._looks = 0
        self._group = _group(place.group, limits)
        tasks = 2
        if self._base:
            kernel.adopt_orphans()
            tasks = bare.task_ceiling()
        else:
            kernel.unshare(child.NAMESPACES)
            map_ids(place.identity.uid, place.identity.gid, INSIDE, INSIDE, root.OLD_PROC)
        myself = os.getpid()
        pipes = [os.pipe() for _ in range(5)]
        (stdin_r, self._stdin_fd), (out_r, out_w), (err_r, err_w) = pipes[:3]
        (request_r, self._request_fd), (self._status_fd, status_w) = pipes[3:]
        self._pid = kernel.fork()
        if self._pid == 0:
            if self._group and not self._group.join():
                os.write(status_w, b'{"ungrouped": true}\n')
            for target, fd in enumerate((stdin_r, out_w, err_w)):
                os.dup2(fd, target, inheritable=True)
            for fd in (stdin_r, self._stdin_fd, out_r, out_w, err_r, err_w, self._request_fd, self._status_fd):
                os.close(fd)
            inside = Identity(INSIDE, INSIDE, drop=False)
            stage = child.Stage(inside, place.targets, limits, request_r, status_w, self._base, tasks)
            if self._base:
                child.run_first_bare(stage, myself)
            child.run_first(stage)
        for fd in (stdin_r, out_w, err_w, request_r, status_w):
            os.close(fd)
        kernel.set_dumpable(False)
        self._init = os.pidfd_open(self._pid)
        memory = int(limits["memory"])
        self._watchdog = Watchdog(memory, str(self._pid), self._tree) if self._base else Watchdog(memory)
        keep = int(limits["output"])
        self._drains = {out_r: _Drain(out_r, keep), err_r: _Drain(err_r, keep)}
        self._stdout, self._stderr = self._drains[out_r], self._drains[err_r]
        for fd in (out_r, err_r, self._stdin_fd):
            os.set_blocking(fd, False)

    def wait(self, handover: socket.socket) -> socket.socket | None:
        """Stay parked until there is something to run. None: not needed, or the child was killed meanwhile."""
        poll = select.poll()
        poll.register(handover, select.POLLIN)
        poll.register(self._init, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if handover.fileno() in ready:
                break
            while self._read_status():
                pass
            if not self._outcome.failed and self._outcome.exit is None:
                break
            poll.unregister(self._init)  # it could not be set up: whoever asks shall hear why
        connection = _accept(handover) if handover.fileno() in ready else None
        if connection is None:
            self._kill("KILLED", "")
            os.waitpid(self._pid, 0)
            self._sweep()
            self.close()
        return connection

    def close(self) -> None:
        """Once everything is dead."""
        if self._group:
            self._group.remove()

    def _tree(self) -> list[str]:
        return bare.tree(self._pid)

    def run(
        self, connection: socket.socket, request: bytes, stdin: bytes, wall_s: float | None
    ) -> tuple[dict[str, Any], tuple[bytes, bytes]]:
        """Pass the request on and watch to the end; returns the answer and the outputs."""
        signal.signal(signal.SIGTERM, self._on_terminate)
        self._wall_s = min(wall_s or self._wall_s, self._wall_s)
        self._stdin = memoryview(stdin)
        self._outcome.started = time.monotonic()
        with contextlib.suppress(BrokenPipeError):  # it could not be set up; it has said why
            _write(self._request_fd, request)
        os.close(self._request_fd)
        poll = select.poll()
        for fd in (*self._drains, self._init, self._status_fd):
            poll.register(fd, select.POLLIN)
        poll.register(connection, select.POLLIN)
        poll.register(self._stdin_fd, select.POLLOUT)
        deadline = self._outcome.started + self._wall_s
        next_look = self._outcome.started + _FIRST_TICK_S
        while True:
            now = time.monotonic()
            for fd, _ in poll.poll(max(0.0, min(next_look, deadline) - now) * 1000 + 1):
                if fd == self._init:
                    return self._finish(connection)
                if not self._handle(fd):
                    poll.unregister(fd)
            now = time.monotonic()
            if now >= deadline:
                self._kill("TIMEOUT", f"ran longer than {self._wall_s:g} s")
            if self._cancelled:
                self._kill("KILLED", "cancelled")
            if self._kill_by and now >= self._kill_by:
                self._signal(signal.SIGKILL)
            if now >= next_look:
                next_look = now + _TICK_S
                self._look()

    def _on_terminate(self, *_: object) -> None:
        self._cancelled = True

    def _handle(self, fd: int) -> bool:
        """Serve one descriptor; False when it is done with."""
        if fd in self._drains:
            return self._drains[fd].read()
        if fd == self._status_fd:
            return self._read_status()
        if fd == self._stdin_fd:
            return self._feed()
        self._cancelled = self._hung_up = True  # the engine closed its end, which is its only way to say anything more
        return False

    def _feed(self) -> bool:
        try:
            if self._stdin:
                self._stdin = self._stdin[os.write(self._stdin_fd, self._stdin[:_CHUNK]) :]
            if self._stdin:
                return True
        except BlockingIOError:
            return True
        except OSError as error:
            if error.errno != errno.EPIPE:
                raise
        os.close(self._stdin_fd)
        return False

    def _read_status(self) -> bool:
        chunk = os.read(self._status_fd, _CHUNK)
        self._facts += chunk
        *lines, rest = bytes(self._facts).split(b"\n")
        self._facts = bytearray(rest)
        for line in lines:
            fact = json.loads(line)
            self._ready = self._ready or "ready" in fact
            if "ungrouped" in fact:
                self._group = None
            self._outcome.failed = fact.get("failed", self._outcome.failed)
            if "exit" in fact and not (self._base and self._outcome.killed):
                # without a pid namespace a shell may outlive for a moment what it waited for, and end as if by itself
                self._outcome.exit = fact["exit"]
                self._outcome.command_rss = fact["max_rss"]
        return bool(chunk)

    def _look(self) -> None:
        if not self._ready or self._outcome.killed:
            return
        usage = self._watchdog.sample()
        if usage.cpu_s > self._limits["cpu_s"]:
            self._kill("CPU_LIMIT", f"used more than {self._limits['cpu_s']:g} s of CPU")
        elif usage.memory > self._limits["memory"] and self._watchdog.proportional_memory() > self._limits["memory"]:
            self._kill("MEM_LIMIT", f"used more than {self._limits['memory']} bytes of memory")
        elif self._base:
            self._look_at_what_nothing_limits(usage.processes - 1)

    def _look_at_what_nothing_limits(self, processes: int) -> None:
        self._looks += 1
        if processes > self._limits["processes"]:
            self._kill("KILLED", f"more than {self._limits['processes']} processes")
        elif self._base == bare.CONTAINER or self._looks % _SIZE_EVERY:
            return
        elif bare.size(self._base) > self._limits["workspace"]:
            self._kill("KILLED", f"more than {self._limits['workspace']} bytes in the workspace")

    def _kill(self, status: str, reason: str) -> None:
        if not self._outcome.killed:
            self._outcome.killed, self._outcome.reason = status, reason
            if self._group:
                with contextlib.suppress(OSError):
                    self._group.kill()
            self._signal(signal.SIGTERM if self._base else signal.SIGKILL)
            self._kill_by = time.monotonic() + _KILL_S if self._base else 0.0

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._init, number)

    def _sweep(self) -> None:
        """Without a pid namespace what the first process has killed, or has left behind, comes to us."""
        if self._base and self._group:
            with contextlib.suppress(OSError):
                self._group.kill()
        while self._base:
            for pid in bare.tree(os.getpid())[1:]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return

    def _finish(self, connection: socket.socket) -> tuple[dict[str, Any], tuple[bytes, bytes]]:
        """The first process is gone, so the kernel has killed the others: reap, drain, sum up."""
        usage = os.wait4(self._pid, 0)[2]
        self._sweep()
        if self._hung_up:
            connection.close()  # nobody waits for more than this
        self._outcome.ended = time.monotonic()
        while self._read_status():
            pass
        for drain in self._drains.values():
            os.set_blocking(drain.fd, True)
            while drain.read():
                pass
        status, code, reason = self._classify()
        cpu_s = max(usage.ru_utime + usage.ru_stime, self._watchdog.peak_cpu_s)
        answer = {
            "status": status,
            "rc": code,
            "reason": reason,
            "stdout_dropped": self._stdout.dropped,
            "stderr_dropped": self._stderr.dropped,
            "duration_ms": round((self._outcome.ended - self._outcome.started) * 1000),
            "cpu_ms": round(cpu_s * 1000),
            "max_rss": max(self._watchdog.peak_memory, self._outcome.command_rss),
            "enforced": self._enforced(),
        }
        return answer, (bytes(self._stdout.data), bytes(self._stderr.data))

    def _enforced(self) -> dict[str, str]:
        held = bare.ENFORCED if self._base else ENFORCED
        if not self._group:
            return held
        return {**held, **cgroup.ENFORCED, "tree": f"{held['tree']}; {cgroup.ENFORCED['tree']}"}

    def _classify(self) -> tuple[str, int | None, str]:
        outcome = self._outcome
        if outcome.failed and not outcome.killed:
            return "INTERNAL_ERROR", None, f"setting up: {outcome.failed}"
        if outcome.killed and outcome.exit is None:
            return outcome.killed, None, outcome.reason
        if outcome.exit is None and self._group and self._group.ran_out_of_memory():
            return "MEM_LIMIT", None, f"used more than {self._limits['memory']} bytes of memory"
        if outcome.exit is None:
            return "KILLED", None, "the namespace's first process was killed (out of memory?)"
        if os.WIFEXITED(outcome.exit):
            return "OK", os.WEXITSTATUS(outcome.exit), ""
        number = os.WTERMSIG(outcome.exit)
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        if number == signal.SIGSYS:
            return "DENIED", None, "a system call that the sandbox forbids"
        if number == signal.SIGXCPU:
            return "CPU_LIMIT", None, f"used more than {self._limits['cpu_s']:g} s of CPU"
        return "KILLED", None, f"ended by {name}"
