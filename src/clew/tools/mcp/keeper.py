"""Runs one MCP server and lets nothing of it outlive the engine. A program of its own; the standard library is all it needs.

``python -I -S keeper.py LIFE COMMAND …``: LIFE is the reading end of a pipe whose other end only the engine holds, so that it
closes with the engine, however that dies. Then, and when the server ends by itself, every process that came from it is killed;
orphans come to the keeper (it is their subreaper), so that what daemonised is found too. Ends with the server's exit code.
"""

import ctypes
import os
import select
import signal
import sys
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_TERM_MS = 1000
"""What a server has to end by itself after SIGTERM."""
_NOT_STARTED = 127


def main() -> int:
    life, command = int(sys.argv[1]), sys.argv[2:]
    os.set_inheritable(life, False)
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    server = os.fork()
    if server == 0:
        os.setpgid(0, 0)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        _become(command)
    _let_go()
    poll, ended = select.poll(), os.pidfd_open(server)
    poll.register(ended, select.POLLIN)
    poll.register(life, select.POLLIN)
    if all(fd != ended for fd, _ in poll.poll()):
        with suppress(OSError):
            os.killpg(server, signal.SIGTERM)
        poll.unregister(life)
        poll.poll(_TERM_MS)
    _kill(server)
    _, status = os.waitpid(server, 0)
    while children := _children():
        for child in children:
            _kill(child)
            with suppress(ChildProcessError):
                os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _become(command: list[str]) -> None:
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell: a command is a list
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    os._exit(_NOT_STARTED)


def _let_go() -> None:
    """The pipes are the server's alone: their ends must be seen when it closes them."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)


def _children() -> list[int]:
    own = os.getpid()
    found: list[int] = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib costs more than all the rest here
        if name.isdigit():
            with suppress(OSError, ValueError, IndexError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                if int(file.read().rpartition(b")")[2].split()[1]) == own:
                    found.append(int(name))
    return found


def _kill(process: int) -> None:
    with suppress(OSError):
        os.kill(process, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
