"""Projects to run, the command line in this process, and the same in processes of their own."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from clew.cli.app import clew
from clew.testing import one_node, write_project

PATIENCE_S = 30.0

ASKING = """\
workflow:
  id: asking
  nodes:
    - {id: start, kind: deterministic, role: start}
    - {id: both, kind: deterministic, role: branch}
    - {id: sign, kind: deterministic, role: linear, approval: {message: "Sign it?", editable: true}}
    - {id: wait, kind: deterministic, role: linear, handler: "handlers:work"}
    - {id: meet, kind: deterministic, role: merge, handler: "handlers:outputs"}
    - {id: how, kind: deterministic, role: linear, handler: "handlers:ask"}
    - {id: done, kind: deterministic, role: exit}
  edges:
    - {from: start, to: both}
    - {from: both, to: sign}
    - {from: both, to: wait}
    - {from: sign, to: meet}
    - {from: wait, to: meet}
    - {from: meet, to: how}
    - {from: how, to: done}
"""

HANDLERS = '''\
import asyncio
from pathlib import Path


async def work(input, ctx):
    """Waits for a file where the input names one; fails where it says so."""
    input = input or {}
    while input.get("until") and not Path(input["until"]).exists():
        await asyncio.sleep(0.01)
    if input.get("fail"):
        raise RuntimeError("as told")
    return {"got": input, "double": await ctx.effect("double", lambda: 2 * input.get("n", 0))}


async def outputs(input, ctx):
    return [m["output"] for m in input["merge_inputs"]]


async def ask(input, ctx):
    return {"merged": input, "answer": await ctx.ask("How many?", {"type": "integer"})}
'''


class Answer:
    """A finished command: ``code``, ``out``, ``err``."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def __repr__(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"

    def json(self) -> Any:
        return msgspec.json.decode(self.out)

    def document(self, shape: Any) -> Any:
        """The answer as ``shape``; it must hold nothing that the shape does not say."""
        raw = self.json()
        found = msgspec.convert(raw, shape)
        assert msgspec.json.decode(msgspec.json.encode(found)) == raw
        return found


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory and a state of the test's own, and nothing of the caller's settings."""
    for name in [n for n in os.environ if n.startswith("CLEW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CLEW_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return write_project(tmp_path / "plain", one_node("plain", "handlers:work"), HANDLERS)


@pytest.fixture
def asking(tmp_path: Path) -> Path:
    return write_project(tmp_path / "asking", ASKING, HANDLERS)


@pytest.fixture
def cli() -> Callable[..., Answer]:
    """``cli("run", project, …)`` in this process, without a terminal."""

    def call(*args: object, stdin: str | None = None, env: dict[str, str] | None = None) -> Answer:
        result: Result = CliRunner().invoke(clew, [str(a) for a in args], input=stdin, env=env)
        return Answer(result.exit_code, result.stdout, result.stderr)

    return call


class Process:
    """``clew`` in a process of its own, its stderr read line by line."""

    def __init__(self, *args: object) -> None:
        command = [sys.executable, "-m", "clew.cli", *(str(a) for a in args)]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def until(self, text: str) -> str:
        """Read stderr up to a line with ``text``."""
        seen: list[str] = []
        assert self.child.stderr is not None
        for line in self.child.stderr:
            seen.append(line)
            if text in line:
                return "".join(seen)
        raise AssertionError(f"no {text!r} in:\n{''.join(seen)}")

    def end(self) -> Answer:
        out, err = self.child.communicate(timeout=PATIENCE_S)
        return Answer(self.child.returncode, out, err)

    def kill(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
        self.child.communicate()


@pytest.fixture
def process() -> Iterator[Callable[..., Process]]:
    begun: list[Process] = []

    def start(*args: object) -> Process:
        begun.append(Process(*args))
        return begun[-1]

    yield start
    for one in begun:
        one.kill()


class Terminal:
    """``clew`` on a pseudo-terminal."""

    def __init__(self, args: list[str], size: tuple[int, int], env: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        surroundings = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
        surroundings |= {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"} | env
        self.child = subprocess.Popen(
            [sys.executable, "-m", "clew.cli", *args], stdin=slave, stdout=slave, stderr=slave, env=surroundings,
            start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.raw = ""
        self._found = 0

    def until(self, text: str) -> str:
        """Read on until ``text`` is shown, after what the last call found."""
        deadline = time.monotonic() + PATIENCE_S
        while (at := self.plain().find(text, self._found)) < 0:
            if not self._more(deadline):
                raise AssertionError(f"no {text!r} in:\n{self.plain()}")
        self._found = at + len(text)
        return self.plain()

    def send(self, text: str) -> None:
        os.write(self._master, text.encode())

    def end(self) -> int:
        deadline = time.monotonic() + PATIENCE_S
        while self._more(deadline):
            pass
        return self.child.wait(timeout=PATIENCE_S)

    def _more(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux: the other side is closed
            return False
        self.raw += data.decode("utf-8", "replace")
        return bool(data)

    def plain(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", self.raw)

    def close(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        os.close(self._master)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    begun: list[Terminal] = []

    def start(*args: object, size: tuple[int, int] = (100, 30), **env: str) -> Terminal:
        begun.append(Terminal([str(a) for a in args], size, env))
        return begun[-1]

    yield start
    for one in begun:
        one.close()
