"""max_arms, max_parallel, suspects: which queued bodies may run now (W5, W9, R2)."""

import pytest

from clew.core.graph import Retry
from clew.testing import MachineScript, graph_of


def fan(width=4, max_arms=8, **split):
    graph = graph_of(
        "s:start p:split w:linear v:linear x:exit", "s>p>w>v>x", max_arms=max_arms, p={"over": "n", **split}
    )
    script = MachineScript(graph).begin({"n": list(range(width))})
    return script.done("0", {"n": list(range(width))}).done("0", {"n": list(range(width))})


def test_no_more_bodies_than_arms_are_offered():
    script = fan(width=5, max_arms=3)
    assert script.offered() == ["0.0/w", "0.1/w", "0.2/w"]
    script.start("0.1")
    assert script.offered() == ["0.0/w", "0.2/w"]
    script.done("0.1", 1)
    assert len(script.offered()) == 3


def test_arms_are_offered_in_position_order():
    script = fan(width=12, max_arms=12)
    assert [c.task for c in script.wanted()] == [f"0.{i}" for i in range(12)]


def test_max_parallel_bounds_items_not_bodies():
    """An item keeps its place from node to node; the next one comes when it has ended."""
    script = fan(max_parallel=2)
    assert script.offered() == ["0.0/w", "0.1/w"]
    script.done("0.0", "a")
    assert script.offered() == ["0.0/v", "0.1/w"]
    script.done("0.0", "a")
    assert script.offered() == ["0.0/x", "0.1/w"]
    script.done("0.0", "a")
    assert script.offered() == ["0.1/w", "0.2/w"]


@pytest.mark.parametrize("due", [None, 10])
def test_a_waiting_item_holds_no_slot(due):
    script = fan(width=3, max_parallel=1)
    key = script.wait("0.0", due=due)
    assert script.offered() == []
    script.suspend("0.0")
    assert script.offered() == ["0.1/w"]
    script.answer(key)
    assert script.offered() == ["0.1/w"]  # the other has the slot; this one queues again
    script.done("0.1").done("0.1").done("0.1")
    assert script.offered() == ["0.0/w"]


def test_an_item_in_backoff_holds_no_slot():
    graph = graph_of(
        "s:start p:split w:linear x:exit",
        "s>p>w>x",
        p={"over": "n", "max_parallel": 1},
        w={"retry": Retry(max_attempts=2)},
    )
    script = MachineScript(graph).begin({"n": [1, 2]}).done("0", {"n": [1, 2]}).done("0", {"n": [1, 2]})
    script.fail("0.0")
    assert script.offered() == ["0.1/w"]


def test_an_item_that_branches_waits_as_a_parent_and_its_arms_share_its_slot():
    graph = graph_of(
        "s:start p:split b:branch a:linear c:linear x:exit", "s>p>b>a>x b>c>x", p={"over": "n", "max_parallel": 1}
    )
    script = MachineScript(graph).begin().done("0").done("0", {"n": [1, 2]})
    assert script.offered() == ["0.0/b"]
    script.done("0.0")
    assert script.offered() == ["0.0.0/a", "0.0.1/c"]
    script.done("0.0.0").done("0.0.0")
    assert script.offered() == ["0.0.1/c"]
    script.done("0.0.1").done("0.0.1")
    assert script.offered() == ["0.1/b"]


def test_splits_within_splits_admit_outermost_first():
    graph = graph_of(
        "s:start p:split q:split w:linear x:exit", "s>p>q>w>x",
        p={"over": "n", "max_parallel": 2}, q={"over": "n", "max_parallel": 1},
    )  # fmt: skip
    script = MachineScript(graph).begin().done("0").done("0", {"n": [1, 2, 3]})
    for item in ("0.0", "0.1"):
        script.done(item, {"n": [1, 2]})
    assert script.offered() == ["0.0.0/w", "0.1.0/w"]
    script.done("0.0.0").done("0.0.0")
    assert script.offered() == ["0.0.1/w", "0.1.0/w"]
    script.done("0.0.1").done("0.0.1")
    assert script.offered() == ["0.1.0/w", "0.2/q"]


def test_a_cancelled_item_that_waited_for_a_slot_takes_none():
    graph = graph_of(
        "s:start b:branch p:split w:linear q:linear x:exit y:exit", "s>b>p>w>x b>q>y",
        b={"wait": "first"}, p={"over": "n", "max_parallel": 1},
    )  # fmt: skip
    script = MachineScript(graph).begin().done("0").done("0")
    script.done("0.0", {"n": [1, 2, 3]})
    script.done("0.1").done("0.1")  # the other arm wins
    assert script.offered() == []
    script.finish()
    assert {t: script.state(t) for t in ("0.0.0", "0.0.1", "0.0.2")} == dict.fromkeys(
        ("0.0.0", "0.0.1", "0.0.2"), "cancelled"
    )


def test_suspects_run_alone_and_last():
    """A body whose process died twice runs alone: if it dies again, it is known whose doing it is."""
    script = fan(width=3)
    script.start("0.0")
    script.take()
    script.start("0.0")
    script.take()
    assert script.machine.tasks["0.0"].crashes == 2
    assert script.offered() == ["0.1/w", "0.2/w"]
    script.start("0.1")
    script.done("0.2").done("0.2").done("0.2")
    assert script.offered() == []
    script.done("0.1").done("0.1").done("0.1")
    assert script.offered() == ["0.0/w"]


def test_nothing_starts_beside_a_suspect():
    script = fan(width=2)
    for _ in range(2):
        script.start("0.0")
        script.take()
    key = script.wait("0.1")
    script.suspend("0.1")
    assert script.offered() == ["0.0/w"]
    script.start("0.0")
    script.answer(key)
    assert script.offered() == []
    script.done("0.0")
    assert script.offered() == ["0.0/v", "0.1/w"]


def test_a_cancelled_item_at_the_head_of_the_queue_is_passed_over():
    graph = graph_of(
        "s:start b:branch p:split w:linear q:linear x:exit y:exit", "s>b>p>w>x b>q>y",
        b={"wait": "first"}, p={"over": "n", "max_parallel": 1},
    )  # fmt: skip
    script = MachineScript(graph).begin().done("0").done("0").done("0.0", {"n": [1, 2]})
    key = script.wait("0.0.0")
    script.suspend("0.0.0")
    script.start("0.0.1")
    script.answer(key)
    assert script.offered() == ["0.1/q"]  # the answered item queues for the slot
    script.done("0.1").done("0.1").stopped("0.0.1").finish()
    assert script.machine.status == "success"


def test_a_suspect_that_was_cancelled_holds_nobody_up():
    graph = graph_of(
        "s:start o:branch b:branch a:linear c:linear z:linear w:linear x:exit",
        "s>o>b>a>x b>c>x o>z>w>x",
        b={"wait": "first"},
    )
    script = MachineScript(graph).begin().done("0").done("0").done("0.0")
    for _ in range(2):
        script.start("0.0.0")
        script.take()
    assert script.offered() == ["0.0.1/c", "0.1/z"]
    script.done("0.0.1").done("0.0.1")  # wins: the suspect is cancelled in the queue
    assert script.state("0.0.0") == "cancelled"
    script.walk()
    assert script.machine.status == "success"
