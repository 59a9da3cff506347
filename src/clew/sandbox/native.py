"""The ``native`` surroundings: Linux namespaces, seccomp and rlimits; nothing to install, no privilege needed.

One runner process per sandbox holds the read-only skeleton and the workspace (a tmpfs of limited size); each command
gets namespaces of its own from it. When the engine ends in whatever way, the runner ends, and with it every command.
"""

import asyncio
import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

import msgspec

from clew.core.errors import Failure, UsageError
from clew.gate.ports.sandbox import MIB, Capabilities, ExecRequest, ExecResult, Mount, Profile
from clew.sandbox.verdicts import BROKEN, verdicts
from clew.sandbox.workspace import Workspace

_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from runner.server import main; main(int(sys.argv[2]))"
_LENGTH = struct.Struct("!I")
_START_S = 20.0
_CLOSE_S = 10.0
_MESSAGE_LIMIT = 65536
_JOB_LIMIT = 150_000
_UNSAFE_SOURCES = ("/", "/proc", "/sys", "/dev", "/run")
_PROBE_PROFILE = Profile(wall_s=10, cpu_s=5, memory=64 * MIB, processes=8, workspace=1 * MIB, file_size=8 * MIB)


class NativeBackend:
    """``SandboxBackend`` for this machine. Thread-safe; holds nothing but the answer of ``probe``."""

    def __init__(self) -> None:
        self._capabilities: Capabilities | None = None
        self._hint = "see `clew doctor`"
        self._lock = threading.Lock()

    def probe(self) -> Capabilities:
        """Try every layer from inside a sandbox, once (about 0.1 s)."""
        with self._lock:
            if self._capabilities is None:
                self._capabilities = self._try()
            return self._capabilities

    def acquire(self, profile: Profile) -> "NativeSandbox":
        """Open a sandbox (blocks for some 50 ms; the first time for 0.1 s more, to probe).

        Raises Failure(code="sandbox_unavailable") when confinement cannot be had, Failure(code="sandbox_mount") when a
        mount cannot be shown, UsageError when the profile makes no sense.
        """
        _check_profile(profile)
        capabilities = self.probe()
        if not capabilities.usable:
            raise Failure(capabilities.reason, code="sandbox_unavailable", hint=self._hint)
        return NativeSandbox(profile)

    def _try(self) -> Capabilities:
        try:
            sandbox = NativeSandbox(_PROBE_PROFILE)
        except Failure as error:
            self._hint = error.hint
            return Capabilities(name="native", usable=False, reason=error.message)
        try:
            result = sandbox.measure()
        finally:
            sandbox.close()
        if result.status != "OK" or result.rc != 0:
            reason = result.reason or result.stderr.decode("utf-8", "replace") or f"the probe ended with {result.rc}"
            return Capabilities(name="native", usable=False, reason=reason)
        facts: dict[str, Any] = msgspec.json.decode(result.stdout)
        holds = {**result.enforced, **verdicts(facts, _PROBE_PROFILE)}
        broken = [name for name, verdict in holds.items() if verdict.startswith(BROKEN)]
        reason = "; ".join(f"{name}: {holds[name]}" for name in broken)
        return Capabilities(name="native", usable=not broken, reason=reason, holds=holds)


class NativeSandbox:
    """One workspace and the runner that serves it. Use from one event loop at a time; commands may run side by side."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._closed = False
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._runner = _spawn(theirs)
            theirs.close()
            ready, workspace = _hand_shake(self._control, profile)
        except BaseException:
            theirs.close()
            self._control.close()
            if hasattr(self, "_runner"):
                _end(self._runner)
            raise
        self._workspace = Workspace(workspace, ready["uid"], ready["gid"])

    async def execute(self, request: ExecRequest) -> ExecResult:
        """Run one command. Cancelling kills its whole tree, and waits until it is dead."""
        message = _encode(request, probe=False)
        connection = self._connect()
        loop = asyncio.get_running_loop()
        try:
            connection.setblocking(False)
            try:
                answer = await _converse(loop, connection, message)
            except BaseException:
                await _hang_up(loop, connection)
                raise
        finally:
            connection.close()
        return _result(answer, request.argv)

    def measure(self) -> ExecResult:
        """What the surroundings hold, tried from inside; the findings are JSON on stdout. Blocks."""
        connection = self._connect()
        try:
            connection.settimeout(_PROBE_PROFILE.wall_s + _START_S)
            connection.sendall(_encode(ExecRequest(argv=("(measure)",)), probe=True))
            answer = bytearray()
            with contextlib.suppress(TimeoutError):
                while chunk := connection.recv(_MESSAGE_LIMIT):
                    answer += chunk
        finally:
            connection.close()
        return _result(bytes(answer), ("(measure)",))

    def put(self, path: str, data: bytes) -> None:
        """Write a file. Raises UsageError when ``path`` leaves the workspace, Failure(code="workspace_full")."""
        self._workspace.put(path, data)

    def put_tree(self, source: Path, target: str = ".", *, ignore: tuple[str, ...] = ()) -> None:
        """Copy a directory into the workspace; see ``Sandbox.put_tree``."""
        self._workspace.put_tree(source, target, ignore)

    def get(self, path: str, limit: int = 16 * MIB) -> bytes:
        """Read a file. Raises NotFound, UsageError, Failure(code="too_large")."""
        return self._workspace.get(path, limit)

    def close(self) -> None:
        """Kill what still runs, wait for it, and give the workspace's memory back."""
        if not self._closed:
            self._closed = True
            self._control.close()
            self._workspace.close()
            _end(self._runner)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self) -> socket.socket:
        if self._closed:
            raise UsageError("the sandbox is closed")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            socket.send_fds(self._control, [b"run"], [theirs.fileno()])
        except OSError as error:
            ours.close()
            raise Failure(f"the sandbox's runner is gone: {error.strerror}", code="sandbox_lost") from None
        finally:
            theirs.close()
        return ours


def _check_profile(profile: Profile) -> None:
    for name in ("wall_s", "cpu_s", "memory", "processes", "open_files", "file_size", "workspace"):
        if getattr(profile, name) <= 0:
            raise UsageError(f"profile: {name} must be greater than 0")
    if profile.output < 0:
        raise UsageError("profile: output must not be negative")
    for mount in profile.mounts:
        target = mount.target or mount.source
        if "\0" in mount.source + target or not mount.source.startswith("/") or os.path.normpath(target) != target:
            raise UsageError(f"profile: mount {mount.source} at {target}: absolute, normal paths only")
        if not target.startswith("/"):
            raise UsageError(f"profile: mount target {target} is not absolute")
        real = os.path.realpath(mount.source)
        if real in _UNSAFE_SOURCES or real.startswith(("/proc/", "/sys/", "/dev/")):
            raise UsageError(f"profile: mount {mount.source}: the host's {real} is never shown to a sandbox")


def _spawn(control: socket.socket) -> subprocess.Popen[bytes]:
    if sys.platform != "linux":
        raise _unavailable("the native sandbox needs Linux", "use another sandbox backend")
    if not sys.executable:
        raise _unavailable("this process has no Python executable to start the runner with")
    here = str(Path(__file__).resolve().parent)
    argv = [os.path.realpath(sys.executable), "-I", "-S", "-E", "-c", _BOOT, here, str(control.fileno())]
    try:
        return subprocess.Popen(  # noqa: S603 - our own program
            argv,
            env={},
            cwd="/",
            pass_fds=(control.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise _unavailable(f"the runner cannot be started: {error}") from None


def _hand_shake(control: socket.socket, profile: Profile) -> tuple[dict[str, Any], int]:
    limits = {name: getattr(profile, name) for name in Profile.__struct_fields__ if name != "mounts"}
    job = msgspec.json.encode(
        {"engine": os.getpid(), "limits": limits, "mounts": [_resolved(mount) for mount in profile.mounts]}
    )
    if len(job) > _JOB_LIMIT:
        raise UsageError(f"profile: {len(profile.mounts)} mounts are too many")
    control.settimeout(_START_S)
    try:
        control.send(job)
        message, fds, _, _ = socket.recv_fds(control, _MESSAGE_LIMIT, 1)
    except OSError as error:
        raise _unavailable(f"the runner does not answer: {error}") from None
    if not message:
        raise _unavailable("the runner ended before it was ready")
    answer: dict[str, Any] = msgspec.json.decode(message)
    if "error" in answer:
        if answer["mount"]:
            raise Failure(answer["error"], code="sandbox_mount", hint=answer["hint"])
        raise _unavailable(answer["error"], answer["hint"])
    os.set_inheritable(fds[0], False)
    return answer, fds[0]


def _resolved(mount: Mount) -> tuple[str, str]:
    return os.path.realpath(mount.source), mount.target or mount.source


def _unavailable(reason: str, hint: str = "") -> Failure:
    message = f"code cannot be run safely on this machine: {reason}"
    return Failure(message, code="sandbox_unavailable", hint=hint)


def _end(runner: subprocess.Popen[bytes]) -> None:
    try:
        runner.wait(_CLOSE_S)
    except subprocess.TimeoutExpired:
        runner.kill()
        runner.wait()


def _encode(request: ExecRequest, *, probe: bool) -> bytes:
    if not request.argv or not request.argv[0]:
        raise UsageError("argv must name a command")
    for text in (*request.argv, request.cwd, *request.env, *request.env.values()):
        if "\0" in text:
            raise UsageError(f"{text!r} holds a NUL byte")
    if any("=" in name or not name for name in request.env):
        raise UsageError("names of environment variables must not be empty or hold '='")
    if request.wall_s is not None and request.wall_s <= 0:
        raise UsageError("wall_s must be greater than 0")
    header = msgspec.json.encode(
        {
            "argv": request.argv,
            "cwd": request.cwd,
            "env": request.env,
            "wall_s": request.wall_s,
            "stdin": len(request.stdin),
            "probe": probe,
        }
    )
    return _LENGTH.pack(len(header)) + header + request.stdin


async def _converse(loop: asyncio.AbstractEventLoop, connection: socket.socket, message: bytes) -> bytes:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the answer, if there is one, tells more
        await loop.sock_sendall(connection, message)
    answer = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while chunk := await loop.sock_recv(connection, _MESSAGE_LIMIT):
            answer += chunk
    return bytes(answer)


async def _hang_up(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
    """Tell the supervisor to kill the tree; it closes its end when that is done. Further cancels wait for it too."""

    async def wait() -> None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
            while await loop.sock_recv(connection, _MESSAGE_LIMIT):
                pass

    waiting = loop.create_task(wait())
    while not waiting.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(waiting)


def _result(answer: bytes, argv: tuple[str, ...]) -> ExecResult:
    if len(answer) < _LENGTH.size:
        return ExecResult(status="INTERNAL_ERROR", rc=None, reason="the supervisor ended without an answer", cmd=argv)
    start = _LENGTH.size + _LENGTH.unpack_from(answer)[0]
    fields: dict[str, Any] = msgspec.json.decode(answer[_LENGTH.size : start])
    middle = start + fields.pop("stdout")
    end = middle + fields.pop("stderr")
    return ExecResult(**fields, stdout=answer[start:middle], stderr=answer[middle:end], cmd=argv)
