"""Two processes on one state directory: one drives a run, the other is heard, and takes over when the first is gone."""

import json
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from deeds import DEED

CHAOS = Path(__file__).parents[1] / "chaos"

WORKFLOW = """
workflow:
  id: shared
  nodes:
    - {id: start, kind: deterministic, role: start}
    - {id: first, kind: deterministic, role: linear, handler: "shared:first"}
    - {id: asks, kind: deterministic, role: linear, handler: "shared:asks"}
    - {id: last, kind: deterministic, role: linear, handler: "shared:last"}
    - {id: done, kind: deterministic, role: exit}
    - {id: quick, kind: deterministic, role: start, default: true}
    - {id: work, kind: deterministic, role: linear, handler: "shared:first"}
  edges:
    - {from: start, to: first}
    - {from: first, to: asks}
    - {from: asks, to: last}
    - {from: last, to: done}
    - {from: quick, to: work}
    - {from: work, to: done}
"""

HANDLERS = f"""{DEED}

def first(value, ctx):
    return ctx.effect("first", deed, f"first {{value}}")


async def asks(value, ctx):
    return await ctx.ask("how many?", {{"type": "integer"}})


def last(value, ctx):
    return ctx.effect("last", deed, f"last {{value}}")
"""


class Remote(Exception):
    """An error of the other process."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(told["message"])
        self.kind, self.code = told["error"], told["code"]


class Process:
    """A puppet and the pipe to it."""

    def __init__(self, directory: Path) -> None:
        command = [sys.executable, str(CHAOS / "puppet.py"), str(directory / "project"), str(directory / "state")]
        self._process = subprocess.Popen(
            command, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def send(self, *command: Any) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def receive(self) -> Any:
        assert self._process.stdout
        told = json.loads(self._process.stdout.readline())
        if "error" in told:
            raise Remote(told)
        return told["value"]

    def __call__(self, *command: Any) -> Any:
        self.send(*command)
        return self.receive()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        if self._process.poll() is None:
            self.kill()
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()


@pytest.fixture
def process(tmp_path: Path) -> Generator[Callable[[], Process]]:
    """Starts processes on one project and one state directory."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "clew.yaml").write_text(WORKFLOW)
    (tmp_path / "project" / "shared.py").write_text(HANDLERS)
    made: list[Process] = []

    def start() -> Process:
        made.append(Process(tmp_path))
        return made[-1]

    yield start
    for one in made:
        one.close()


def deeds(directory: Path) -> list[str]:
    return (directory / "deeds").read_text().splitlines()


def test_only_one_drives_a_run(process: Callable[[], Process]) -> None:
    a, b = process(), process()
    run = a("start", 1, "start")
    a("settle", run)
    for command in (("take", run), ("resume", run)):
        with pytest.raises(Remote) as raised:
            b(*command)
        assert (raised.value.kind, raised.value.code) == ("Conflict", "driven")
    assert b("resume") == []  # and of all that can be resumed, this one cannot


def test_an_answer_reaches_the_driver(process: Callable[[], Process], tmp_path: Path) -> None:
    a, b = process(), process()
    run = a("start", 1, "start")
    a("settle", run)
    assert b("approve", run, 5) == "waiting"  # it was told; it goes on over there
    assert b("end", run) == {"state": "completed", "status": "success", "output": "last 5", "waiting": []}
    assert a("stands", run)["state"] == "completed"
    assert deeds(tmp_path) == ["first 1", "last 5"]
    assert b("verify") == []


def test_a_pause_and_its_end_reach_the_driver(process: Callable[[], Process]) -> None:
    a, b = process(), process()
    run = a("start", 1, "start")
    a("settle", run)
    b("tell", run, "pause")
    b("until", run, "RunPaused")
    b("approve", run, 5)
    b("until", run, "EffectFinished", 2)
    assert b("facts", run)[-1] == "EffectFinished"  # answered, but no body starts
    b("tell", run, "unpause")
    assert b("end", run)["state"] == "completed"


def test_a_cancel_reaches_the_driver(process: Callable[[], Process], tmp_path: Path) -> None:
    a, b = process(), process()
    run = a("start", 1, "start")
    a("settle", run)
    b("tell", run, "cancel", "", {"by": "b", "reason": "enough"}, 3)
    assert b("end", run)["state"] == "cancelled"
    assert a("stands", run)["state"] == "cancelled"
    assert deeds(tmp_path) == ["first 1"]
    assert b("rows")[0][2] == ""


def test_a_killed_owners_run_is_taken_over(process: Callable[[], Process], tmp_path: Path) -> None:
    a, b = process(), process()
    run = a("start", 1, "start")
    a("settle", run)
    b("tell", run, "pause")  # may lie in the inbox when its reader dies
    a.kill()
    assert b("resume") == [run]
    assert b("approve", run, 6) in ("completed", "waiting", "running")
    if b("stands", run)["state"] != "completed":
        b("tell", run, "unpause")
        b("settle", run)
    assert b("stands", run)["output"] == "last 6"
    assert deeds(tmp_path) == ["first 1", "last 6"]
    assert b("verify") == []


def test_an_answer_in_the_inbox_outlives_the_driver(process: Callable[[], Process], tmp_path: Path) -> None:
    """Put there, not read yet: whoever takes the run next finds it."""
    a, b = process(), process()
    run = a("start", 1, "start")
    (key,) = a("settle", run)["waiting"]
    a.kill()
    b("put", run, [["answer", key, {"decision": "approve", "by": "b", "value": 8}]])
    b("take", run)
    assert b("end", run)["output"] == "last 8"
    assert deeds(tmp_path) == ["first 1", "last 8"]


def test_different_runs_at_once(process: Callable[[], Process], tmp_path: Path) -> None:
    a, b = process(), process()
    a.send("many", [f"a{n}" for n in range(40)])
    b.send("many", [f"b{n}" for n in range(40)])
    assert a.receive() + b.receive() == ["completed"] * 80
    assert sorted(deeds(tmp_path)) == sorted(f"first {p}{n}" for p in "ab" for n in range(40))
    assert a("verify") == []


def test_one_of_two_takes_an_abandoned_run(process: Callable[[], Process]) -> None:
    a, b, c = process(), process(), process()
    for _ in range(8):
        run = a("start", 1, "start")
        a("settle", run)
    names = [row[0] for row in a("rows")]
    a.kill()
    for run in names:
        b.send("take", run)
        c.send("take", run)
        taken = [took(b), took(c)]
        assert sorted(taken) == ["driven", run], taken


def took(process: Process) -> str:
    try:
        return process.receive()
    except Remote as error:
        return error.code


def test_thousands_of_messages(process: Callable[[], Process], tmp_path: Path) -> None:
    """All are read, in order; what has no effect any more is consumed as well, and said so."""
    a, b = process(), process()
    run = a("start", 1, "start")
    (key,) = a("settle", run)["waiting"]
    stale = ["answer", "0/asks#1/99", {"decision": "approve", "by": "b", "value": 1}]
    b("put", run, [stale] * 1500 + [["pause", "", {"by": "b"}], ["unpause", "", {"by": "b"}]] * 250)
    b("put", run, [["pause", "", {"by": "b"}]] * 2 + [["unpause", "", {"by": "b"}]] * 2)
    b("put", run, [["answer", key, {"decision": "approve", "by": "b", "value": 9}], stale])
    assert b("end", run)["output"] == "last 9"
    facts = b("facts", run)
    assert facts.count("RunPaused") == facts.count("RunUnpaused") == 251
    assert facts.count("Noted") in (1502, 1503)  # the last one may have come too late to be noted
    assert b("left", run) == 0
    assert deeds(tmp_path) == ["first 1", "last 9"]
    assert b("verify") == []
