"""The fork server: one process per engine, with a preloaded interpreter and a single thread, that forks the others.

Protocol on the control socket (SOCK_SEQPACKET): every message is a sandbox's job (JSON) and carries that sandbox's
own control socket; see ``server`` for what is said there. End of file, or the engine's end, means: leave. All
sandboxes end with their fork server.
"""

import gc
import json
import os
import select
import socket
from typing import Any

from . import cgroup, kernel, preload, server

_JOB_LIMIT = 1 << 20


def main(control_fd: int, engine_pid: int) -> None:
    """Serve the engine at the other end of ``control_fd`` until it closes or dies."""
    control = socket.socket(fileno=control_fd)
    kernel.default_signals()
    preload.ignore_signals()
    os.umask(0o022)
    engine = os.pidfd_open(engine_pid)
    if os.getppid() != engine_pid:
        os._exit(1)
    kernel.erase_arguments()
    preload.load()
    gc.collect()
    gc.freeze()  # whatever a script collects later leaves these objects, and so the shared pages, alone
    gc.disable()  # until there is a script: what we make on the way to it is little
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(engine, select.POLLIN)
    groups = cgroup.find(engine_pid)
    children: dict[int, int] = {}
    while True:
        for fd, _ in poll.poll():
            if fd in children:
                poll.unregister(fd)
                ended = children.pop(fd)
                os.waitpid(ended, 0)
                os.close(fd)
                if groups:
                    cgroup.leave(groups, ended)
                continue
            message, fds, _, _ = socket.recv_fds(control, _JOB_LIMIT, 1) if fd != engine else (b"", [], 0, None)
            if not message or not fds:
                return
            ours = [control.fileno(), *children]
            pid = _fork_sandbox({**json.loads(message), "groups": groups}, fds[0], engine, ours)
            pidfd = os.pidfd_open(pid)
            children[pidfd] = pid
            poll.register(pidfd, select.POLLIN)


def _fork_sandbox(job: dict[str, Any], control_fd: int, engine: int, ours: list[int]) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            kernel.die_with_parent(parent)
            for fd in ours:
                os.close(fd)
            server.serve(socket.socket(fileno=control_fd), engine, job)
            code = 0
        finally:
            os._exit(code)
    os.close(control_fd)
    return pid
