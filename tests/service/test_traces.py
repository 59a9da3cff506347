"""The trace of a stored run, sent afterwards."""

from collections.abc import Sequence
from typing import Any

import pytest

from clew.core.errors import ClewError, NotFound, UsageError
from clew.service import traces
from clew.service.engine import AsyncEngine
from clew.service.traces import export_traces
from clew.telemetry.spans import Span

DOUBLE = "async def a(input, ctx):\n    return input * 2\n"


class Sink:
    """Takes ``room`` batches."""

    def __init__(self, room: int) -> None:
        self.room, self.batches, self.closed = room, [], False

    def send(self, spans: Sequence[Span]) -> str | None:
        self.batches.append(spans)
        return None if len(self.batches) <= self.room else "HTTP 500"

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Sink:
    one = Sink(99)
    monkeypatch.setattr(traces, "BATCH", 2)
    monkeypatch.setattr(traces, "open_sink", lambda url, mask: one)
    return one


async def test_a_run_is_sent_in_batches(solo: Any, sink: Sink):
    engine: AsyncEngine = solo(DOUBLE)
    run = (await engine.run(2)).run_id
    assert await export_traces(engine.workspace, run, "http://c:1") == 5
    assert [[s.name for s in batch] for batch in sink.batches] == [
        ["node start", "node a"], ["node done", "task 0"], ["invoke_workflow project"],
    ]  # fmt: skip
    assert sink.closed


async def test_a_run_that_waits_is_sent_as_far_as_it_got(solo: Any, sink: Sink):
    engine: AsyncEngine = solo("async def a(input, ctx):\n    return await ctx.ask('?')\n")
    assert await export_traces(engine.workspace, (await engine.run()).run_id, "http://c:1") == 1


async def test_a_collector_that_does_not_take_it(solo: Any, sink: Sink):
    engine: AsyncEngine = solo(DOUBLE)
    run = (await engine.run(2)).run_id
    sink.room = 1
    with pytest.raises(ClewError, match=rf"trace of run {run} was not taken by http://c:1: HTTP 500"):
        await export_traces(engine.workspace, run, "http://me:hunter2@c:1")
    assert (len(sink.batches), sink.closed) == (2, True)


async def test_no_collector_and_no_run(solo: Any):
    engine: AsyncEngine = solo(DOUBLE)
    with pytest.raises(UsageError, match="CLEW_OTLP"):
        await export_traces(engine.workspace, "r1")
    with pytest.raises(NotFound):
        await export_traces(engine.workspace, "r1", "http://c:1")
