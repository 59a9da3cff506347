"""Everything about a run can be read back (W11), at any event (R3)."""

import asyncio

import pytest

from clew.core import events as ev
from clew.core.errors import Erased, JournalError, NotFound, UsageError
from clew.runtime.host import Debugger
from clew.service.inspect import check_readable, origin_of

HANDLERS = """
    from clew import Failure
    async def look(input, ctx):
        seen = await ctx.effect("read", lambda: {"n": 3}, repeat_safe=True)
        await ctx.effect("write", lambda x: x, 1)
        return {"route": "many", "items": [1, 2]}
    async def each(input, ctx):
        if ctx.attempt == 1 and input == 2:
            raise Failure("not yet", code="busy", details={"at": 2})
        return input * 10
    async def bad(input, ctx):
        raise Failure("no", code="mine")
"""
NODES = [
    {"id": "s", "role": "start"},
    {"id": "d", "role": "decision", "handler": "look"},
    {"id": "p", "role": "split", "over": "items"},
    {"id": "w", "role": "linear", "handler": "each", "retry": {"max_attempts": 2}},
    {"id": "m", "role": "merge"},
    {"id": "b", "role": "linear", "handler": "bad"},
    {"id": "r", "role": "linear"},
    {"id": "x", "role": "exit"},
    {"id": "y", "role": "exit"},
]
EDGES = "s>d d>p[many]>w>m>b>x d>y[none] b!r>x"


@pytest.fixture
async def seen(project, engine):
    one = engine(project(NODES, EDGES, HANDLERS))
    result = await (await one.start({"q": 1})).result()
    return one, result, await one.inspect(result.run_id)


def node(view, ident, task=None, attempt=1):
    return next(n for n in view.nodes if n.node == ident and n.attempt == attempt and task in (None, n.task))


async def test_inputs_outputs_and_times_of_every_node(seen):
    _, result, view = seen
    assert (view.input, view.output, view.mode, view.start, view.workflow) == (
        {"q": 1},
        result.output,
        "implement",
        "s",
        "project",
    )
    assert view.events == view.at == len(result.history)
    look = node(view, "d")
    assert (look.input, look.output["route"], look.state, look.role) == ({"q": 1}, "many", "completed", "decision")
    assert look.started <= look.ended
    assert view.run.head.seq == view.events
    assert view.origin.engine


async def test_routes_and_their_reasons(seen):
    _, _, view = seen
    assert node(view, "s").route == "→ d"
    assert node(view, "d").route == "→ p [many]"
    assert node(view, "p").route == "2 items: 0.0 … 0.1"
    assert node(view, "w", "0.1").route == "again after a pause (attempt 1 failed)"
    assert node(view, "w", "0.1", attempt=2).route == "→ m"
    assert node(view, "b").route == "→ r (on failure)"
    assert node(view, "x").route == "ends as success"


async def test_effects_stand_with_their_node(seen):
    _, _, view = seen
    read, write = node(view, "d").effects
    assert (read.kind, read.name, read.status, read.output, read.request) == ("effect", "read", "ok", {"n": 3}, [])
    assert (write.key, write.request, write.output) == ("0/d#1/2", [1], 1)


async def test_failures_and_attempts(seen):
    _, _, view = seen
    failed = node(view, "w", "0.1")
    assert (failed.state, failed.error) == ("failed", {"code": "busy", "message": "not yet", "details": {"at": 2}})
    assert node(view, "w", "0.1", attempt=2).output == 20


async def test_tasks_show_lineage_and_merges(seen):
    _, _, view = seen
    tasks = {t["id"]: t for t in view.tasks}
    assert tasks["0.1"]["merged_into"] == "0~m"
    assert list(tasks["0.1"]["lineage"]) == ["0", "0.1"]
    assert tasks["0"]["status"] == "success"


async def test_the_state_at_any_event(seen, seq_of):
    one, result, _ = seen
    at = seq_of(result, "NodeCompleted", node="d")
    view = await one.inspect(result.run_id, at)
    assert view.at == at
    assert view.output is None
    assert [n.node for n in view.nodes] == ["s", "d"]
    assert {t["node"] for t in view.tasks} == {"p"}
    for i in range(1, len(result.history) + 1):
        assert (await one.inspect(result.run_id, i)).at == i


async def test_an_event_that_is_not_there(seen):
    one, result, _ = seen
    for at in (0, len(result.history) + 1):
        with pytest.raises(UsageError, match=f"has events 1 to {len(result.history)}, not {at}"):
            await one.inspect(result.run_id, at)
    with pytest.raises(NotFound):
        await one.inspect("nobody")


async def test_waits_intents_and_pauses(solo, crash):
    engine = solo("async def a(input, ctx):\n    await ctx.ask('?')\n    await ctx.effect('pay', lambda: 1)\n")
    run = (await engine.run()).run_id
    view = await engine.inspect(run)
    waiting = node(view, "a")
    assert (waiting.state, waiting.effects[0].status) == ("waiting", "open")
    with crash(engine, lambda f: isinstance(f, ev.EffectFinished) and f.name == "pay"), pytest.raises(JournalError):
        await engine.approve(run, 1)
    view = await engine.inspect(run)
    assert [e.status for e in node(view, "a").effects] == ["ok", "in doubt"]
    assert node(view, "a").entries == 2


async def test_a_cancelled_body(solo, world):
    world.entered = asyncio.Event()
    engine = solo(
        "import asyncio, world\nasync def a(input, ctx):\n    world.entered.set()\n    await asyncio.Event().wait()\n"
    )
    handle = await engine.start()
    await world.entered.wait()
    await engine.cancel(handle.run_id)
    assert node(await engine.inspect(handle.run_id), "a").state == "cancelled"


async def test_a_paused_run_says_where(solo):
    engine = solo("async def a(input, ctx):\n    return 1\n")
    handle = await engine.start(debugger=Debugger(breakpoints=frozenset({"a"})))
    await handle.settled()
    assert (await engine.inspect(handle.run_id)).paused == "a"


async def test_arms_of_a_branch_are_named(project, engine):
    nodes = [
        {"id": "s", "role": "start"},
        {"id": "b", "role": "branch"},
        {"id": "l", "role": "linear"},
        {"id": "r", "role": "linear"},
        {"id": "x", "role": "exit"},
    ]
    one = engine(project(nodes, "s>b>l>x b>r>x"))
    view = await one.inspect((await one.run()).run_id)
    assert node(view, "b").route == "2 arms: 0.0 … 0.1"


async def test_what_was_erased_is_told(seen):
    one, result, _ = seen
    await one.workspace.journal.erase(result.run_id)
    records = await one.workspace.journal.read(result.run_id)
    with pytest.raises(Erased, match="event 1 was erased"):
        check_readable(records)
    with pytest.raises(UsageError, match="begins with RunStarted"):
        origin_of([])
