import pytest

from clew.cli.progress import Progress
from clew.core import events as ev
from clew.core.events import Event
from clew.core.graph import Backoff, Edge, Graph, Node, Retry

GRAPH = Graph(
    nodes=(
        Node(id="start", kind="deterministic", role="start"),
        Node(id="parts", kind="deterministic", role="split"),
        Node(
            id="work", kind="deterministic", role="linear", retry=Retry(max_attempts=2, backoff=Backoff(initial_ms=500))
        ),
    ),
    edges=(Edge(source="start", target="parts"), Edge(source="parts", target="work")),
)


class Feed:
    def __init__(self):
        self.progress, self.seq = Progress("r1", "w", GRAPH), 0

    def __call__(self, fact, at=0):
        self.seq += 1
        self.progress.apply("r1", self.seq, Event(fact, None, at))
        return self.progress

    def row(self, *key):
        return self.progress.rows[key]


@pytest.fixture
def feed():
    feed = Feed()
    feed(ev.RunStarted(run="r1", workflow="w", plan="p", start="start"))
    feed(ev.DriverStarted(owner="o", epoch=1))
    for node in ("start", "parts"):
        feed(ev.NodeStarted(task="0", node=node, attempt=1))
        feed(ev.NodeCompleted(task="0", node=node, attempt=1))
    return feed


def test_tasks_of_one_place_are_counted_together(feed):
    for i in range(1000):
        feed(ev.NodeStarted(task=f"0.{i}", node="work", attempt=1), at=i)
    for i in range(990):
        feed(ev.NodeCompleted(task=f"0.{i}", node="work", attempt=1), at=1000)
    row = feed.row(("parts",), "work")
    assert (row.total, row.done, len(row.active), row.ms, row.state) == (1000, 990, 10, 1000, "running")
    assert len(feed.progress.rows) == 3


def test_an_attempt_that_fails_waits_and_is_tried_again(feed):
    feed(ev.NodeStarted(task="0.0", node="work", attempt=1), at=10)
    feed(ev.NodeFailed(task="0.0", node="work", attempt=1, code="flaky"), at=20)
    row = feed.row(("parts",), "work")
    assert (row.failed, row.retries, row.state) == (0, 1, "waiting")
    assert (row.active["0.0"].wait, row.active["0.0"].due) == ("backoff", 520)
    feed(ev.NodeStarted(task="0.0", node="work", attempt=2), at=520)
    assert row.active["0.0"].attempt == 2
    feed(ev.NodeFailed(task="0.0", node="work", attempt=2, code="flaky"), at=530)
    assert (row.failed, row.state, row.error) == (1, "failed", "flaky")


def test_waits_and_answers(feed):
    feed(ev.NodeStarted(task="0.0", node="work", attempt=1))
    wait = {"key": "k", "kind": "human", "name": "ask", "digest": "", "task": "0.0", "node": "work"}
    feed(ev.EffectStarted(**wait, wait=True, due=99))
    assert feed.row(("parts",), "work").state == "asks"
    assert feed.progress.standing == "asks"
    feed(ev.EffectFinished(**wait, cost="0.25"))
    feed(ev.NodeStarted(task="0.0", node="work", attempt=1, entry=2))
    assert feed.progress.standing == "running"
    assert feed.progress.cost == 0.25


def test_a_cancelled_wait_is_dropped_when_its_task_has_ended(feed):
    feed(ev.NodeStarted(task="0.0", node="work", attempt=1))
    feed(ev.EffectStarted(key="k", kind="timer", name="sleep", digest="", task="0.0", node="work", wait=True))

    class Ended:
        state = "cancelled"

    feed.progress.drop_ended({"0.0": Ended()})
    assert feed.row(("parts",), "work").state == "cancelled"


def test_the_end_closes_what_was_open_and_pauses_are_known(feed):
    feed(ev.RunPaused(reason="step", node="work"))
    assert feed.progress.standing == "paused"
    feed(ev.RunUnpaused())
    feed(ev.NodeStarted(task="0.0", node="work", attempt=1))
    feed(ev.NodeStopped(task="0.0", node="work", attempt=1))
    feed(ev.NodeStarted(task="0.1", node="work", attempt=1))
    feed(ev.RunFinished(state="cancelled"))
    assert feed.progress.standing == "cancelled"
    assert feed.row(("parts",), "work").stopped == 2


def test_other_runs_and_repeated_events_are_passed_over(feed):
    before = feed.progress.ended_nodes
    feed.progress.apply("r2", 99, Event(ev.NodeStarted(task="0", node="x", attempt=1), None, 0))
    feed.progress.apply("r1", 1, Event(ev.NodeStarted(task="0", node="x", attempt=1), None, 0))
    assert feed.progress.ended_nodes == before
    assert not feed.progress.row("0")
