"""One sandbox: build the skeleton, give up privileges, keep isolated children parked, hand each command to one.

Protocol on the control socket (SOCK_SEQPACKET): the runner answers the job with ``{"ready": …}`` and two
descriptors (the workspace's directory, this process' pidfd), or with ``{"error", "hint"}``. Every further message
carries one connected stream socket, on which a request travels and its answer comes back. End of file means: kill
everything and leave.
"""

import json
import os
import select
import signal
import socket
from typing import Any

from . import bare, cgroup, child, kernel, preload, root, seccomp, supervisor
from .identity import SetupError, drop_to, enter_mount_namespace, unprivileged
from .supervisor import Place

PARKED = 1
"""Isolated children held ready; each is used once."""
_QUIET_MS = 10
"""A used one is replaced when nothing was asked for that long: making one takes time from the command that runs."""


def serve(control: socket.socket, engine: int, job: dict[str, Any]) -> None:
    """Serve one sandbox until the other end of ``control`` is closed or ``engine`` (a pidfd) ends."""
    parent = os.getppid()
    try:
        place, workspace = _prepare(job)
        kernel.die_with_parent(parent)  # once more: becoming another user has undone it
    except SetupError as error:
        _refuse(control, str(error), error.hint, mount=error.mount)
    except Exception as error:  # whatever it is, it is reported and nothing runs
        _refuse(
            control, f"confinement cannot be set up: {error}", "the kernel must allow user namespaces (Linux 5.12+)"
        )
    else:
        preload.forget_finders()
        preload.set_environment(child.environment(place.base))
        ready = json.dumps({"ready": True, "uid": place.identity.uid, "gid": place.identity.gid}).encode()
        myself = os.pidfd_open(os.getpid())
        socket.send_fds(control, [ready], [workspace, myself])
        os.close(workspace)
        os.close(myself)
        _Pool(control, engine, place, job["limits"]).serve()
        if place.base not in ("", bare.CONTAINER):
            bare.remove(place.base)


def _refuse(control: socket.socket, error: str, hint: str, *, mount: bool = False) -> None:
    control.send(json.dumps({"error": error, "hint": hint, "mount": mount}).encode())


def _prepare(job: dict[str, Any]) -> tuple[Place, int]:
    if job["tier"] != "namespaces":
        return _prepare_bare(job)
    identity = enter_mount_namespace()
    group = cgroup.enter(job["groups"], identity)
    mounts = [(source, target) for source, target in job["mounts"]]
    root.build_skeleton(identity, mounts, job["limits"]["workspace"])
    if identity.drop:
        drop_to(identity)
    if 0 in os.getresuid() and identity.uid != 0:
        raise SetupError("still root after the drop")
    root.check_readable(mounts)
    seccomp.program()
    place = Place(identity, [target for _, target in mounts], "", group)
    return place, os.open(root.NEW + root.WORKSPACE, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _prepare_bare(job: dict[str, Any]) -> tuple[Place, int]:
    identity = unprivileged()
    group = cgroup.enter(job["groups"], identity)
    if identity.drop:
        drop_to(identity)
    if 0 in os.getresuid():
        raise SetupError("root, and no way to stop being it", "run the engine as an ordinary user")
    mounts = [(source, target) for source, target in job["mounts"]]
    bare.check(mounts)
    base = bare.CONTAINER if job["tier"] == "container" else bare.make_base()
    seccomp.program(bare=True)
    workspace = os.open(bare.place(base, bare.WORKSPACE), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return Place(identity, [target for _, target in mounts], base, group), workspace


class _Pool:
    """The supervisors of one sandbox, each a child process: parked ones, which know no command yet, and busy ones."""

    def __init__(self, control: socket.socket, engine: int, place: Place, limits: dict[str, Any]) -> None:
        self._control = control
        self._engine = engine
        self._place = place
        self._limits = limits
        self._poll = select.poll()
        self._children: dict[int, int] = {}
        self._parked: dict[int, socket.socket] = {}

    def serve(self) -> None:
        """Until the engine has enough; then nothing is left."""
        self._poll.register(self._control, select.POLLIN)
        self._poll.register(self._engine, select.POLLIN)
        self._park()
        serving = wanted = True
        while serving:
            wanted = wanted and len(self._parked) < PARKED
            events = self._poll.poll(_QUIET_MS if wanted else None)
            if not events:
                self._park()
            for fd, _ in events:
                if fd in self._children:
                    self._reap(fd)
                elif fd == self._engine:
                    serving = False
                else:
                    serving = self._hand_over() and serving
                    wanted = True  # only after use: one that cannot be kept alive is not replaced over and over
        for handover in self._parked.values():
            handover.close()
        for pidfd in self._children:
            if pidfd not in self._parked:
                signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        for pid in self._children.values():
            os.waitpid(pid, 0)

    def _reap(self, pidfd: int) -> None:
        self._poll.unregister(pidfd)
        os.waitpid(self._children.pop(pidfd), 0)
        os.close(pidfd)
        if pidfd in self._parked:
            self._parked.pop(pidfd).close()

    def _hand_over(self) -> bool:
        message, fds, _, _ = socket.recv_fds(self._control, 16, 1)
        for connection in fds:
            if not self._parked:
                self._park()
            pidfd = next(iter(self._parked))
            with self._parked.pop(pidfd) as handover:
                socket.send_fds(handover, [b"r"], [connection])
            os.close(connection)
        return bool(message)

    def _park(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        pid = kernel.fork()
        if pid == 0:
            code = 1
            try:
                kernel.die_with_parent(parent)
                for other in (ours, self._control, *self._parked.values()):
                    other.close()
                supervisor.serve_one(theirs, self._place, self._limits)
                code = 0
            finally:
                os._exit(code)
        theirs.close()
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = pid
        self._parked[pidfd] = ours
        self._poll.register(pidfd, select.POLLIN)
