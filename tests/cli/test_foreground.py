"""Signals, two processes on one state directory, closed pipes: with processes of their own."""

import asyncio
import json
import os
import signal
import subprocess
import sys

import pytest

from clew.cli import shapes
from clew.testing import write_project
from clew.testing.provider import FakeProvider, Step


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_puts_the_run_down_and_resume_goes_on(cli, process, plain, tmp_path, number):
    go = tmp_path / "go"
    running = process("run", plain, "--set", f"until={go}", "--set", "n=3")
    running.until("✓ start")
    running.child.send_signal(number)
    answer = running.end()
    assert answer.code == 4, answer
    assert "was put down in order" in answer.err
    assert "clew resume r" in answer.err
    assert "Traceback" not in answer.err
    (left,) = cli("runs", "--json").document(shapes.RunList).runs
    assert (left.state, left.driven) == ("running", False)
    go.touch()
    done = process("resume", "--json").end()
    assert done.code == 0, done
    (outcome,) = done.document(shapes.Outcomes).runs
    assert (outcome.run, outcome.output["double"]) == (left.run, 6)


def test_an_interruption_with_json_is_one_document(process, plain, tmp_path):
    running = process("run", plain, "--set", f"until={tmp_path / 'never'}", "--json", "--watch")
    running.until("✓ start")
    running.child.send_signal(signal.SIGINT)
    answer = running.end()
    assert answer.code == 4
    error = answer.json()["error"]
    assert error["code"] == "interrupted"
    assert error["runs"][0] in error["hint"]


def test_the_second_signal_ends_it_at_once(process, plain, tmp_path):
    (plain / "handlers.py").write_text(
        "import time\n\n\nasync def work(input, ctx):\n    time.sleep(input['s'])\n"  # blocks the loop itself
        "async def outputs(input, ctx): ...\nasync def ask(input, ctx): ...\n"
    )
    text = (
        (plain / "handlers.py")
        .read_text()
        .replace("async def work", "def work")
        .replace("time.sleep(input['s'])", HANG)
    )
    (plain / "handlers.py").write_text(text)
    running = process("run", plain, "--set", "s=1")
    running.until("✓ start")
    running.child.send_signal(signal.SIGINT)
    running.until("once more")
    running.child.send_signal(signal.SIGINT)
    answer = running.end()
    assert answer.code == 4
    assert "ended at once" in answer.err


HANG = "\n    while True:\n        try:\n            time.sleep(60)\n        except BaseException:\n            pass"


def test_an_answer_reaches_the_process_that_drives_the_run(cli, process, asking, tmp_path):
    go = tmp_path / "go"
    running = process("run", asking, "--set", f"until={go}")
    running.until("waits for a human")
    told = cli("approve", "--json")
    assert told.code == 0, told
    document = told.document(shapes.Outcome)
    assert document.driven
    running.until("✓ sign")
    go.touch()
    answer = running.end()
    assert answer.code == 3, answer
    assert "How many?" in answer.out
    assert cli("approve", "--value", "2").code == 0


def test_a_driven_run_is_cancelled_by_its_driver_and_not_resumed_by_others(cli, process, plain, tmp_path):
    running = process("run", plain, "--set", f"until={tmp_path / 'never'}")
    running.until("✓ start")
    (row,) = cli("runs", "--json").document(shapes.RunList).runs
    assert row.driven
    held = cli("resume", row.run)
    assert held.code == 2
    assert cli("resume").code == 0
    assert cli("cancel", row.run, "--json").document(shapes.Done).told
    answer = running.end()
    assert answer.code == 1
    assert "cancelled" in answer.out


def test_following_a_run_of_another_process(process, plain, tmp_path):
    go = tmp_path / "go"
    running = process("run", plain, "--set", f"until={go}")
    running.until("✓ start")
    following = process("tail")
    assert following.child.stdout is not None
    line = following.child.stdout.readline()
    assert "RunStarted" in line
    go.touch()
    answer = following.end()
    assert answer.code == 0
    assert "RunFinished" in answer.out
    assert running.end().code == 0


def test_the_same_work_is_waited_for(process, plain, tmp_path):
    go = tmp_path / "go"
    args = ("run", plain, "--set", f"until={go}", "--idempotency-key", "k")
    running = process(*args)
    running.until("✓ start")
    second = process(*args, "--json", "--watch")
    second.until("waiting for it")
    go.touch()
    assert running.end().code == 0
    answer = second.end()
    assert answer.code == 0
    assert answer.document(shapes.Outcome).status == "success"


def test_a_reader_that_has_gone_changes_nothing(cli, plain):
    run = cli("run", plain, "--json").json()["run"]
    reader, writer = os.pipe()
    os.close(reader)
    for args in (
        ["show", run, "--json"],
        ["show", run],
        ["tail", run],
        ["runs"],
        ["--help"],
        ["verify"],
        ["run", str(plain)],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "clew.cli", *args], stdout=writer, stderr=subprocess.PIPE, text=True
        )
        assert done.returncode == 0, (args, done.stderr)
        assert "Traceback" not in done.stderr
        assert "BrokenPipe" not in done.stderr
    os.close(writer)


def test_closed_streams_and_plain_encodings(cli, plain):
    run = cli("run", plain, "--json").json()["run"]
    env = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-m", "clew.cli", "show", run], capture_output=True, env=env)
    assert done.returncode == 0
    assert b"ok plain" in done.stdout
    assert max(done.stdout) < 128
    closed = subprocess.run(f"{sys.executable} -m clew.cli show {run} >&- 2>&-", shell=True)
    assert closed.returncode == 0


def test_a_killed_run_is_resumed(cli, process, plain, tmp_path):
    go = tmp_path / "go"
    running = process("run", plain, "--set", f"until={go}")
    running.until("✓ start")
    running.child.kill()
    running.end()
    go.touch()
    answer = process("resume", "--json").end()
    assert answer.code == 0
    assert len(answer.document(shapes.Outcomes).runs) == 1


@pytest.mark.slow
def test_a_handler_that_swallows_its_cancellation_does_not_hold_the_command(tmp_path):
    """``asyncio.run`` would wait for it for ever."""
    nodes = [
        {"id": "start", "kind": "deterministic", "role": "start"},
        {"id": "deaf", "kind": "deterministic", "role": "linear", "handler": "handlers:deaf", "timeout": "100ms"},
        {"id": "done", "kind": "deterministic", "role": "exit"},
    ]
    edges = [{"from": "start", "to": "deaf"}, {"from": "deaf", "to": "done"}]
    handlers = """
import asyncio


async def deaf(value, ctx):
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass
"""
    project = write_project(
        tmp_path / "project", {"workflow": {"id": "deaf", "nodes": nodes, "edges": edges}}, handlers
    )
    command = [sys.executable, "-m", "clew.cli", "run", str(project), "--state", str(tmp_path / "state")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    assert "timeout" in done.stderr + done.stdout
    assert "destroyed" not in done.stderr


SPEAKING = """
workflow:
  id: speaking
  nodes:
    - {{id: start, kind: deterministic, role: start}}
    - {{id: say, kind: agent, role: linear, agent: speaker}}
    - {{id: done, kind: deterministic, role: exit}}
  edges: [{{from: start, to: say}}, {{from: say, to: done}}]
providers: [{{id: fake, type: openai_compatible, base_url: "{url}/v1", prices: {{input: 0, output: 0}}}}]
agents: [{{id: speaker, model: fake/m, instructions: Speak.}}]
"""
HELD = "What is said first, " + "and then, " * 20


@pytest.mark.slow
@pytest.mark.parametrize("flags", [(), ("--no-stream",), ("--json",)])
async def test_what_a_model_says_is_seen_while_it_speaks(terminal, tmp_path, flags):
    """Not with ``--no-stream`` or ``--json``: there the request is not even streamed."""
    async with FakeProvider(Step(text=HELD, hold=9)) as fake:
        project = write_project(tmp_path / "p", SPEAKING.format(url=fake.url))
        screen = terminal("run", project, "--input", json.dumps("go"), "--state", tmp_path / "state", *flags)
        if not flags:
            await asyncio.to_thread(screen.until, "    What is said first, and then,")
        seen = await asyncio.wait_for(fake.asked(1), 30)
        fake.release()
        assert await asyncio.to_thread(screen.end) == 0
    assert seen.streamed == (not flags)
    assert "and then" in screen.plain()
