"""The runner's main program: build the skeleton, give up privileges, then start one supervisor per command.

Protocol on the control socket (SOCK_SEQPACKET): the engine sends one job (JSON); the runner answers ``{"ready": …}``
with the workspace's directory descriptor, or ``{"error", "hint"}``. Every further message carries one connected
stream socket, on which the request travels and its answer comes back. End of file means: kill everything and leave.
"""

import json
import os
import select
import signal
import socket
import sys
from typing import Any

from . import kernel, root, supervisor
from .identity import Identity, SetupError, drop_to, enter_mount_namespace

_JOB_LIMIT = 1 << 20


def main(control_fd: int) -> None:
    """Serve the engine at the other end of ``control_fd`` until it closes or dies."""
    control = socket.socket(fileno=control_fd)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's ^C is the engine's to handle
    os.umask(0o022)
    job = json.loads(control.recv(_JOB_LIMIT))
    engine = _open_engine(int(job["engine"]))
    try:
        identity, workspace = _prepare(job)
    except SetupError as error:
        _refuse(control, str(error), error.hint, mount=error.mount)
    except Exception as error:  # whatever it is, it is reported and nothing runs
        _refuse(
            control, f"confinement cannot be set up: {error}", "the kernel must allow user namespaces (Linux 5.12+)"
        )
    else:
        _forget_imports()
        ready = json.dumps({"ready": True, "uid": identity.uid, "gid": identity.gid}).encode()
        socket.send_fds(control, [ready], [workspace])
        os.close(workspace)
        _serve(control, engine, job, identity)


def _open_engine(pid: int) -> int:
    engine = os.pidfd_open(pid)
    if os.getppid() != pid:
        os._exit(1)
    return engine


def _refuse(control: socket.socket, error: str, hint: str, *, mount: bool = False) -> None:
    control.send(json.dumps({"error": error, "hint": hint, "mount": mount}).encode())


def _prepare(job: dict[str, Any]) -> tuple[Identity, int]:
    identity = enter_mount_namespace()
    mounts = [(source, target) for source, target in job["mounts"]]
    root.build_skeleton(identity, mounts, job["limits"]["workspace"])
    if identity.drop:
        drop_to(identity)
    if 0 in os.getresuid() and identity.uid != 0:
        raise SetupError("still root after the drop")
    root.check_readable(mounts)
    return identity, os.open(root.NEW + root.WORKSPACE, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _forget_imports() -> None:
    """Nothing may be imported any more: later, paths of the host name files of the sandbox."""
    sys.path.clear()
    sys.meta_path.clear()
    sys.path_hooks.clear()


def _serve(control: socket.socket, engine: int, job: dict[str, Any], identity: Identity) -> None:
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(engine, select.POLLIN)
    children: dict[int, int] = {}
    targets = [target for _, target in job["mounts"]]
    serving = True
    while serving:
        for fd, _ in poll.poll():
            if fd in children:
                poll.unregister(fd)
                os.waitpid(children.pop(fd), 0)
                os.close(fd)
            elif fd == engine:
                serving = False
            else:
                message, fds, _, _ = socket.recv_fds(control, 16, 1)
                if not message:
                    serving = False
                for connection in fds:
                    pidfd, pid = _fork_supervisor(control, connection, identity, targets, job["limits"])
                    children[pidfd] = pid
                    poll.register(pidfd, select.POLLIN)
    for pidfd, pid in children.items():
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        os.waitpid(pid, 0)


def _fork_supervisor(
    control: socket.socket, connection_fd: int, identity: Identity, targets: list[str], limits: dict[str, Any]
) -> tuple[int, int]:
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            kernel.die_with_parent(parent)
            control.close()
            supervisor.serve_one(socket.socket(fileno=connection_fd), identity, targets, limits)
            code = 0
        finally:
            os._exit(code)
    os.close(connection_fd)
    return os.pidfd_open(pid), pid
