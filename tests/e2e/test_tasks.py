"""Tasks and the queue with real processes: killed and asked again, waited for, counted (W12, W13)."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from deeds import DEED

from clew.core.envelopes import read
from clew.testing import FakeProvider, one_node, write_project
from clew.testing.provider import Call, Step

HANDLERS = f"""{DEED}

def work(input, ctx):
    ctx.effect("deed", deed, input["name"])
    if os.path.exists(input["gate"]):
        with open(input["gate"], "rb") as gate:  # until the test opens it, and until it closes it
            gate.read()
    return input["name"]
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    write_project(tmp_path / "project", one_node("shared", "handlers:work"), HANDLERS)
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


# -- new tasks, and their queue ----------------------------------------------------------------------------------------

PROVIDED = """
providers: [{{id: house, type: openai_compatible, base_url: "{url}/v1", prices: {{input: 0, output: 0}}}}]
models: {{coder: {{use: [house/m]}}}}
"""
MILESTONES = [
    {"title": "a unit", "done_when": "one() is 1", "files": ["units.py"]},
    {"title": "a sum", "done_when": "total([]) is 0", "files": ["sums.py"]},
]
SUMS = "def total(values):\n    return sum(values)\n"


@pytest.mark.slow
@pytest.mark.sandbox
async def test_a_plan_is_handed_on_and_its_work_done_from_the_queue(place):
    """With a model over HTTP that looks before it answers; each piece of work is a run of its own, in another folder."""
    says = [
        Step(calls=(Call("list_files", {}),)),
        Step(text=json.dumps({"summary": "two steps", "milestones": MILESTONES})),
        Step(calls=(Call("read_file", {"path": "units.py"}), Call("read_file", {"path": "../project/clew.yaml"}))),
        Step(text=json.dumps({"summary": "one", "edits": [{"old": "return 2", "new": "return 1"}]})),
        Step(text=json.dumps({"summary": "a sum", "content": SUMS})),
    ]
    write_project(place / "repo", "", units="def one():\n    return 2\n")
    (place / "elsewhere").mkdir()

    async def done(*args, cwd=place):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "clew.cli", "-q", *args, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, err = await process.communicate()
        assert process.returncode == 0, (out, err)
        return out

    async with FakeProvider(*says) as fake:
        manifest = one_node("house", "handlers:work") + PROVIDED.format(url=fake.url)
        write_project(place / "project", manifest, HANDLERS)
        payload = {"repo": "repo", "goal": "sums of units", "model": "coder", "handOn": True}
        (place / "plan.json").write_text(json.dumps({"id": "p1", "agent": "Planning", "payload": payload}))
        plan = read(await done("task", "run", "--file", "plan.json", "--project", "project"))
        assert [new.payload["target"] for new in plan.payload.new_tasks] == ["units.py", "sums.py"]
        queued = json.loads(await done("queue", "--json"))
        assert [(one["workflow"], one["task"]["parentId"]) for one in queued["runs"]] == [("CodeGen", "p1")] * 2
        outcomes = json.loads(await done("queue", "--run", "--json", cwd=place / "elsewhere"))
        said = [json.dumps(seen.body) for seen in fake.seen]
    first, second = (one["output"]["delta"] for one in outcomes["runs"])
    assert first["diff"].endswith("-    return 2\n+    return 1\n")
    assert (second["doc"]["path"], second["doc"]["content"]) == ("sums.py", SUMS)
    assert "units.py" in said[1]
    assert "outside_root" in said[3]
    assert "base_url" not in said[3]
    assert (place / "repo" / "units.py").read_text() == "def one():\n    return 2\n"
