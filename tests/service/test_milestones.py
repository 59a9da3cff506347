"""How far planners are, and alerts for what is late."""

import logging

import pytest

from clew.core.events import Noted
from clew.manifest.plan import load
from clew.service.engine import AsyncEngine
from clew.service.milestones import Alerts, milestones
from clew.service.settings import MEMORY, Settings
from clew.testing import ManualClock, ScriptedModel, write_project

HOUR = 3_600_000
TOOLS = {"tools": [{"id": "plan_milestones", "type": "builtin"}, {"id": "mark_milestone", "type": "builtin"}]}
PLAN = """
async def plan(ctx, *items):
    made = [{"id": name, "title": name.upper(), **({"due_in": due} if due else {})} for name, due in items]
    return await ctx.call("plan_milestones", {"goal": "g", "milestones": made})

async def mark(ctx, name, state):
    return await ctx.call("mark_milestone", {"id": name, "state": state})

async def a(input, ctx):
"""


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def planning(solo):
    """``planning(body)``: an engine whose one node plans and marks as its body says."""

    def make(body):
        lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
        engine = solo(PLAN + lines, sections=TOOLS, tools=["plan_milestones", "mark_milestone"])
        workspace = engine.workspace
        watchers = workspace.scheduler.watchers
        if not any(isinstance(one, Alerts) for one in watchers):
            watchers.append(Alerts(workspace.clock, workspace.journal, workspace.scheduler))
        return engine

    return make


@pytest.fixture
def said(caplog):
    """The alerts so far, as texts."""
    caplog.set_level(logging.WARNING, "clew.alert")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "clew.alert"]


async def of(engine, run):
    now = engine.workspace.clock.now()
    return {one.id: one for one in await milestones(engine.workspace.journal, run, now)}


def notes(result):
    return [r.event.payload for r in result.history if isinstance(r.event.fact, Noted)]


async def test_a_late_one_is_said_once_and_recorded(planning, clock, said):
    engine = planning("""
await plan(ctx, ("a", "1h"), ("b", "3h"), ("c", None))
await mark(ctx, "a", "started")
await ctx.sleep("2h")
await mark(ctx, "a", "done")
await mark(ctx, "b", "done")
return 1
""")
    handle = await engine.start()
    await clock.passes(HOUR)
    assert said() == []
    await clock.passes(1)
    assert said() == [f"run {handle.run_id}: milestone a is late"]
    found = await of(engine, handle.run_id)
    assert {name: one.late for name, one in found.items()} == {"a": True, "b": False, "c": False}
    await clock.passes(HOUR)
    result = await handle.result()
    found = await of(engine, handle.run_id)
    assert {name: (one.state, one.late) for name, one in found.items()} == {
        "a": ("done", True), "b": ("done", False), "c": ("planned", False),
    }  # fmt: skip
    assert found["a"].started < found["a"].due < found["a"].ended
    assert [note["id"] for note in notes(result)] == ["a"]
    assert (result.status, len(said()), clock.pending) == ("success", 1, [])
    assert (await engine.replay(handle.run_id)).verdict == "identical"
    assert await engine.verify() == []


async def test_what_is_done_or_dropped_in_time_is_not_late(planning, clock, said):
    engine = planning("""
await plan(ctx, ("a", "1h"), ("b", "1h"))
await mark(ctx, "a", "done")
await mark(ctx, "b", "dropped")
await ctx.sleep("2h")
""")
    handle = await engine.start()
    await clock.passes(3 * HOUR)
    result = await handle.result()
    assert (said(), notes(result)) == ([], [])
    assert not any(one.late for one in (await of(engine, handle.run_id)).values())


async def test_no_alert_after_the_end(planning, clock, said):
    engine = planning('await plan(ctx, ("a", "1h"))')
    result = await engine.run()
    assert (result.status, clock.pending) == ("success", [])
    await clock.passes(2 * HOUR)
    assert said() == []
    assert (await of(engine, result.run_id))["a"].late


async def test_what_became_late_while_nobody_drove_the_run_is_said_when_it_is_taken_up(planning, clock, said):
    engine = planning("""
await plan(ctx, ("a", "1h"), ("b", "9h"), ("c", "1h"))
await mark(ctx, "c", "done")
return await ctx.ask("go on?")
""")
    waiting = await engine.run()
    assert (waiting.state, clock.pending) == ("waiting", [])
    await clock.passes(2 * HOUR)
    assert said() == []
    host = await engine.workspace.scheduler.adopt(waiting.run_id, await world(engine, waiting.run_id))
    await clock.passes(0)
    assert said() == [f"run {waiting.run_id}: milestone a is late"]
    await engine.workspace.scheduler.let_go(host)
    host = await engine.workspace.scheduler.adopt(waiting.run_id, await world(engine, waiting.run_id))
    await clock.passes(0)
    assert len(said()) == 1, "it was said before"
    await clock.passes(8 * HOUR)
    assert said()[1:] == [f"run {waiting.run_id}: milestone b is late"]
    result = await engine.approve(waiting.run_id, "yes")
    assert (result.status, [note["id"] for note in notes(result)], clock.pending) == ("success", ["a", "b"], [])


async def world(engine, run):
    row = await engine.workspace.journal.row(run)
    return await engine.workspace.recorded_world(row.plan, engine.directory)


async def test_an_alert_for_a_run_that_is_gone_says_nothing(planning, clock, said):
    engine = planning('await plan(ctx, ("a", "1h"))\nawait ctx.sleep("2h")')
    handle = await engine.start()
    await clock.passes(0)
    scheduler = engine.workspace.scheduler
    host = scheduler.hosts.pop(handle.run_id)
    await clock.passes(HOUR + 1)
    assert said() == []
    scheduler.hosts[handle.run_id] = host
    await clock.passes(HOUR)
    assert (await handle.result()).status == "success"


async def test_the_gate_refuses_what_cannot_be_marked(planning):
    engine = planning("""
from clew.core.errors import Failure
await plan(ctx, ("a", None))
codes = []
for name, state in (("zz", "done"), ("a", "done"), ("a", "started")):
    try:
        await mark(ctx, name, state)
    except Failure as failure:
        codes.append(failure.code)
return codes
""")
    assert (await engine.run()).output == ["unknown_milestone", "milestone_ended"]


PLANNER = """
workflow:
  id: planned
  nodes:
    - {id: start, kind: deterministic, role: start}
    - {id: plan, kind: agent, role: linear, agent: planner, tools: [plan_milestones, mark_milestone]}
    - {id: done, kind: deterministic, role: exit}
  edges: [{from: start, to: plan}, {from: plan, to: done}]
providers: [{id: local, type: offline}]
agents:
  - {id: planner, model: local/any, instructions: "clew:planner", tools: [plan_milestones, mark_milestone]}
tools: [{id: plan_milestones, type: builtin}, {id: mark_milestone, type: builtin}]
"""


@pytest.fixture
async def planner(tmp_path, clock):
    """``planner(model)``: an engine whose one agent is the planner; without a model it is offline."""
    opened = []

    def make(model=None):
        directory = write_project(tmp_path / "planned", PLANNER)
        opened.append(AsyncEngine(load(directory), directory, Settings(state=MEMORY), clock=clock, models=model))
        return opened[-1]

    yield make
    for one in opened:
        await one.close()


async def test_a_planner_plans_marks_and_corrects_itself(planner):
    call = ScriptedModel.call
    items = [{"id": "draft", "title": "Draft", "due_in": "2h"}, {"id": "send", "title": "Send"}]
    model = ScriptedModel(
        call("plan_milestones", goal="A letter", milestones=items),
        [call("mark_milestone", id="drafft", state="done"), call("mark_milestone", id="draft", state="started")],
        call("mark_milestone", id="draft", state="done", note="it is there"),
        "planned",
    )
    engine = planner(model)
    result = await engine.run("A letter")
    assert (result.status, result.output) == ("success", "planned")
    assert model.seen[0].messages[0].parts[0].content.startswith("You plan work")
    refused, taken = model.seen[2].messages[-1].parts
    assert (refused.error, refused.response["error"]["code"], taken.error) == (True, "unknown_milestone", False)
    found = await of(engine, result.run_id)
    assert {name: (one.state, one.agent) for name, one in found.items()} == {
        "draft": ("done", "planner"), "send": ("planned", "planner"),
    }  # fmt: skip
    assert (await engine.replay(result.run_id)).verdict == "identical"


async def test_offline_a_goal_is_planned_as_it_splits_itself(planner):
    engine = planner()
    result = await engine.run({"goal": "Write a letter within 2 hours, then send it and then file the copy"})
    assert result.status == "success"
    assert "offline" in result.output
    found = await of(engine, result.run_id)
    assert [(one.title, one.state) for one in found.values()] == [
        ("Write a letter within 2 hours", "planned"), ("send it", "planned"), ("file the copy", "planned"),
    ]  # fmt: skip
    assert (found["m1"].due - found["m1"].planned, found["m2"].due) == (2 * HOUR, None)
