"""Runs traced while they happen: the tree, waits, children, resuming, and that no run ever feels it."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clew.core import events as ev
from clew.core.errors import JournalError, UsageError
from clew.core.events import Event
from clew.gate.door import Door
from clew.gate.effect import Effect, Outcome
from clew.manifest.plan import load
from clew.policies.redact import Redactor
from clew.runtime.children import child_id
from clew.service.engine import AsyncEngine, open_project
from clew.service.traces import export_traces
from clew.telemetry import sender as sending
from clew.telemetry import tracer
from clew.telemetry.spans import trace_id
from clew.telemetry.tracing import Tracing, provider_types, whole
from clew.testing import ManualClock, MemoryRecord, ScriptedDriver, ScriptedHuman, ScriptedModel, write_project
from clew.testing.clock import settle

NODES = [
    {"id": "s", "role": "start"}, {"id": "a", "role": "linear", "handler": "a"},
    {"id": "b", "role": "linear", "handler": "b", "retry": {"max_attempts": 2}}, {"id": "x", "role": "exit"},
]  # fmt: skip
HANDLERS = """
    import world
    from clew import Failure
    async def a(input, ctx):
        await ctx.effect("step", lambda: world.did.append("step"))
        return await ctx.ask("how many?")
    async def b(input, ctx):
        await ctx.sleep("2s")
        await ctx.effect("other", lambda: world.did.append("other"))
        if len(world.did) < 3:
            raise Failure("hunter2", code="not_yet")
        return input
"""
ASKING = "async def a(input, ctx):\n    return await ctx.ask('?')\n"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(auto=True)


@pytest.fixture
def tracing(collector: Any) -> Tracing:
    return Tracing(collector.url, Redactor(values=["hunter2"]).text)


@pytest.fixture
def traced(engine: Callable[..., AsyncEngine], tracing: Tracing) -> Callable[..., AsyncEngine]:
    """``traced(directory)``: an engine whose runs are watched, and taken up with what they did before."""

    def make(directory: Path, by: Tracing = tracing, **settings: Any) -> AsyncEngine:
        one = engine(directory, **settings)
        one.workspace.scheduler.on_adopted = by.recall
        one.workspace.scheduler.watchers.append(by)
        return one

    return make


def once_each(spans: list[Any]) -> bool:
    return set(Counter(s.span_id for s in spans).values()) == {1}


async def test_a_run_as_it_arrives(
    project: Any, traced: Any, tracing: Tracing, collector: Any, world: Any, attributes_of: Any
):
    engine = traced(project(NODES, "s>a>b>x", HANDLERS))
    done = await ScriptedHuman(3).attend(engine, await engine.run())
    assert done.output == 3
    await tracing.close()
    assert once_each(collector.spans)
    assert {int.from_bytes(s.trace_id) for s in collector.spans} == {trace_id(done.run_id)}
    assert collector.tree() == {
        "invoke_workflow project": "", "task 0": "invoke_workflow project", "node s": "task 0", "node a": "task 0",
        "node b": "task 0", "node x": "task 0", "effect step": "node a", "human ask": "node a", "timer sleep": "node b",
        "effect other": "node b", "timer backoff": "task 0",
    }  # fmt: skip
    backoff, sleep = collector.named("timer backoff"), [s for s in collector.spans if s.name == "timer sleep"]
    assert backoff.end_time_unix_nano - backoff.start_time_unix_nano == 10**9
    tries = [attributes_of(s) for s in collector.spans if s.name == "node b"]
    assert [(t["clew.attempt"], t.get("error.type")) for t in tries] == [(1, "not_yet"), (2, None)]
    assert [s.end_time_unix_nano - s.start_time_unix_nano for s in sleep] == [2 * 10**9] * 2
    names = {s.span_id: s for s in collector.spans}
    for span in collector.spans:
        parent = names.get(span.parent_span_id, span)
        assert parent.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= parent.end_time_unix_nano


async def test_a_run_that_goes_on_elsewhere_goes_on_with_its_trace(
    project: Any, traced: Any, collector: Any, tmp_path: Path, world: Any
):
    directory, state = project(NODES, "s>a>b>x", HANDLERS), str(tmp_path / "state")
    first, second = (Tracing(collector.url, str) for _ in range(2))
    one = traced(directory, first, state=state)
    waiting = await one.run()
    await one.close()
    await first.close()
    before = list(collector.spans)
    assert {s.name for s in before} == {"node s", "effect step"}
    two = traced(directory, second, state=state)
    done = await ScriptedHuman(3).attend(two, await two.result(waiting.run_id))
    await second.close()
    assert done.output == 3
    assert once_each(collector.spans)
    assert collector.named("node a").start_time_unix_nano < collector.named("human ask").start_time_unix_nano + 1
    records = await two.workspace.journal.read(done.run_id)
    stored = {s.id: s.name for s in whole((r.event for r in records), {})}
    assert {int.from_bytes(s.span_id): s.name for s in collector.spans} == stored


async def test_a_run_whose_process_died(
    project: Any, traced: Any, tracing: Tracing, collector: Any, crash: Any, world: Any
):
    world.did += [0, 0]
    engine = traced(project(NODES, "s>a>b>x", HANDLERS))
    waiting = await engine.run()
    with crash(engine, lambda f: isinstance(f, ev.NodeCompleted) and f.node == "b"):
        with pytest.raises(JournalError):
            await ScriptedHuman(3).attend(engine, waiting)
        await settle()
    (done,) = await engine.resume(waiting.run_id)
    assert done.output == 3
    await tracing.close()
    own = [s for s in collector.spans if int.from_bytes(s.trace_id) == trace_id(done.run_id)]
    assert once_each(own)
    assert len([s for s in own if s.name == "node b"]) == 1


async def test_a_fork_and_its_parent_are_two_traces(
    project: Any, traced: Any, tracing: Tracing, collector: Any, world: Any
):
    engine = traced(project(NODES, "s>a>b>x", HANDLERS))
    done = await ScriptedHuman(3).attend(engine, await engine.run())
    at = next(r.seq for r in done.history if isinstance(r.event.fact, ev.NodeCompleted) and r.event.fact.node == "a")
    fork = await engine.fork(done.run_id, at)
    await tracing.close()
    assert once_each(collector.spans)
    own = [s for s in collector.spans if int.from_bytes(s.trace_id) == trace_id(fork.run_id)]
    assert sorted(s.name for s in own) == [
        "effect other", "invoke_workflow project", "node b", "node x", "task 0", "timer sleep",
    ]  # fmt: skip
    (link,) = next(s for s in own if s.name.startswith("invoke")).links
    assert int.from_bytes(link.trace_id) == trace_id(done.run_id)


async def test_a_child_run_is_part_of_its_parents_trace(project: Any, traced: Any, tracing: Tracing, collector: Any):
    nodes = [NODES[0], NODES[1], NODES[3]]
    project(nodes, "s>a>x", "async def a(input, ctx):\n    return 1\n", name="child")
    engine = traced(
        project(nodes, "s>a>x", "async def a(input, ctx):\n    return await ctx.run('../child')\n", name="parent")
    )
    result = await engine.run()
    await tracing.close()
    assert {int.from_bytes(s.trace_id) for s in collector.spans} == {trace_id(result.run_id)}
    assert result.output["run"] == child_id(result.run_id, "0/a#1/1")
    wait = next(s for s in collector.spans if s.name.startswith("child "))
    assert collector.named("invoke_workflow child").parent_span_id == wait.span_id
    assert collector.named("invoke_workflow parent").parent_span_id == b""


async def test_a_run_that_is_cancelled(project: Any, traced: Any, tracing: Tracing, collector: Any, attributes_of: Any):
    engine = traced(project([NODES[0], NODES[1], NODES[3]], "s>a>x", ASKING))
    handle = await engine.start()
    await handle.settled()
    await handle.cancel("enough")
    await handle.result()
    await tracing.close()
    assert collector.tree()["human ask"] == "node a"
    assert attributes_of(collector.named("invoke_workflow project"))["clew.state"] == "cancelled"


async def test_models_and_tools_through_the_gate(tracing: Tracing, collector: Any, attributes_of: Any):
    """The outcome that a driver gives is what the span says; requests and answers are not in it."""
    usage = {"input_tokens": 7, "output_tokens": 2, "reasoning_tokens": 1}
    answer = Outcome(output={"parts": [{"content": "hunter2"}]}, usage=usage, cost="0.01", by="main/gpt", tries=2)
    record, driver = MemoryRecord(), ScriptedDriver(answer, {"path": "hunter2"})
    door = Door(record, (), {"model": driver, "tool": driver})
    for key, kind, name in (("t1", "model", "smart"), ("t1.c0", "tool", "read_file")):
        record.time += 5
        await door.perform(
            Effect(
                key=f"0/a#1/{key}", kind=kind, name=name, request={"text": "hunter2"}, task="0", node="a",
                agent="ada", repeat_safe=True,
            )
        )  # fmt: skip
    plan = ev.RunStarted(run="r1", workflow="w", plan="p", start="s")
    for event in (
        Event(plan, {"input": "hunter2"}, 1), Event(ev.NodeStarted(task="0", node="a", attempt=1), None, 2), *record.events,
        Event(ev.NodeCompleted(task="0", node="a", attempt=1), "hunter2", 20),
        Event(ev.RunFinished(state="completed", status="success"), {"output": "hunter2"}, 21),
    ):  # fmt: skip
        tracing("r1", 0, event)
    await tracing.close()
    assert collector.tree() == {
        "chat smart": "invoke_agent ada", "execute_tool read_file": "invoke_agent ada", "invoke_agent ada": "task 0",
        "task 0": "invoke_workflow w", "invoke_workflow w": "",
    }  # fmt: skip
    chat = attributes_of(collector.named("chat smart"))
    assert (chat["gen_ai.usage.reasoning.output_tokens"], chat["clew.cost"], chat["clew.tries"]) == (1, "0.01", 2)
    assert not any(b"hunter2" in request.SerializeToString() for _, _, request in collector.requests)


SECRETIVE = """
        from clew import Failure
        def bad(text):
            raise Failure(text, code="hunter2", details=text)
        async def a(input, ctx):
            try:
                await ctx.effect("send hunter2", bad, input)
            except Failure:
                await ctx.ask("hunter2?")
            raise Failure(input, code=f"code {input}")
"""


async def test_secrets_of_a_whole_run_do_not_appear(project: Any, traced: Any, tracing: Tracing, collector: Any):
    engine = traced(project([NODES[0], NODES[1], NODES[3]], "s>a>x", SECRETIVE))
    await ScriptedHuman("hunter2").attend(engine, await engine.run("hunter2"))
    await tracing.close()
    assert len(collector.spans) > 4
    assert not any(b"hunter2" in request.SerializeToString() for _, _, request in collector.requests)


async def test_no_run_waits_for_a_collector_that_hangs(
    solo: Any, tracing: Tracing, collector: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sending, "FLUSH_S", 0.2)
    monkeypatch.setattr(sending, "DELAY_S", 0.0)
    collector.gate.clear()
    engine = solo("async def a(input, ctx):\n    return 1\n")
    engine.workspace.scheduler.watchers.append(tracing)
    began = time.perf_counter()
    for _ in range(3):
        assert (await engine.run()).output == 1
    await tracing.close()
    assert time.perf_counter() - began < 5
    assert tracing.sender.lost == 15
    collector.gate.set()
    thread = tracing.sender._thread
    assert thread is not None
    thread.join(10)


async def test_a_run_that_is_not_known_and_a_fault_of_ours(
    tracing: Tracing, collector: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    node = Event(ev.NodeStarted(task="0", node="a", attempt=1), None, 1)
    tracing("r0", 9, node)
    origin = ev.RunStarted(run="r1", workflow="w", plan="p", start="s")
    tracing("r1", 1, Event(origin, None, 1))
    monkeypatch.setattr(tracing._runs["r1"], "add", lambda _: 1 // 0)
    tracing("r1", 2, node)
    tracing("r1", 3, node)
    await tracing.close()
    assert caplog.messages == ["run r1 is not traced any further: ZeroDivisionError"]
    assert collector.requests == []


async def test_nothing_is_kept_of_runs_that_are_not_driven_any_more(tracing: Tracing):
    origin = ev.RunStarted(run="r1", workflow="w", plan="p", start="s")
    for last in (ev.DriverStopped(), ev.RunFinished(state="completed", status="success")):
        tracing("r1", 1, Event(origin, None, 1))
        assert tracing._runs
        tracing("r1", 2, Event(last, None, 2))
        assert not tracing._runs
    await tracing.close()


async def test_the_plan_says_what_kind_a_provider_is(project: Any, tracing: Tracing, collector: Any):
    plan = load(project([NODES[0], NODES[3]], "s>x"))
    plan = msgspec.structs.replace(plan, sections={"providers": [{"id": "eu", "type": "gemini"}]})
    assert provider_types(plan) == {"eu": "gemini"}
    tracing.know("p", plan)
    tracing("r1", 1, Event(ev.RunStarted(run="r1", workflow="w", plan="p", start="s"), None, 1))
    assert tracing._runs["r1"]._providers == {"eu": "gemini"}
    await tracing.close()


def test_without_a_collector_there_is_no_tracer():
    assert tracer("", str) is None
    assert isinstance(tracer("http://localhost:4318", str), Tracing)
    code = "import sys, clew.telemetry as t; t.tracer('', str); sys.exit('clew.telemetry.tracing' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_cannot_be_sent_anywhere(project: Any, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UsageError, match="no http"):
        Tracing("nowhere", str)
    plan = load(project([NODES[0], NODES[3]], "s>x"))
    monkeypatch.setattr(sending, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match="not installed"):
        Tracing("http://localhost:4318", str).know("p", plan)


async def test_a_stored_run_is_sent_afterwards_under_the_same_ids(
    project: Any, traced: Any, tracing: Tracing, collector: Any, world: Any
):
    engine = traced(project(NODES, "s>a>b>x", HANDLERS))
    done = await ScriptedHuman(3).attend(engine, await engine.run())
    await tracing.close()
    live = {s.span_id: s for s in collector.spans}
    collector.requests.clear()
    assert await export_traces(engine.workspace, done.run_id, collector.url) == len(live)
    assert {s.span_id: s for s in collector.spans} == live


AGENT = {
    "workflow": {
        "id": "traced",
        "nodes": [
            {"id": "s", "kind": "deterministic", "role": "start"},
            {"id": "w", "kind": "agent", "role": "linear", "agent": "writer"},
            {"id": "e", "kind": "deterministic", "role": "exit"},
        ],
        "edges": [{"from": "s", "to": "w"}, {"from": "w", "to": "e"}],
    },
    "providers": [{"id": "main", "type": "openai"}],
    "agents": [{"id": "writer", "model": "main/gpt-5-mini", "tools": ["lookup"]}],
    "tools": [
        {"id": "lookup", "handler": "handlers:lookup", "repeat_safe": True, "inputs": {"type": "object"}},
    ],
}  # fmt: skip


async def test_an_agents_turns_and_calls_are_spans_of_a_whole_engine(
    collector: Any, attributes_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CLEW_OTLP", collector.url)
    write_project(tmp_path, AGENT, "async def lookup(args, context):\n    return 'sesame'\n")
    model = ScriptedModel(ScriptedModel.call("lookup"), "open sesame")
    async with open_project(tmp_path, ":memory:", models=model) as engine:
        result = await engine.run("open the door")
    assert result.output == "open sesame"
    tree = collector.tree()
    assert tree["invoke_agent writer"]
    assert tree["chat main/gpt-5-mini"] == tree["execute_tool lookup"] == "invoke_agent writer"
    said = [attributes_of(span) for span in collector.spans if span.name == "chat main/gpt-5-mini"]
    assert len(said) == 2
    assert all(s["gen_ai.usage.input_tokens"] > 0 and s["clew.run"] == result.run_id for s in said)
    assert "sesame" not in str(collector.requests), "content is not sent"
