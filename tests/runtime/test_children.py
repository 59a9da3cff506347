"""Child runs (W10, W13): started, awaited, found again, cancelled with their parent."""

import asyncio

import pytest

from clew.core import events as ev
from clew.core.errors import Conflict, JournalError
from clew.runtime.children import child_id
from clew.testing import ManualClock, ScriptedHuman
from clew.testing.clock import settle

NODES = [{"id": "s", "role": "start"}, {"id": "a", "role": "linear", "handler": "a"}, {"id": "x", "role": "exit"}]
ENDLESS = """
    import asyncio, world
    async def a(input, ctx):
        world.entered.set()
        await asyncio.Event().wait()
"""
PARENT = "async def a(input, ctx):\n    return await ctx.run('../child', input)\n"


@pytest.fixture
def clock():
    return ManualClock(auto=True)


@pytest.fixture
def family(project, engine):
    def make(child, parent=PARENT):
        project(NODES, "s>a>x", child, name="child")
        return engine(project(NODES, "s>a>x", parent, name="parent"))

    return make


async def test_a_childs_output_is_the_waits_answer(family):
    engine = family("async def a(input, ctx):\n    return input * 2\n")
    result = await engine.run(21)
    child = child_id(result.run_id, "0/a#1/1")
    assert result.output == {"run": child, "status": "success", "output": 42}
    (row,) = [r for r in await engine.runs() if r.run == child]
    assert (row.parent, row.state, row.workflow) == (f"{result.run_id}:0/a#1/1", "completed", "child")


async def test_a_failing_child_fails_the_call_with_its_error(family):
    engine = family(
        "from clew import Failure\nasync def a(input, ctx):\n    raise Failure('no luck', code='luck')\n",
        """
        from clew import Failure
        async def a(input, ctx):
            try:
                await ctx.run("../child")
            except Failure as failure:
                return [failure.code, failure.details["error"]["code"]]
    """,
    )
    assert (await engine.run()).output == ["child_failed", "luck"]


async def test_a_child_that_is_no_project(family):
    engine = family("async def a(input, ctx): ...\n", "async def a(input, ctx):\n    await ctx.run('../nowhere')\n")
    result = await engine.run()
    assert result.status == "failure"
    assert result.error["code"] == "manifest"


async def test_a_child_outside_of_every_project_is_a_clear_error(family):
    engine = family(
        "async def a(input, ctx): ...\n", "async def a(input, ctx):\n    await ctx.run('../../../../../../etc')\n"
    )
    assert (await engine.run()).status == "failure"


async def test_a_parent_that_died_finds_its_child_again(family, world, crash):
    engine = family("import world\nasync def a(input, ctx):\n    world.did.append(1)\n    return 7\n")
    with crash(engine, lambda f: isinstance(f, ev.EffectFinished) and f.kind == "child"):
        handle = await engine.start()
        with pytest.raises(JournalError):
            await handle.result()
        await settle()
    (result,) = await engine.resume(handle.run_id)
    assert result.output["output"] == 7
    assert world.did == [1]


async def test_both_died_and_the_child_goes_on_where_it_was(family, world, crash):
    engine = family(
        """
        import world
        async def a(input, ctx):
            await ctx.effect("e", lambda: world.did.append(1))
            return await ctx.effect("f", lambda: 7)
    """
    )
    with crash(engine, lambda f: isinstance(f, ev.EffectStarted) and f.name == "f"):
        handle = await engine.start()
        with pytest.raises(JournalError):
            await handle.result()
        await settle()
    (result,) = await engine.resume(handle.run_id)
    assert (result.output["output"], world.did) == (7, [1])
    assert len(await engine.runs()) == 2


async def test_a_question_of_a_child_is_its_parents(family):
    engine = family("async def a(input, ctx):\n    return await ctx.ask('how many?')\n")
    result = await engine.run()
    assert result.state == "waiting"
    (asked,) = result.waiting
    assert asked.run.startswith(result.run_id + ".")
    result = await ScriptedHuman(3).attend(engine, result)
    assert result.output["output"] == 3


async def test_a_cancelled_parent_ends_its_child(family, world):
    world.entered = asyncio.Event()
    engine = family(
        "import asyncio, world\nasync def a(input, ctx):\n    world.entered.set()\n    await asyncio.Event().wait()\n"
    )
    handle = await engine.start()
    await world.entered.wait()
    assert (await engine.cancel(handle.run_id)).state == "cancelled"
    await settle(500)
    assert {r.state for r in await engine.runs()} == {"cancelled"}


async def test_runs_that_run_themselves_end_at_a_depth(project, engine):
    one = engine(project(NODES, "s>a>x", "async def a(input, ctx):\n    return await ctx.run('.')\n"))
    result = await one.run()
    assert result.status == "failure"
    assert len(await one.runs()) <= 18


async def test_children_in_parallel_keep_their_order(family):
    engine = family(
        "async def a(input, ctx):\n    await ctx.sleep(10 - input)\n    return input\n",
        """
        async def a(input, ctx):
            results = await ctx.gather(*(ctx.run("../child", i) for i in range(3)))
            return [r["output"] for r in results]
    """,
    )
    result = await (await engine.start()).result()
    assert result.output == [0, 1, 2]


async def test_a_child_that_nobody_waits_for_any_more_is_cancelled_while_its_parent_goes_on(project, engine, world):
    """The arm that asked for it lost: ``wait: first``."""
    world.entered = asyncio.Event()
    project(NODES, "s>a>x", ENDLESS, name="child")
    nodes = [
        {"id": "s", "role": "start"}, {"id": "b", "role": "branch", "wait": "first"},
        {"id": "l", "role": "linear", "handler": "slow"}, {"id": "r", "role": "linear", "handler": "fast"},
        {"id": "x", "role": "exit"},
    ]  # fmt: skip
    handlers = """
        import world
        async def slow(input, ctx):
            await ctx.run("../child")
        async def fast(input, ctx):
            await world.entered.wait()
            return "fast"
    """
    one = engine(project(nodes, "s>b>l>x b>r>x", handlers, name="parent"))
    result = await one.run()
    assert result.output == "fast"
    await settle(500)
    assert {r.run: r.state for r in await one.runs() if "." in r.run}.popitem()[1] == "cancelled"


async def test_a_child_that_another_process_drives_is_told_through_its_inbox(family, world, monkeypatch):
    world.entered = asyncio.Event()
    engine = family(ENDLESS)
    handle = await engine.start()
    await world.entered.wait()
    scheduler, journal = engine.workspace.scheduler, engine.workspace.journal
    child = next(run for run in scheduler.hosts if "." in run)
    await scheduler.let_go(scheduler.hosts[child])

    async def driven(run):
        raise Conflict(f"run {run} is driven by process 1", code="driven")

    monkeypatch.setattr(journal, "claim", driven)
    await engine.cancel(handle.run_id)
    await settle(500)
    (message,) = await journal.messages([child])
    assert (message.kind, message.body["by"]) == ("cancel", f"run {handle.run_id}")


async def test_a_journal_that_fails_while_a_child_is_started_stops_the_parent(family, crash):
    engine = family("async def a(input, ctx):\n    return 1\n")
    with crash(engine, lambda f: isinstance(f, ev.RunStarted) and f.parent):
        handle = await engine.start()
        with pytest.raises(JournalError):
            await handle.result()
        await settle()
    (result,) = await engine.resume(handle.run_id)
    assert result.output["output"] == 1
