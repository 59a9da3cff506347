"""Workers: heard out, given up in time, ended with whoever answers for them."""

import asyncio
import os
import subprocess
import sys

import pytest

from clew.core.envelopes import AgentError, AgentResult, task_of
from clew.core.errors import Failure
from clew.manifest.plan import load
from clew.service import runs, supervise
from clew.service.engine import AsyncEngine
from clew.service.settings import MEMORY, Settings
from clew.service.supervise import supervised

TASK = task_of({"id": "t1", "agent": "project", "constraints": {"timeoutMs": 50}})
PATIENT = task_of({"id": "t1", "agent": "project", "constraints": {"timeoutMs": 60_000}})
RESULT = '{"type": "AgentResult", "id": "r", "parentId": "t1", "agent": "project"}'


@pytest.fixture
async def engine(project):
    nodes = [{"id": "start", "role": "start"}, {"id": "done", "role": "exit"}]
    directory = project(nodes, "start>done")
    async with AsyncEngine(load(directory), directory, Settings(state=MEMORY)) as made:
        yield made


@pytest.fixture
def work(engine, monkeypatch):
    """``work(code)``: the answer where the worker is this Python code; ``{run}`` in it is a run that nobody drives."""
    monkeypatch.setattr(supervise, "GRACE_MS", 150)

    async def ask(code, *, timeout_ms=50):
        request = runs.RunRequest(timeout_ms=timeout_ms)
        run = await runs.enqueue(engine.workspace, engine.plan, engine.directory, request)
        command = [sys.executable, "-c", "import sys, time\n" + code.replace("RUN", run)]
        begun = []
        found = await supervised(engine.workspace, TASK, command, begun.append)
        assert begun == [run]
        return found

    return ask


def say(*lines):
    return "".join(f"print({line!r}, flush=True)\n" for line in lines)


async def test_the_answer_is_the_workers(work):
    found = await work('assert b\'"id":"t1"\' in sys.stdin.buffer.read()\n' + say('{"run": "RUN"}', RESULT))
    assert isinstance(found, AgentResult)
    assert found.id == "r"


async def test_what_it_refuses_is_raised(work):
    with pytest.raises(Failure, match="the reason") as caught:
        await work(say('{"ok": false, "error": {"code": "conflict", "message": "the reason"}}'))
    assert caught.value.code == "conflict"


@pytest.mark.parametrize("code", ["", say("nonsense"), "sys.exit(3)"])
async def test_one_that_ends_before_it_begins_is_said(work, code):
    with pytest.raises(Failure, match="before it began") as caught:
        await work(code)
    assert caught.value.code == "crashed"


async def test_one_that_hangs_is_killed_and_its_run_ended(work, engine):
    found = await work(say('{"run": "RUN"}') + "time.sleep(600)\n")
    assert isinstance(found, AgentError)
    assert found.error.code == "deadline_exceeded"
    assert (await engine.result(found.id)).state == "failed"


async def test_one_that_dies_leaves_a_run_that_can_go_on(work, engine):
    found = await work(say('{"run": "RUN"}'), timeout_ms=60_000)
    assert found.error.code == "crashed"
    assert "clew resume" in found.error.message
    (result,) = await engine.resume(found.id)
    assert result.status == "success"


async def test_one_that_hangs_on_somebody_elses_run_only_stops_waiting(work, engine):
    found = await work(say('{"run": "RUN"}') + "time.sleep(600)\n", timeout_ms=60_000)
    assert found.error.code in ("timeout", "waiting")
    assert (await engine.result(found.id)).state == "queued"


async def test_one_whose_run_has_ended_is_answered_for(work, engine, monkeypatch):
    async def ended(workspace, run):
        await engine.cancel(run)
        return False

    monkeypatch.setattr(runs, "overdue", ended)
    found = await work(say('{"run": "RUN"}') + "time.sleep(600)\n", timeout_ms=60_000)
    assert found.error.code == "cancelled"


async def test_a_run_that_cannot_be_ended_is_said(work, monkeypatch):
    async def taken(*_, **__):
        raise runs.Conflict("driven by process 7", code="driven")

    monkeypatch.setattr(runs, "resume", taken)
    found = await work(say('{"run": "RUN"}') + "time.sleep(600)\n")
    assert found.error.code == "driven"


async def test_cancelled_it_has_the_worker_end_in_order(engine, tmp_path):
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (open('ended', 'w').close(), sys.exit()))\n"
        + say('{"run": "r"}')
        + "time.sleep(600)\n"
    )
    begun = asyncio.Event()
    command = ["env", "-C", str(tmp_path), sys.executable, "-c", code]
    asking = asyncio.ensure_future(supervised(engine.workspace, PATIENT, command, lambda _: begun.set()))
    await begun.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (tmp_path / "ended").exists()


PARENT = """
import os, subprocess, sys
code = "import sys, time; from clew.service.supervise import die_with; die_with(int(sys.argv[1])); print('up', flush=True)"
command = [sys.executable, "-c", code + "; time.sleep(600)", sys.argv[1] or str(os.getpid())]
pipe = int(sys.argv[2])
with subprocess.Popen(command, stdout=pipe, pass_fds=(pipe,)):
    os.close(pipe)
    sys.stdin.read()
"""


@pytest.mark.parametrize("parent", ["", "1"], ids=["its parent is killed", "its parent was gone already"])
def test_a_worker_ends_with_its_parent(parent):
    reading, writing = os.pipe()
    command = [sys.executable, "-c", PARENT, parent, str(writing)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(writing,)) as process,
        os.fdopen(reading, "rb") as pipe,
    ):
        os.close(writing)
        if not parent:
            assert pipe.readline() == b"up\n"
            process.kill()
        assert pipe.read() == b""
        process.kill()
