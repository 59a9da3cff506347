"""clew task run: one line of JSON for whatever comes in (W12)."""

import json
import os

import pytest

from clew.cli.commands.task import Refusal
from clew.core.envelopes import AgentError, AgentResult, read
from clew.core.errors import JournalError


@pytest.fixture
def ask(cli, plain):
    """``ask(payload, **constraints)``: the answer, its envelope, its exit code."""

    def call(payload=None, *, agent="plain", **constraints):
        task = {"id": "t1", "agent": agent, "payload": payload, "constraints": constraints}
        answer = cli("task", "run", "--file", "-", "--project", plain, stdin=json.dumps(task))
        assert answer.out.count("\n") == 1, answer
        return read(answer.out), answer.code

    return call


def refusal(answer):
    assert answer.out.count("\n") == 1, answer
    found = answer.document(Refusal)
    assert (found.ok, answer.code) == (False, 2)
    assert len(found.trace_id) == 32
    return found.error


def test_a_task_in_a_file_gives_a_result(cli, plain, tmp_path):
    file = tmp_path / "task.json"
    file.write_text('{"type": "AgentTask", "id": "t1", "agent": "plain", "payload": {"n": 4}, "protocolVersion": 1}')
    answer = cli("-q", "task", "run", "--file", file, "--project", plain)
    assert (answer.code, answer.err) == (0, "")
    found = read(answer.out)
    assert isinstance(found, AgentResult)
    assert json.loads(found.payload.delta.summary) == {"got": {"n": 4}, "double": 8}
    assert cli("show", found.id, "--json").json()["run"]["workflow"] == "plain"


def test_a_failed_task_gives_an_error(ask):
    found, code = ask({"fail": True})
    assert isinstance(found, AgentError)
    assert (code, found.error.code, found.parent_id) == (1, "error", "t1")


def test_the_same_key_gives_the_first_result(ask):
    first, again = ask({"n": 1}, idempotencyKey="k"), ask({"n": 1}, idempotencyKey="k")
    assert first == again


def test_what_waits_for_a_human_ends_with_its_code(cli, asking):
    task = '{"agent": "asking", "constraints": {"idempotencyKey": "k"}}'
    answer = cli("task", "run", "--file", "-", "--project", asking, stdin=task)
    found = read(answer.out)
    assert (answer.code, found.error.code) == (3, "waiting")
    assert [asked["node"] for asked in found.error.details["asks"]] == ["sign"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[", "usage"),
        ("[]", "bad_envelope"),
        ('{"payload": 1}', "bad_envelope"),
        ('{"agent": "plain", "protocolVersion": 9}', "bad_envelope"),
        ('{"type": "AgentResult", "id": "a", "parentId": "b", "agent": "plain"}', "bad_envelope"),
        ('{"agent": "nobody"}', "unknown_agent"),
    ],
)
def test_what_never_becomes_a_task_is_refused(cli, plain, text, code):
    assert refusal(cli("task", "run", "--file", "-", "--project", plain, stdin=text)).code == code


def test_without_a_project_or_a_file_it_is_refused(cli, plain, tmp_path):
    nowhere = cli("task", "run", "--file", "-", "--project", tmp_path / "nowhere", stdin='{"agent": "a"}')
    assert refusal(nowhere).code == "manifest"
    assert refusal(nowhere).details["problems"]
    assert refusal(cli("task", "run", "--file", tmp_path / "none", "--project", plain)).code == "usage"


def test_other_work_under_the_same_key_is_refused(ask, cli, plain):
    ask({"n": 1}, idempotencyKey="k")
    task = '{"agent": "plain", "payload": {"n": 2}, "constraints": {"idempotencyKey": "k"}}'
    assert refusal(cli("task", "run", "--file", "-", "--project", plain, stdin=task)).code == "conflict"


def test_without_a_command_it_is_wrong_use(cli):
    assert cli("task").code == 2
    assert cli("task", "run").code == 2


def test_an_error_behind_a_begun_run_is_an_envelope(ask, monkeypatch):
    async def full(*_):
        raise JournalError("the disk is full")

    monkeypatch.setattr("clew.service.tasks._settle", full)
    found, code = ask({"n": 1})
    assert (code, found.error.code) == (1, "journal")


@pytest.mark.parametrize("limits", [{}, {"timeoutMs": 20_000}], ids=["here", "in a worker"])
def test_what_handlers_print_is_not_in_the_way_of_the_answer(process, busy, limits):
    task = busy("prints") / "task.json"
    task.write_text(json.dumps({"agent": "busy", "constraints": limits}))
    answer = process("task", "run", "--file", task, "--project", task.parent).end()
    assert read(answer.out).payload.delta.summary == "printed"
    assert answer.err.count("noise") == 2


# -- with a time limit: in a process of its own ------------------------------------------------------------------------


def test_a_limited_task_gives_its_result(ask):
    found, code = ask({"n": 3}, timeoutMs=20_000, idempotencyKey="k")
    assert (code, json.loads(found.payload.delta.summary)["double"]) == (0, 6)
    assert ask({"n": 3}, timeoutMs=20_000, idempotencyKey="k")[0] == found


def test_a_limited_task_may_fail(ask):
    found, code = ask({"fail": True}, timeoutMs=20_000)
    assert (code, found.error.code) == (1, "error")


def test_a_refused_limited_task_is_refused(ask, cli, plain):
    ask({"n": 1}, idempotencyKey="k")
    task = '{"agent": "plain", "payload": {"n": 2}, "constraints": {"idempotencyKey": "k", "timeoutMs": 9000}}'
    assert refusal(cli("task", "run", "--file", "-", "--project", plain, stdin=task)).code == "conflict"


BUSY = """\
import os
import threading
import time


def spin(input, ctx):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass


def held(input, ctx):
    return sum(range(10**15))


async def blocked(input, ctx):
    time.sleep(60)


def die(input, ctx):
    os._exit(9)


def prints(input, ctx):
    print("noise")
    os.system("echo noise")
    return "printed"


def tells(input, ctx):
    with open(input, "wb", buffering=0) as pipe:
        pipe.write(b"x")
        threading.Event().wait()
"""


@pytest.fixture
def busy(tmp_path):
    """``busy(handler)``: a project whose one node does not end."""

    def make(handler, **fields):
        directory = tmp_path / handler
        directory.mkdir()
        nodes = [
            {"id": "start", "kind": "deterministic", "role": "start"},
            {"id": "a", "kind": "deterministic", "role": "linear", "handler": f"handlers:{handler}", **fields},
            {"id": "done", "kind": "deterministic", "role": "exit"},
        ]
        edges = [{"from": "start", "to": "a"}, {"from": "a", "to": "done"}]
        (directory / "clew.yaml").write_text(json.dumps({"workflow": {"id": "busy", "nodes": nodes, "edges": edges}}))
        (directory / "handlers.py").write_text(BUSY)
        return directory

    return make


@pytest.mark.slow
@pytest.mark.parametrize(
    ("handler", "fields"),
    [("spin", {}), ("held", {}), ("blocked", {}), ("held", {"isolation": "process"})],
    ids=["swallows every exception", "never lets the interpreter go", "blocks the event loop", "in a process"],
)
def test_whatever_it_is_stuck_in_the_answer_comes_in_time(cli, busy, tmp_path, handler, fields):
    task = '{"id": "t1", "agent": "busy", "constraints": {"timeoutMs": 300}}'
    answer = cli("-q", "task", "run", "--file", "-", "--project", busy(handler, **fields), stdin=task)
    found = read(answer.out)
    assert (answer.code, found.error.code) == (1, "deadline_exceeded"), answer
    row = cli("show", found.id, "--json").json()["run"]
    assert (row["state"], row["driven"]) == ("failed", False)
    assert row["updated"] - row["created"] < 5_000
    assert cli("verify", "--json").json()["ok"]
    assert cli("status", "--json").json()["interrupted"] == 0


@pytest.mark.slow
def test_a_worker_that_dies_is_an_error_and_the_run_can_go_on(cli, busy):
    task = '{"id": "t1", "agent": "busy", "constraints": {"timeoutMs": 60000}}'
    answer = cli("-q", "task", "run", "--file", "-", "--project", busy("die"), stdin=task)
    found = read(answer.out)
    assert (answer.code, found.error.code) == (1, "crashed")
    assert cli("status", "--json").json()["interrupted"] == 1


@pytest.fixture
def held(process, busy, tmp_path):
    """``held(**limits)``: a process whose handler has said through the pipe that it runs, and the pipe, which ends with it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    opened = []

    def start(**limits):
        task = busy("tells") / "task.json"
        task.write_text(json.dumps({"id": "t1", "agent": "busy", "payload": str(pipe), "constraints": limits}))
        one = process("task", "run", "--file", task, "--project", task.parent)
        opened.append(pipe.open("rb", buffering=0))
        assert opened[0].read(1) == b"x"
        return one, opened[0]

    yield start
    for one in opened:
        one.close()


@pytest.mark.parametrize("limits", [{}, {"timeoutMs": 60_000}], ids=["here", "in a worker"])
def test_a_signal_puts_the_run_down_and_is_answered(held, cli, limits):
    one, pipe = held(**limits)
    one.child.terminate()
    answer = one.end()
    found = read(answer.out)
    assert (answer.code, found.error.code) == (4, "interrupted"), answer
    assert pipe.read(1) == b""
    assert cli("runs", found.id, "--json").json()["runs"][0]["driven"] is False
    assert cli("show", found.id, "--events", "--json").json()["events"][-1]["type"] == "DriverStopped"


def test_a_worker_ends_with_the_process_that_answers_for_it(held):
    one, pipe = held(timeoutMs=60_000)
    one.child.kill()
    assert pipe.read(1) == b""
