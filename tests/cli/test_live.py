import io

import pytest

from clew.cli.live import LiveTree
from clew.cli.progress import Progress
from clew.cli.speech import Speech
from clew.cli.terminal import Paper
from clew.core import events as ev
from clew.core.events import Event
from clew.core.graph import Edge, Graph, Node
from clew.gate.ports.stream import Chunk

WIDE = 30
GRAPH = Graph(
    nodes=(
        Node(id="start", kind="deterministic", role="start"),
        *(Node(id=f"n{i}", kind="deterministic", role="linear") for i in range(WIDE)),
    ),
    edges=(Edge(source="start", target="n0"),),
)


@pytest.fixture
def drawn(monkeypatch):
    """``drawn(facts, height, at, said)``: the lines of the tree, while models say things for tasks."""
    monkeypatch.setattr("sys.stderr", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))

    def draw(facts, height=40, now=0, said=None):
        speech = Speech("r1")
        for task, text in (said or {}).items():
            speech.take(Chunk(run="r1", task=task, node="n0", key=task, kind="text", text=text))
        progress = Progress("r1", "flow", GRAPH)
        for seq, (fact, at) in enumerate(facts, 1):
            progress.apply("r1", seq, Event(fact, None, at))
        tree = LiveTree(Paper(stderr=True), progress, lambda: now, lambda: None, speech if said else None)
        return [line.plain for line in tree.lines(height)]

    return draw


def started(task, node, at=0, attempt=1):
    return ev.NodeStarted(task=task, node=node, attempt=attempt), at


def ended(task, node, at=0):
    return ev.NodeCompleted(task=task, node=node, attempt=1), at


BEGIN = [
    (ev.RunStarted(run="r1", workflow="flow", plan="p", start="start"), 0),
    (ev.DriverStarted(owner="o", epoch=1), 0),
]


def test_one_task_shows_its_time(drawn):
    lines = drawn([*BEGIN, started("0", "start"), ended("0", "start", 40), started("0", "n0", 40)], now=1540)
    assert lines[0].startswith("● flow  r1  running  1.54s")
    assert lines[1] == "  ✓ start  40ms"
    assert lines[2].endswith("n0  1.50s")


def test_many_tasks_are_one_line_and_the_slow_ones_are_named(drawn):
    facts = [*BEGIN, started("0", "start"), ended("0", "start")]
    facts += [started(f"0.{i}", "n0") for i in range(10_000)]
    facts += [ended(f"0.{i}", "n0", 10) for i in range(9_998)]
    lines = drawn(facts, now=5000)
    assert "n0 ×10,000  9,998 done, 2 running" in lines[2]
    assert [line.split()[0] for line in lines[3:]] == ["0.9998", "0.9999"]


def test_the_picture_is_never_higher_than_it_may_be(drawn):
    facts = [*BEGIN, started("0", "start"), ended("0", "start")]
    for i in range(WIDE):
        facts += [started("0", f"n{i}"), ended("0", f"n{i}")]
    facts += [started("0~m", "n3")]
    for height in (3, 5, 10, 33):
        assert len(drawn(facts, height)) <= height
    short = drawn(facts, 8)
    assert "ended" in short[1]
    busy = [*BEGIN, *[started(f"0~m{i}", f"n{i}") for i in range(WIDE)]]
    crowded = drawn(busy, 8)
    assert len(crowded) <= 8
    assert "more under way" in crowded[-1]


def test_waits_say_for_what_and_until_when(drawn):
    base = {"digest": "", "task": "0", "node": "n0", "wait": True}
    for kind, said in (
        ("human", "waits for a human"),
        ("child", "waits for a child run"),
        ("timer", "sleeps in 3.00s"),
    ):
        due = 3000 if kind == "timer" else None
        facts = [*BEGIN, started("0", "n0"), (ev.EffectStarted(key="k", kind=kind, name="x", due=due, **base), 0)]
        assert said in drawn(facts)[1]


def test_the_end_says_how_it_went(drawn):
    facts = [*BEGIN, started("0", "n0"), (ev.NodeFailed(task="0", node="n0", attempt=1, code="boom"), 9)]
    lines = drawn([*facts, (ev.RunFinished(state="failed", status="failure"), 10)], now=99_999)
    assert lines[0].startswith("✗ flow  r1  failure  10ms")
    assert "boom" in lines[1]


def test_what_a_model_says_stands_under_its_node(drawn):
    lines = drawn([*BEGIN, started("0", "n0")], said={"0": "so it goes", "0.9": "elsewhere"})
    assert lines[2:] == ["    so it goes"]
    assert drawn([*BEGIN, started("0", "n0"), ended("0", "n0")], said={"0": "so it goes"})[2:] == []


def test_of_many_tasks_those_that_are_named_say_one_line(drawn):
    facts = [*BEGIN, started("0", "n0"), ended("0", "n0"), *[started(f"0.{i}", "n1") for i in range(5)]]
    lines = drawn(facts, now=5000, said={"0.1": "word " * 100})
    at = next(i for i, line in enumerate(lines) if line.strip().startswith("0.1 "))
    assert lines[at + 1].split()[:2] == ["word", "word"]
    assert lines[at + 2].strip().startswith("0.2 ")


def test_what_is_said_goes_first_where_there_is_little_room(drawn):
    facts = [*BEGIN, started("0", "n0"), ended("0", "n0"), started("0", "n1")]
    assert drawn(facts, 4, said={"0": "so it goes"})[1:] == ["  ✓ n0  ", "  ⠋ n1  0ms", "    so it goes"]
    assert drawn(facts, 3, said={"0": "so it goes"})[1:] == ["  ✓ n0  ", "  ⠋ n1  0ms"]
