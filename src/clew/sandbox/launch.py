"""The engine's side of starting: one fork server per process, and a handshake for every sandbox it forks."""

import os
import select
import signal
import socket
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from clew.core.errors import Failure, UsageError
from clew.gate.ports.sandbox import Mount, Profile

BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from runner.forkserver import main; main(int(sys.argv[2]), int(sys.argv[3]))"
)
UNSAFE = "code cannot be run safely on this machine: "
_START_S = 20.0
_CLOSE_S = 10.0
_MESSAGE_LIMIT = 65536
_JOB_LIMIT = 150_000


Tier = Literal["namespaces", "landlock"]


class Started(NamedTuple):
    """One sandbox's process: its control socket, its workspace's directory, a pidfd, and whom its files belong to."""

    control: socket.socket
    workspace: int
    process: int
    uid: int
    gid: int


class ForkServer:
    """Starts in the constructor; ends when nobody holds it any more, or with this process. Thread-safe."""

    def __init__(self) -> None:
        self.engine = os.getpid()
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                process = _spawn(theirs)
            except BaseException:
                control.close()
                raise
        self.pid = process.pid
        self._control = control
        weakref.finalize(self, _stop, control, process, self.engine)

    def start(self, profile: Profile, tier: Tier) -> Started:
        """Fork a sandbox. Raises Failure (sandbox_unavailable, sandbox_mount), UsageError, ConnectionError when the
        fork server itself is gone."""
        limits = {name: getattr(profile, name) for name in Profile.__struct_fields__ if name != "mounts"}
        job = msgspec.json.encode(
            {"tier": tier, "limits": limits, "mounts": [_resolved(mount) for mount in profile.mounts]}
        )
        if len(job) > _JOB_LIMIT:
            raise UsageError(f"profile: {len(profile.mounts)} mounts are too many")
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                socket.send_fds(self._control, [job], [theirs.fileno()])
            return _ready(control)
        except BaseException:
            control.close()
            raise


def await_end(process: int) -> None:
    """Wait until the process behind a pidfd is gone; kill it when that takes too long. Closes ``process``."""
    try:
        poll = select.poll()
        poll.register(process, select.POLLIN)
        if not poll.poll(_CLOSE_S * 1000):
            signal.pidfd_send_signal(process, signal.SIGKILL)
            poll.poll()
    finally:
        os.close(process)


def unavailable(reason: str, hint: str = "") -> Failure:
    return Failure(f"{UNSAFE}{reason}", code="sandbox_unavailable", hint=hint)


def _spawn(control: socket.socket) -> subprocess.Popen[bytes]:
    if sys.platform != "linux":
        raise unavailable("the native sandbox needs Linux", "use another sandbox backend")
    if not sys.executable:
        raise unavailable("this process has no Python executable to start the runner with")
    here = str(Path(__file__).resolve().parent)
    python = [os.path.realpath(sys.executable), "-s", "-S", "-P", "-B"]
    argv = [*python, "-c", BOOT, here, str(control.fileno()), str(os.getpid())]
    try:
        return subprocess.Popen(  # noqa: S603 - our own program
            argv,
            env={"PYTHONHASHSEED": "0"},  # what is forked shares its seed: then let it be the same every time
            cwd="/",
            pass_fds=(control.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise unavailable(f"the runner cannot be started: {error}") from None


def _stop(control: socket.socket, process: subprocess.Popen[bytes], engine: int) -> None:
    control.close()
    if os.getpid() != engine:
        process.returncode = 0  # a forked copy of the engine: not its child
        return
    try:
        process.wait(_CLOSE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _ready(control: socket.socket) -> Started:
    control.settimeout(_START_S)
    try:
        message, fds, _, _ = socket.recv_fds(control, _MESSAGE_LIMIT, 2)
    except OSError as error:
        raise unavailable(f"the runner does not answer: {error}") from None
    if not message:
        raise ConnectionResetError("the runner ended before it was ready")
    answer: dict[str, Any] = msgspec.json.decode(message)
    if "error" in answer:
        if answer["mount"]:
            raise Failure(answer["error"], code="sandbox_mount", hint=answer["hint"])
        raise unavailable(answer["error"], answer["hint"])
    for fd in fds:
        os.set_inheritable(fd, False)
    return Started(control, fds[0], fds[1], answer["uid"], answer["gid"])


def _resolved(mount: Mount) -> tuple[str, str]:
    return os.path.realpath(mount.source), mount.target or mount.source
