"""The container's end of the channel: one sandbox of the runner, and its workspace, for the engine outside.

The end of the input means: kill everything, answer what was running, leave. With this process ends the container.
Nothing but the standard library and what travels with this file may be imported here.
"""

import contextlib
import errno
import json
import os
import select
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

from clew.core.errors import ClewError, Failure
from clew.gate.beneath import parent_beneath
from clew.sandbox.docker.frames import FRAME, LENGTH, pack, split
from clew.sandbox.runner import forkserver
from clew.sandbox.workspace import Workspace

_CHUNK = 1 << 16
_STATUS_KEYS = ("Uid", "CapPrm", "CapEff", "CapBnd", "CapAmb", "CapInh", "NoNewPrivs", "Seccomp")
_MEMORY = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_TASKS = ("/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def main() -> NoReturn:
    """Serve the engine at the other end of the standard streams until it closes them."""
    streams = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):
        os.dup2(null, fd)
    os.environ.clear()
    _Agent(_start_fork_server(streams), *streams).serve()
    os._exit(0)


def facts() -> dict[str, Any]:
    """What this container really is, as far as it can be seen from inside."""
    found: dict[str, Any] = {"python": list(sys.version_info[:2]), "tasks": _first(_TASKS), "memory": _first(_MEMORY)}
    for line in Path("/proc/self/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key in _STATUS_KEYS:
            found[key] = value.split()[0]
    found["interfaces"] = [name for _, name in socket.if_nameindex()]
    found["root"] = "writable"
    try:
        Path("/.clew-probe").mkdir()
    except OSError as error:
        found["root"] = "read-only" if error.errno == errno.EROFS else f"errno {error.errno}"
    return found


class _WorkspaceInside(Workspace):
    """With what a tree consists of, one by one: the engine walks it and says what to make."""

    def put_directory(self, path: str) -> None:
        self._make_directory(path)

    def put_link(self, path: str, text: str) -> None:
        with self._as_owner(), parent_beneath(self._open_root(), path, create=True) as (parent, name):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=parent)
            os.symlink(text, name, dir_fd=parent)


class _Agent:
    """Single-threaded: files at once, commands side by side."""

    def __init__(self, server: socket.socket, source: int, sink: int) -> None:
        self._server = server
        self._source = source
        self._sink = sink
        self._control: socket.socket | None = None
        self._workspace = _WorkspaceInside(-1, 0, 0)
        self._running: dict[int, tuple[int, socket.socket, bytearray]] = {}
        self._poll = select.poll()

    def serve(self) -> None:
        """Until the input ends and nothing runs any more."""
        self._poll.register(self._source, select.POLLIN)
        wanted = True
        while wanted or self._running:
            for fd, _ in self._poll.poll():
                if fd in self._running:
                    self._relay(fd)
                elif not self._take():
                    wanted = False
                    self._poll.unregister(fd)
                    if self._control is not None:
                        self._control.close()

    def _take(self) -> bool:
        """Act on one message; False at the end of the input."""
        head = _read(self._source, FRAME.size)
        number, size = FRAME.unpack(head) if len(head) == FRAME.size else (0, 0)
        body = _read(self._source, size)
        if size < LENGTH.size or len(body) < size:
            return False
        text, data = split(body)
        try:
            self._act(number, json.loads(text), data)
        except ClewError as error:
            self._answer(
                number, {"error": error.message, "code": error.code, "hint": error.hint, "kind": type(error).__name__}
            )
        except OSError as error:
            code = "workspace_full" if error.errno in _NO_ROOM else "sandbox_failed"
            self._answer(number, {"error": str(error), "code": code, "hint": "", "kind": "Failure"})
        return True

    def _act(self, number: int, header: dict[str, Any], data: bytes) -> None:
        answer, content = {}, b""
        match header.pop("op"):
            case "execute":
                return self._execute(number, data)
            case "cancel":
                return self._cancel(header["call"])
            case "start":
                answer = self._start(header)
            case "put":
                self._workspace.put(header["path"], data, header["mode"])
            case "get":
                content = self._workspace.get(header["path"], header["limit"])
            case "directory":
                self._workspace.put_directory(header["path"])
            case "link":
                self._workspace.put_link(header["path"], header["text"])
            case unknown:
                raise Failure(f"no such operation: {unknown}", code="sandbox_failed")
        return self._answer(number, answer, content)

    def _start(self, job: dict[str, Any]) -> dict[str, Any]:
        """Have the runner make the sandbox: what it says, or why it does not; then another tier may be tried."""
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(self._server, [json.dumps(job).encode()], [theirs.fileno()])
        message, fds, _, _ = socket.recv_fds(control, _CHUNK, 2)
        said: dict[str, Any] = json.loads(message) if message else {"error": "it ended before it was ready", "hint": ""}
        if "error" in said:
            control.close()
            return {"refused": said["error"], "hint": said["hint"], "mount": said.get("mount", False)}
        self._control = control
        self._workspace = _WorkspaceInside(fds[0], said["uid"], said["gid"])
        os.close(fds[1])
        return {"facts": facts()}

    def _execute(self, number: int, request: bytes) -> None:
        if self._control is None:
            raise Failure("there is no sandbox yet", code="sandbox_failed")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            socket.send_fds(self._control, [b"run"], [theirs.fileno()])
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the answer, if there is one, tells more
            ours.sendall(request)
        self._running[ours.fileno()] = (number, ours, bytearray())
        self._poll.register(ours, select.POLLIN)

    def _cancel(self, call: int) -> None:
        for number, connection, _ in self._running.values():
            if number == call:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_WR)

    def _relay(self, fd: int) -> None:
        number, connection, answer = self._running[fd]
        with contextlib.suppress(ConnectionResetError):
            if chunk := connection.recv(_CHUNK):
                answer += chunk
                return
        self._poll.unregister(fd)
        del self._running[fd]
        connection.close()
        self._answer(number, {}, bytes(answer))

    def _answer(self, number: int, header: dict[str, Any], data: bytes = b"") -> None:
        view = memoryview(pack(number, json.dumps(header).encode(), len(data)) + data)
        while view:
            view = view[os.write(self._sink, view) :]


def _start_fork_server(streams: tuple[int, int]) -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    agent = os.getpid()
    if os.fork() == 0:
        try:
            for fd in (*streams, ours.detach()):
                os.close(fd)
            forkserver.main(theirs.detach(), agent)
        finally:
            os._exit(1)
    theirs.close()
    return ours


def _read(fd: int, size: int) -> bytes:
    data = bytearray()
    while len(data) < size and (chunk := os.read(fd, min(size - len(data), 1 << 20))):
        data += chunk
    return bytes(data)


def _first(paths: tuple[str, ...]) -> str:
    for path in paths:
        with contextlib.suppress(OSError):
            return Path(path).read_text().strip()
    return ""
