"""Tasks and the queue with real processes: killed and asked again, waited for, counted (W12, W13)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clew.core.envelopes import read

MANIFEST = """\
workflow:
  id: shared
  nodes:
    - {id: start, kind: deterministic, role: start}
    - {id: work, kind: deterministic, role: linear, handler: "shared:work"}
    - {id: done, kind: deterministic, role: exit}
  edges:
    - {from: start, to: work}
    - {from: work, to: done}
"""
HANDLERS = """\
import os


def deed(name):
    fd = os.open("deeds", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{name}\\n".encode())
    os.close(fd)


def work(input, ctx):
    ctx.effect("deed", deed, input["name"])
    if os.path.exists(input["gate"]):
        with open(input["gate"], "rb") as gate:  # until the test opens it, and until it closes it
            gate.read()
    return input["name"]
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    project = tmp_path / "project"
    project.mkdir()
    (project / "clew.yaml").write_text(MANIFEST)
    (project / "shared.py").write_text(HANDLERS)
    for name in [n for n in os.environ if n.startswith("CLEW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CLEW_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def clew(place):
    """``clew(*args)``: a process; killed with the test."""
    begun = []

    def start(*args):
        command = [sys.executable, "-m", "clew.cli", "-q", *(str(a) for a in args)]
        begun.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return begun[-1]

    yield start
    for one in begun:
        if one.poll() is None:
            one.kill()
        one.communicate()


def task(name, gate, **constraints):
    file = Path(f"{name}.json")
    payload = {"name": name, "gate": str(gate)}
    file.write_text(json.dumps({"id": name, "agent": "shared", "payload": payload, "constraints": constraints}))
    return ("task", "run", "--file", file, "--project", "project")


def gate(place, name):
    """A place in a handler: opening it for writing waits until the handler is there, closing it lets the handler go on."""
    path = place / name
    os.mkfifo(path)
    return path


def answer(process):
    out, err = process.communicate(timeout=60)
    assert out.count("\n") == 1, (out, err)
    return read(out), process.returncode


def status(clew):
    out, err = clew("status", "--json").communicate(timeout=60)
    assert not err
    return json.loads(out)


@pytest.mark.slow
@pytest.mark.parametrize("limits", [{}, {"timeoutMs": 60_000}], ids=["here", "in a worker"])
def test_killed_and_asked_again_the_work_is_not_done_twice(place, clew, limits):
    path = gate(place, "gate")
    arguments = task("once", path, idempotencyKey="k", **limits)
    first = clew(*arguments)
    with path.open("wb"):
        assert status(clew)["running"] == 1
        first.kill()
        first.wait()
    path.unlink()
    found, code = answer(clew(*arguments))
    assert (code, found.payload.delta.summary) == (0, "once")
    assert answer(clew(*arguments)) == (found, 0)
    assert (place / "deeds").read_text() == "once\n"


@pytest.mark.slow
def test_one_in_progress_is_waited_for(place, clew):
    path = gate(place, "gate")
    arguments = task("once", path, idempotencyKey="k")
    first = clew(*arguments)
    with path.open("wb"):
        impatient = answer(clew(*task("once", path, idempotencyKey="k", timeoutMs=200)))
        assert (impatient[0].error.code, impatient[1]) == ("timeout", 1)
        second = clew(*arguments)
        assert first.poll() is None
    assert answer(first) == answer(second)
    assert (place / "deeds").read_text() == "once\n"


@pytest.mark.slow
def test_whoever_waits_takes_over_when_the_one_at_work_is_killed(place, clew):
    path = gate(place, "gate")
    arguments = task("once", path, idempotencyKey="k")
    first = clew(*arguments)
    with path.open("wb"):
        second = clew(*arguments)
        first.kill()
        first.wait()
    path.unlink()
    assert answer(second)[0].payload.delta.summary == "once"
    assert (place / "deeds").read_text() == "once\n"


@pytest.mark.slow
def test_how_it_stands_with_two_at_work(place, clew):
    gates = [gate(place, f"gate{n}") for n in range(2)]
    for n, path in enumerate(gates):
        value = json.dumps({"name": f"run{n}", "gate": str(path)})
        assert clew("queue", "add", "project", "--input", value).wait() == 0
    assert status(clew)["queued"] == 2
    workers = [clew("queue", "--run", "--json") for _ in range(2)]
    with gates[0].open("wb"), gates[1].open("wb"):
        found = status(clew)
        assert found == {
            "ok": True, "queued": 0, "running": 2, "workers": 2, "stopped": False, "interrupted": 0, "waiting": 0, "dead": 0,
        }  # fmt: skip
        workers[0].kill()
        workers[0].wait()
        found = status(clew)
        assert (found["running"], found["interrupted"], found["workers"]) == (1, 1, 1)
    said = json.loads(workers[1].communicate(timeout=60)[0])
    assert "runs" in said, said
    assert [o["status"] for o in said["runs"]] == ["success"]
    found = status(clew)
    assert (found["interrupted"], found["stopped"]) == (1, True)


@pytest.mark.slow
def test_several_workers_empty_one_queue_and_do_each_run_once(place, clew):
    fill = f"""
import asyncio
from clew.service.engine import open_project
async def main():
    async with open_project("project", state={str(place / "state")!r}) as engine:
        for n in range(60):
            await engine.enqueue({{"name": f"run{{n}}", "gate": "none"}})
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", fill], check=True)
    workers = [clew("queue", "--run", "--json") for _ in range(3)]
    said = [json.loads(worker.communicate(timeout=60)[0]) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0], said
    assert sum(len(one["runs"]) for one in said) == 60
    assert sorted((place / "deeds").read_text().split()) == sorted(f"run{n}" for n in range(60))
