"""The ``native`` surroundings: Linux namespaces, seccomp and rlimits; nothing to install, no privilege needed.

Where namespaces are forbidden: Landlock and seccomp, which hold less; ``Capabilities.holds`` says what is weaker.

A fork server per engine; from it, one process per sandbox that holds the read-only skeleton and the workspace (a tmpfs
of limited size); from that, children with namespaces of their own, parked until a command comes, and used once. When
the engine ends in whatever way, the fork server ends, and with it every command.
"""

import asyncio
import contextlib
import os
import socket
import threading
from pathlib import Path
from typing import Any, Self

import msgspec

from clew.core.errors import Failure, UsageError
from clew.gate.ports.sandbox import MIB, Capabilities, ExecRequest, ExecResult, Profile
from clew.sandbox.launch import UNSAFE, ForkServer, Tier, await_end, unavailable
from clew.sandbox.verdicts import BROKEN, bare_verdicts, verdicts
from clew.sandbox.wire import decode, encode
from clew.sandbox.workspace import Workspace

TIERS: tuple[Tier, ...] = ("namespaces", "landlock")
"""Tried in this order; the first that holds on this machine is used for everything."""
_PROBE_S = 30.0
_MESSAGE_LIMIT = 65536
_UNSAFE_SOURCES = ("/", "/proc", "/sys", "/dev", "/run")
_PROBE_PROFILE = Profile(wall_s=10, cpu_s=5, memory=64 * MIB, processes=8, workspace=1 * MIB, file_size=8 * MIB)


class NativeBackend:
    """``SandboxBackend`` for this machine. Thread-safe; holds a fork server once it was asked for something."""

    def __init__(self, tiers: tuple[Tier, ...] = TIERS) -> None:
        self._tiers = tiers
        self._tier: Tier = tiers[0]
        self._capabilities: Capabilities | None = None
        self._hint = "see `clew doctor`"
        self._lock = threading.Lock()
        self._server_lock = threading.Lock()
        self._server: ForkServer | None = None

    def probe(self) -> Capabilities:
        """Try every layer from inside a sandbox, once (about 0.1 s)."""
        with self._lock:
            if self._capabilities is None:
                self._capabilities = self._try()
            return self._capabilities

    def acquire(self, profile: Profile) -> "NativeSandbox":
        """Open a sandbox (blocks for some 10 ms; the first time for 0.15 s more, to start the fork server and to probe).

        Raises Failure(code="sandbox_unavailable") when confinement cannot be had, Failure(code="sandbox_mount") when a
        mount cannot be shown, UsageError when the profile makes no sense.
        """
        check_profile(profile)
        capabilities = self.probe()
        if not capabilities.usable:
            raise Failure(capabilities.reason, code="sandbox_unavailable", hint=self._hint)
        return self._open(profile, self._tier)

    def _open(self, profile: Profile, tier: Tier) -> "NativeSandbox":
        server = self._fork_server(None)
        try:
            return NativeSandbox(server, profile, tier)
        except ConnectionError:
            server = self._fork_server(server)  # it was killed: once more with a new one
        try:
            return NativeSandbox(server, profile, tier)
        except ConnectionError as error:
            raise unavailable(str(error)) from None

    def _fork_server(self, gone: ForkServer | None) -> ForkServer:
        """The one there is, unless it is ``gone`` or belongs to the process that this one was forked from."""
        with self._server_lock:
            if self._server is None or self._server is gone or self._server.engine != os.getpid():
                self._server = ForkServer()
            return self._server

    def _try(self) -> Capabilities:
        found = [self._try_tier(tier) for tier in self._tiers[:1]]
        while not found[-1].usable and len(found) < len(self._tiers):
            found.append(self._try_tier(self._tiers[len(found)]))
        if found[-1].usable:
            self._tier = self._tiers[len(found) - 1]
            if len(found) > 1:
                why = f"WEAKER: none; {found[0].reason.removeprefix(UNSAFE)} ({self._hint})"
                return msgspec.structs.replace(found[-1], holds={**found[-1].holds, "namespaces": why})
            return found[-1]
        return Capabilities(name="native", usable=False, reason="; ".join(one.reason for one in found))

    def _try_tier(self, tier: Tier) -> Capabilities:
        try:
            sandbox = self._open(_PROBE_PROFILE, tier)
        except Failure as error:
            if tier == self._tiers[0]:
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
        found = verdicts(facts, _PROBE_PROFILE) if tier == "namespaces" else bare_verdicts(facts)
        holds = {"tier": tier, **result.enforced, **found}
        broken = [name for name, verdict in holds.items() if verdict.startswith(BROKEN)]
        reason = "; ".join(f"{name}: {holds[name]}" for name in broken)
        return Capabilities(name="native", usable=not broken, reason=reason, holds=holds)


class NativeSandbox:
    """One workspace and the process that serves it. Use from one event loop at a time; commands may run side by side."""

    def __init__(self, server: ForkServer, profile: Profile, tier: Tier) -> None:
        self._server = server  # which ends when nobody holds it
        self._profile = profile
        self._closed = False
        self._control, workspace, self._process, uid, gid = server.start(profile, tier)
        self._workspace = Workspace(workspace, uid, gid)

    async def execute(self, request: ExecRequest) -> ExecResult:
        """Run one command. Cancelling kills its whole tree, and waits until it is dead."""
        message = encode(request, probe=False)
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
        return decode(answer, request.argv)

    def measure(self) -> ExecResult:
        """What the surroundings hold, tried from inside; the findings are JSON on stdout. Blocks."""
        connection = self._connect()
        try:
            connection.settimeout(_PROBE_S)
            connection.sendall(encode(ExecRequest(argv=("(measure)",)), probe=True))
            answer = bytearray()
            with contextlib.suppress(TimeoutError):
                while chunk := connection.recv(_MESSAGE_LIMIT):
                    answer += chunk
        finally:
            connection.close()
        return decode(bytes(answer), ("(measure)",))

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
            await_end(self._process)

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


def check_profile(profile: Profile) -> None:
    """What every surroundings ask of a profile. Raises UsageError."""
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
