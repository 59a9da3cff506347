"""A warm process without event loop, thread or database: it forks a child for each job, and says how the child ended.

One JSON line in, one out. ``after_ms`` kills the child from outside, that long after it began.
"""

import json
import os
import select
import signal
import sys

import driving

from clew.sandbox import native as _native  # noqa: F401 - what the first run would import
from clew.service import wiring as _wiring  # noqa: F401

LIMIT_MS = 20_000


def serve() -> None:
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


def run(job: dict) -> dict:
    """The child's answer with ``signal``: None, or the signal that ended it."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        child(job, writing)
    os.close(writing)
    said, hung = collect(pid, reading, job.get("after_ms"))
    _, status = os.waitpid(pid, 0)
    told = json.loads(said) if said and said.endswith(b"\n") else {}
    if hung:
        told["raised"] = told["traceback"] = f"hung for {LIMIT_MS} ms"
    return {**told, "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None}


def child(job: dict, writing: int) -> None:
    sink = os.open(f"{job['directory']}/stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    told = json.dumps(driving.work(job)).encode() + b"\n"
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(told)
    os._exit(0)


def collect(pid: int, reading: int, after_ms: float | None) -> tuple[bytes, bool]:
    """Everything the child says until it closes the pipe; kills it when its time is over. True: it hung."""
    hung = after_ms is None
    said = b""
    poll = select.poll()
    poll.register(reading, select.POLLIN | select.POLLHUP)
    handle = os.pidfd_open(pid)
    poll.register(handle, select.POLLIN)
    try:
        while True:
            ready = dict(poll.poll(after_ms or LIMIT_MS))
            if not ready:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                return said, hung
            if reading in ready:
                data = os.read(reading, 1 << 20)
                said += data
                if not data:
                    return said, False
            elif handle in ready:
                return said, False
    finally:
        os.close(reading)
        os.close(handle)


if __name__ == "__main__":
    serve()
