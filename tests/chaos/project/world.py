"""The world outside: a log to which every performed effect writes one line, and points at which a test may end the process.

Each process of a trial works in the trial's directory; ``incarnation`` there says the how-manieth it is. Handlers in a
process of their own share the directory and nothing else.
"""

import json
import os
import signal
from pathlib import Path

LOG = "effects.log"
POINTS = "points"
PLAN = "kill-at-point"


def incarnation() -> int:
    return int(Path("incarnation").read_text())


def perform(name: str, idempotency_key: str = "") -> str:
    """One effect on the world. Kill points lie before and behind it: its intent is recorded, its outcome is not yet."""
    _point(f"before {name}")
    write(LOG, {"name": name, "key": idempotency_key, "incarnation": incarnation()})
    _point(f"after {name}")
    return f"did {name}"


def lines(file: str = LOG) -> list[dict]:
    path = Path(file)
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def done(name: str) -> bool:
    return any(line["name"] == name for line in lines())


def write(file: str, line: dict) -> None:
    """Append one line, whole and durable."""
    fd = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, json.dumps(line).encode() + b"\n")
        os.fsync(fd)
    finally:
        os.close(fd)


def _point(name: str) -> None:
    """End this process if the test has planned so for this point, once."""
    try:
        wanted = Path(PLAN).read_text()
    except FileNotFoundError:  # nothing is planned, or another thread is about to end the process
        return
    if wanted == "list":
        write(POINTS, {"point": name})
    elif wanted == name:
        Path(PLAN).unlink()
        os.kill(os.getpid(), signal.SIGKILL)
