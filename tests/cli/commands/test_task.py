"""clew task run: one line of JSON for whatever comes in (W12)."""

import json
import os

import pytest

from clew.cli.commands.queue import QueueDoc, TaskDoc
from clew.cli.commands.task import Refusal
from clew.cli.inputs import MAX_INPUT
from clew.core.envelopes import AgentError, AgentResult, read
from clew.core.errors import JournalError
from clew.service.agents import CODE_AGENTS
from clew.testing import one_node, write_project


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


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xfe{}", b"[" * 5000, b'{"agent": "plain", "payload": ' + b"[" * 5000 + b"]" * 5000 + b"}", b'{"agent": "plain"}}'],
    ids=["empty", "no text", "deep", "deep payload", "more than one value"],
)  # fmt: skip
def test_a_hostile_file_is_refused(cli, plain, tmp_path, data):
    file = tmp_path / "task.json"
    file.write_bytes(data)
    refusal(cli("task", "run", "--file", file, "--project", plain))


def test_a_file_that_is_too_large_is_refused(cli, plain, tmp_path):
    file = tmp_path / "task.json"
    with file.open("wb") as sparse:
        sparse.truncate(MAX_INPUT + 1)
    refusal(cli("task", "run", "--file", file, "--project", plain))
    refusal(cli("task", "run", "--file", tmp_path, "--project", plain))


def test_without_a_project_or_a_file_it_is_refused(cli, plain, tmp_path):
    nowhere = cli("task", "run", "--file", "-", "--project", tmp_path / "nowhere", stdin='{"agent": "a"}')
    assert refusal(nowhere).code == "manifest"
    assert refusal(nowhere).details["problems"]
    assert refusal(cli("task", "run", "--file", tmp_path / "none", "--project", plain)).code == "usage"


def test_the_agents_that_ship_are_named(cli, plain):
    shown = " ".join(cli("task", "run", "--help").out.split())
    unknown = refusal(cli("task", "run", "--file", "-", "--project", plain, stdin='{"agent": "Coder"}'))
    for name in CODE_AGENTS:
        assert name in shown
        assert name in unknown.message
    assert "there are plain, CodeGen" in unknown.message


def test_an_agent_that_ships_needs_no_project(cli, tmp_path, monkeypatch):
    place = tmp_path / "empty"
    (place / "repo").mkdir(parents=True)
    (place / "repo" / "long.py").write_text("X = 1\n" * 600)
    monkeypatch.chdir(place)
    task = {"agent": "DesignReview", "payload": {"repo": "repo"}}
    answer = cli("-q", "task", "run", "--file", "-", stdin=json.dumps(task))
    found = read(answer.out)
    assert (answer.code, found.payload.delta.summary) == (0, "1 findings in 1 files")
    limited = cli("-q", "task", "run", "--file", "-", stdin=json.dumps({**task, "constraints": {"timeoutMs": 60_000}}))
    assert read(limited.out).payload == found.payload
    unknown = refusal(cli("task", "run", "--file", "-", stdin='{"agent": "shop"}'))
    assert unknown.code == "unknown_agent"
    assert unknown.message.startswith("there is no project here, and no agent 'shop'")


def test_new_tasks_are_queued_with_their_parent_and_are_work_of_their_own(cli, tmp_path, monkeypatch):
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "a.py").write_text("A = 1\n")
    payload = {"repo": "repo", "goal": "- clamp\n- wrap", "target": "a.py", "handOn": True}
    task = json.dumps({"id": "p1", "agent": "Planning", "payload": payload, "constraints": {"idempotencyKey": "k"}})
    answer = cli("-q", "task", "run", "--file", "-", stdin=task)
    found = read(answer.out)
    assert [new.agent for new in found.payload.new_tasks] == ["CodeGen", "CodeGen"]
    assert "newTasks" not in found.payload.artifacts[0]
    assert cli("-q", "task", "run", "--file", "-", stdin=task).out == answer.out
    queued = cli("queue", "--json").document(QueueDoc)
    assert [(line.workflow, line.parent, line.task) for line in queued.runs] == [
        ("CodeGen", "", TaskDoc(id=f"p1.{n}", parent_id="p1", agent="CodeGen")) for n in (1, 2)
    ]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # the work is on the repository that the plan was made for
    outcomes = cli("-q", "queue", "--run", "--json")
    assert outcomes.code == 1
    assert [one["error"]["code"] for one in outcomes.json()["runs"]] == ["offline_cannot", "offline_cannot"]
    assert len(cli("queue", "--dead", "--json").json()["letters"]) == 2
    again = cli("queue", "--requeue", queued.runs[0].run, "--json").json()["run"]
    (line,) = cli("queue", "--json").document(QueueDoc).runs
    assert (line.run, line.task) == (again, queued.runs[0].task)


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
        return write_project(tmp_path / handler, one_node("busy", f"handlers:{handler}", **fields), BUSY)

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
