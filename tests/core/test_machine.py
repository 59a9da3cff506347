"""The machine's two calls: what it refuses, what it waits for, attempts, crashes, pauses, stops (W8, W9, R2)."""

import msgspec
import pytest

from clew.core import events as ev
from clew.core import states
from clew.core.commands import AwaitDecision, CancelTask, FinishRun, RunNode, Sleep, StartChild
from clew.core.errors import IllegalMove
from clew.core.graph import Backoff, Retry
from clew.testing import MachineScript, graph_of

LINE = graph_of("s:start a:linear x:exit", "s>a>x")


@pytest.fixture
def line():
    return MachineScript(LINE).begin("in").done("0", 1)


def retrying(**retry):
    graph = graph_of("s:start a:linear x:exit", "s>a>x", a={"retry": Retry(**retry)})
    return MachineScript(graph).begin("in").done("0", 1)


def refused(script, fact, payload=None):
    before = script.machine.snapshot()
    with pytest.raises(IllegalMove) as caught:
        script.apply(fact, payload)
    assert script.machine.snapshot() == before
    return str(caught.value)


# -- beginning and end -----------------------------------------------------------------------------------------------


def test_nothing_is_wanted_before_a_driver_takes_the_run():
    script = MachineScript(LINE)
    script.apply(ev.RunStarted(run="r", workflow="w", plan="", start="s"), {"input": 1})
    assert (script.machine.state, script.wanted()) == ("queued", [])
    script.take()
    assert script.machine.state == "running"
    assert script.wanted() == [RunNode("0", "s", 1, 1, 1)]


def test_the_first_fact_is_run_started_and_comes_once():
    script = MachineScript(LINE)
    assert "before RunStarted" in refused(script, ev.DriverStarted(owner="o", epoch=1))
    script.begin()
    assert "again" in refused(script, ev.RunStarted(run="r", workflow="w", plan="", start="s"))


def test_a_run_with_a_payload_that_is_no_object_has_no_input():
    script = MachineScript(LINE)
    script.apply(ev.RunStarted(run="r", workflow="w", plan="", start="s"), None)
    assert script.machine.tasks["0"].input is None


def test_remarks_change_nothing_whenever_they_come():
    script = MachineScript(LINE)
    for fact in (ev.Noted(name="x"), ev.PayloadsErased(seqs=(1,))):
        script.apply(fact)
    script.begin().walk()
    script.apply(ev.Noted(name="x"))
    assert script.machine.state == "completed"


def test_nothing_but_remarks_comes_after_the_end():
    script = MachineScript(LINE).begin().walk()
    assert "after the run completed" in refused(script, ev.DriverStarted(owner="o", epoch=2))
    assert script.wanted() == []


def test_run_finished_must_say_what_is_true(line):
    assert "under way" in refused(line, ev.RunFinished(state="completed", status="success"))
    line.done("0").done("0")
    assert "the run is completed/success" in refused(line, ev.RunFinished(state="failed", status="failure"))
    line.finish()
    assert line.machine.state == "completed"


def test_decide_is_pure(line):
    before = line.machine.snapshot()
    assert line.wanted() == line.wanted()
    assert line.machine.snapshot() == before


# -- bodies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [{"task": "9"}, {"node": "x"}, {"attempt": 2}, {"entry": 2}, {"entry": 0}],
)
def test_only_what_is_offered_starts(line, wrong):
    refused(line, msgspec.structs.replace(ev.NodeStarted(task="0", node="a", attempt=1, entry=1), **wrong))


def test_a_body_ends_once_and_only_where_it_runs(line):
    for fact in (ev.NodeCompleted, ev.NodeSuspended, ev.NodeStopped):
        assert "no" in refused(line, fact(task="0", node="a", attempt=1))
    line.start("0")
    assert "no running body" in refused(line, ev.NodeCompleted(task="0", node="a", attempt=2))
    assert "no stopping body" in refused(line, ev.NodeStopped(task="0", node="a", attempt=1))
    line.done("0")
    refused(line, ev.NodeFailed(task="0", node="a", attempt=1, code="x"))


def test_the_bodies_on_offer_have_names(line):
    assert line.machine.offered() == ["0/a#1"]
    assert not line.machine.stops("0")


# -- attempts --------------------------------------------------------------------------------------------------------


def test_attempts_are_of_one_node_execution_with_growing_pauses():
    script = retrying(max_attempts=3, backoff=Backoff(initial_ms=100, factor=2, max_ms=150))
    script.at = 1_000
    script.fail("0")
    assert script.state("0") == "waiting"
    assert script.wanted() == [Sleep("0/a#1/backoff", "0", "a", "backoff", 1, 1_100, None)]
    assert script.machine.state == "waiting"
    script.answer("0/a#1/backoff")
    assert script.wanted() == [RunNode("0", "a", 2, 1, 1)]
    assert script.machine.state == "running"
    script.fail("0")
    assert script.machine.waits["0/a#2/backoff"].due == 1_150
    script.answer("0/a#2/backoff").fail("0", message="for good").finish()
    assert script.machine.error["message"] == "for good"
    assert script.ran[1:] == ["0/a#1", "0/a#2", "0/a#3"]


def test_a_code_that_is_not_in_on_is_not_tried_again():
    script = retrying(max_attempts=3, on=("provider",))
    script.fail("0", "other").finish()
    assert script.machine.status == "failure"


def test_a_timeout_is_tried_again_only_if_asked_for():
    assert retrying(max_attempts=2).fail("0", "timeout").finish().machine.status == "failure"
    assert retrying(max_attempts=2, on=("timeout",)).fail("0", "timeout").state("0") == "waiting"


def test_attempts_start_anew_at_the_next_node():
    graph = graph_of("s:start a:linear c:linear x:exit", "s>a>c>x", a={"retry": Retry(max_attempts=2)})
    script = MachineScript(graph).begin().done("0").fail("0").answer("0/a#1/backoff").done("0")
    assert script.wanted() == [RunNode("0", "c", 1, 1, None)]


# -- waits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "command"), [("human", AwaitDecision), ("timer", Sleep), ("child", StartChild)])
def test_a_wait_unloads_the_body_and_its_answer_enters_it_again(line, kind, command):
    key = line.wait("0", kind=kind, due=5)
    assert isinstance(line.machine.waits[key], command)
    line.suspend("0")
    assert (line.machine.state, line.state("0")) == ("waiting", "waiting")
    line.answer(key, "yes")
    assert line.machine.waits == {}
    assert line.wanted() == [RunNode("0", "a", 1, 2, 1)]


def test_an_answer_that_comes_before_the_body_unloaded(line):
    key = line.wait("0")
    line.answer(key)
    line.suspend("0")
    assert line.wanted() == [RunNode("0", "a", 1, 2, 1)]


def test_each_wait_is_told_once_by_the_cursor(line):
    line.wait("0", "1")
    cursor = line.machine.opened
    assert [c for c in line.machine.decide(0) if isinstance(c, AwaitDecision)]
    assert line.machine.decide(cursor) == []
    line.wait("0", "2")
    assert [c.key for c in line.machine.decide(cursor)] == ["0/a#1/2"]


def test_a_body_cannot_suspend_without_a_wait(line):
    line.start("0")
    assert "nothing to wait for" in refused(line, ev.NodeSuspended(task="0", node="a", attempt=1))


def test_waits_that_cannot_be(line):
    body = {"task": "0", "node": "a", "name": "n", "digest": ""}
    refused(line, ev.EffectStarted(key="k", kind="human", wait=True, **body))  # the body does not run
    key = line.wait("0")
    assert "open already" in refused(line, ev.EffectStarted(key=key, kind="human", wait=True, **body))
    assert "tool" in refused(line, ev.EffectStarted(key="other", kind="tool", wait=True, **body))
    refused(line, ev.EffectStarted(key="k", kind="tool", task="0", node="x", name="n", digest=""))
    refused(line, ev.EffectFinished(key="k", kind="tool", name="n", digest="", task="9", node="a"))


def test_effects_that_do_not_wait_change_nothing_but_the_count_of_crashes(line):
    line.start("0")
    line.take()
    line.start("0")
    assert line.machine.tasks["0"].crashes == 1
    body = {"key": "k", "kind": "tool", "name": "n", "digest": "", "task": "0", "node": "a"}
    line.apply(ev.EffectStarted(**body)).apply(ev.EffectFinished(**body))
    assert line.machine.tasks["0"].crashes == 0
    assert line.state("0") == "running"


def test_waits_left_open_by_a_body_that_ended_are_forgotten(line):
    line.wait("0", "1")
    line.done("0")
    assert line.machine.waits == {}


# -- crashes ---------------------------------------------------------------------------------------------------------


def test_a_new_driver_enters_again_what_ran(line):
    line.start("0")
    line.take()
    assert line.wanted() == [RunNode("0", "a", 1, 2, 1)]
    assert line.machine.epoch == 2


def test_a_body_that_kills_its_process_three_times_fails_with_crashed(line):
    for _ in range(3):
        line.start("0")
        line.take()
    line.finish()
    assert line.machine.error["code"] == "crashed"
    assert "3 times" in line.machine.error["message"]


def test_crashed_goes_the_failure_edge():
    script = MachineScript(graph_of("s:start a:linear f:linear x:exit", "s>a>x a!f>x")).begin().done("0")
    script.wait("0")
    script.take()
    for _ in range(2):
        script.start("0")
        script.take()
    assert script.offered() == ["0/f"]
    assert script.machine.waits == {}


def test_an_orderly_stop_is_no_crash(line):
    for _ in range(5):
        line.start("0")
        line.apply(ev.DriverStopped())
        assert line.wanted() == []
        line.take()
    assert line.machine.tasks["0"].crashes == 0
    assert line.offered() == ["0/a"]


def test_only_a_driver_can_stop(line):
    line.apply(ev.DriverStopped())
    assert "no driver" in refused(line, ev.DriverStopped())


def test_waits_survive_their_driver(line):
    key = line.wait("0")
    line.suspend("0").take()
    assert list(line.machine.waits) == [key]
    assert [c.key for c in line.machine.decide(0)] == [key]


# -- pause and stop --------------------------------------------------------------------------------------------------


def test_a_paused_run_starts_nothing_and_finishes_what_runs():
    script = (
        MachineScript(graph_of("s:start b:branch a:linear c:linear x:exit", "s>b>a>x b>c>x"))
        .begin()
        .done("0")
        .done("0")
    )
    script.start("0.0")
    script.apply(ev.RunPaused(reason="asked"))
    assert script.wanted() == []
    refused(script, ev.NodeStarted(task="0.1", node="c", attempt=1))
    assert "paused already" in refused(script, ev.RunPaused())
    script.done("0.0")
    assert script.wanted() == []
    script.apply(ev.RunUnpaused())
    assert script.offered() == ["0.0/x", "0.1/c"]
    assert "not paused" in refused(script, ev.RunUnpaused())


@pytest.mark.parametrize(
    ("code", "state", "status"),
    [
        ("cancelled", "cancelled", None),
        ("deadline_exceeded", "failed", "failure"),
        ("budget_exhausted", "failed", "failure"),
    ],
)
def test_a_stop_ends_the_run(line, code, state, status):
    line.start("0")
    line.apply(ev.StopRequested(code=code), {"reason": "enough"})
    assert line.wanted() == [CancelTask("0", "a", 1)]
    assert line.machine.stops("0")
    assert "stopped already" in refused(line, ev.StopRequested())
    line.stopped("0").finish()
    assert (line.machine.state, line.machine.status) == (state, status)
    assert line.machine.error == {"code": code, "message": "enough", "details": None}


def test_a_stop_without_a_reason_names_its_code(line):
    line.apply(ev.StopRequested(code="deadline_exceeded"))
    assert isinstance(line.wanted()[0], FinishRun)
    line.finish()
    assert line.machine.error["message"] == "deadline exceeded"


def test_a_queued_run_can_be_stopped_before_anybody_drives_it():
    script = MachineScript(LINE)
    script.apply(ev.RunStarted(run="r", workflow="w", plan="", start="s"), {"input": 1}).apply(ev.StopRequested())
    script.take().finish()
    assert script.machine.state == "cancelled"


def test_a_stopping_body_is_not_entered_again_by_a_new_driver(line):
    line.start("0")
    line.apply(ev.StopRequested())
    line.take()
    assert line.wanted() == [CancelTask("0", "a", 1)]


# -- every move of every table is walked by a history ----------------------------------------------------------------


class Walked(dict):
    """A table that remembers which of its cells were asked for."""

    def __init__(self, table):
        super().__init__(table)
        self.seen = set()

    def __getitem__(self, cell):
        value = super().__getitem__(cell)
        self.seen.add(cell)
        return value


def histories():
    """Between them they walk every cell."""
    branch = graph_of(
        "s:start b:branch a:linear c:linear m:merge x:exit y:exit", "s>b>a>m>x b>c>m", b={"wait": "first"}
    )
    MachineScript(LINE).begin().walk()
    MachineScript(LINE).begin().done("0").fail("0").finish()
    for prepare in (
        lambda s: s,
        lambda s: s.done("0"),
        lambda s: s.suspend(s.wait("0") and "0"),
        lambda s: s.start("0") and s,
    ):
        script = MachineScript(LINE).begin()
        prepare(script)
        script.apply(ev.StopRequested())
        if script.wanted() and isinstance(script.wanted()[0], CancelTask):
            script.stopped("0")
        script.finish()
    waiting = MachineScript(LINE).begin()
    key = waiting.wait("0")
    waiting.suspend("0").take().answer(key).take().walk()
    queued = MachineScript(LINE)
    queued.apply(ev.RunStarted(run="r", workflow="w", plan="", start="s")).apply(ev.StopRequested())
    for again in (retrying(max_attempts=2).fail("0").answer("0/a#1/backoff"), retrying(max_attempts=2).fail("0")):
        again.apply(ev.StopRequested()) if again.machine.waits else again.walk()
    asleep = MachineScript(LINE).begin()
    asleep.wait("0")
    asleep.suspend("0").apply(ev.StopRequested())
    first = MachineScript(branch).begin().done("0").done("0").done("0.0")
    first.walk()
    merged = graph_of("s:start b:branch a:linear c:linear m:merge f:linear x:exit", "s>b>a>m>x b>c>m m!f>x")
    MachineScript(merged).begin().done("0").done("0").fail("0.0").done("0.1").walk()
    stopped_at_merge = MachineScript(merged).begin().done("0").done("0").fail("0.0")
    stopped_at_merge.apply(ev.StopRequested())
    normal_at_merge = MachineScript(merged).begin().done("0").done("0").done("0.0")
    normal_at_merge.apply(ev.StopRequested())
    crashing = MachineScript(LINE).begin()
    for _ in range(3):
        crashing.start("0")
        crashing.take()
    broken = graph_of("s:start b:branch a:linear c:linear m:merge x:exit", "s>b>a>m>x b>c>m")
    MachineScript(broken).begin().done("0").done("0").fail("0.0").done("0.1").finish()
    split = graph_of("s:start p:split w:linear x:exit", "s>p>w>x", p={"over": "n"})
    MachineScript(split).begin().done("0").done("0", {"n": [1]}).fail("0.0").finish()
    nested = graph_of("s:start o:branch i:branch m:merge a:linear x:exit", "s>o>i>m>x i>a>m o>m")
    MachineScript(nested).begin().walk()


@pytest.mark.parametrize(("name", "owner"), [("RUN_MOVES", states), ("TASK_MOVES", states), ("NODE_MOVES", states)])
def test_every_cell_is_walked_by_a_history(name, owner, monkeypatch):
    table = Walked(getattr(owner, name))
    monkeypatch.setattr(owner, name, table)
    histories()
    assert set(table) - table.seen == set(), "cells that nothing walks: dead, or a history is missing"
