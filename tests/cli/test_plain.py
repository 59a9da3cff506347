import io

import pytest

from clew.cli.plain import PlainLines
from clew.cli.progress import Progress
from clew.cli.session import Session
from clew.cli.terminal import Paper
from clew.core import events as ev
from clew.core.events import Event
from clew.core.graph import Graph, Node


@pytest.fixture
def told(monkeypatch):
    """``told(facts)``: what is written about them."""

    def tell(facts, encoding="utf-8"):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
        monkeypatch.setattr("sys.stderr", stream)
        progress = Progress("r1", "w", Graph(nodes=(Node(id="n", kind="deterministic", role="linear"),), edges=()))
        lines = PlainLines(Session(), Paper(stderr=True), progress)
        for seq, fact in enumerate(facts, 1):
            event = Event(fact, None, 0)
            row, since = lines.before("r1", event)
            progress.apply("r1", seq, event)
            lines.after(event, row, since)
        stream.seek(0)
        return stream.read().splitlines()

    return tell


def started(i):
    return ev.NodeStarted(task=f"0.{i}", node="n", attempt=1)


def test_many_ends_thin_out(told):
    lines = told(
        [started(i) for i in range(2000)] + [ev.NodeCompleted(task=f"0.{i}", node="n", attempt=1) for i in range(2000)]
    )
    assert len(lines) == 12
    assert lines[-1].endswith("n ×1,000 done")


def test_failures_are_told_until_they_are_too_many(told):
    lines = told(
        [f for i in range(200) for f in (started(i), ev.NodeFailed(task=f"0.{i}", node="n", attempt=1, code="boom"))]
    )
    assert len(lines) == 50
    assert "failed: boom" in lines[0]


def test_questions_are_told(told):
    wait = ev.EffectStarted(key="k", kind="human", name="ask", digest="", task="0.0", node="n", wait=True)
    assert "waits for a human" in told([started(0), wait])[0]


def test_plain_encodings_get_plain_letters(told):
    assert "ok n 0.0" in told([started(0), ev.NodeCompleted(task="0.0", node="n", attempt=1)], "ascii")[0]
