"""Places in the queue, and whose turn it is (W13)."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.core import events as ev
from clew.core.errors import NotFound
from clew.gate.ports.journal import RunFilter
from clew.runtime.turns import Turns
from clew.service import runs
from clew.testing.clock import settle


def line(*projects):
    return [(f"{p}{n}", SimpleNamespace(project=SimpleNamespace(directory=Path(p)))) for n, p in enumerate(projects)]


def order(turns, at_work=None):
    taken = []
    while turns:
        taken.append(turns.next(at_work or {})[0])
    return taken


def test_projects_take_turns_and_within_one_it_is_first_in_first_out():
    assert order(Turns(line("a", "a", "a", "b", "b", "c"))) == ["a0", "b3", "c5", "a1", "b4", "a2"]


def test_who_has_fewest_at_work_is_next():
    turns = Turns(line("a", "a", "b", "b"))
    assert turns.next({Path("a"): 1})[0] == "b2"
    assert turns.next({Path("a"): 1, Path("b"): 0})[0] == "b3"
    assert turns.next({Path("a"): 1})[0] == "a0"


@given(st.lists(st.sampled_from("abc"), max_size=20))
def test_everybody_gets_a_turn_in_order_and_none_waits_longer_than_a_round(projects):
    queue = line(*projects)
    taken = order(Turns(queue))
    assert sorted(taken) == sorted(run for run, _ in queue)
    for p in "abc":
        own = [run for run in taken if run[0] == p]
        assert own == [run for run, _ in queue if run[0] == p]
    for at, run in enumerate(taken):
        rest = {other[0] for other in taken[at:]}
        window = taken[at : at + len(rest)]
        assert len({other[0] for other in window}) == len(window), (run, taken)


# -- places ------------------------------------------------------------------------------------------------------------

LOGGED = """
    import world
    async def a(input, ctx):
        world.did.append(f"begin {input}")
        await world.act(input, ctx)
        world.did.append(f"end {input}")
        return input
"""


@pytest.mark.parametrize("wait", ["sleep", "backoff", "ask_first"])
async def test_what_waits_holds_no_place(solo, world, clock, wait):
    """With one place, the second run goes through while the first sleeps, backs off or waits for an answer."""

    async def act(name, ctx):
        if name == "first" and wait == "sleep":
            await ctx.sleep(60)
        elif name == "first" and wait == "ask_first":
            await ctx.ask("?", {})
        elif name == "first" and world.did.count("begin first") == 1:
            raise RuntimeError("again")

    world.act = act
    engine = solo(LOGGED, retry={"max_attempts": 2, "backoff": {"initial": "60s", "max": "60s"}})
    for name in ("first", "second", "third"):
        await engine.enqueue(name)
    driving = asyncio.create_task(engine.run_queued(1))
    for _ in range(20):
        await settle()
    assert world.did[:1] == ["begin first"]
    assert world.did[1:5] == ["begin second", "end second", "begin third", "end third"]
    if wait != "ask_first":
        await clock.passes(60_000)
    results = await driving
    assert [r.state for r in results] == ["waiting" if wait == "ask_first" else "completed", "completed", "completed"]


async def test_what_wakes_goes_on_and_nothing_new_is_begun_beside_it(solo, world, clock):
    world.gate = asyncio.Event()

    async def act(name, ctx):
        if name == "first":
            await ctx.sleep(1)
        await world.gate.wait()

    world.act = act
    engine = solo(LOGGED)
    for name in ("first", "second", "third"):
        await engine.enqueue(name)
    driving = asyncio.create_task(engine.run_queued(1))
    for _ in range(10):
        await settle()
    await clock.passes(1_000)
    for _ in range(10):
        await settle()
    assert world.did == ["begin first", "begin second", "begin first"]
    world.gate.set()
    await driving
    assert world.did.count("begin third") == 1


PARENT = """
    import world
    async def a(input, ctx):
        world.did.append(f"begin {input}")
        got = await ctx.run("../child", input) if input == "parent" else None
        world.did.append(f"end {input}")
        return got
"""
CHILD = """
    import world
    async def a(input, ctx):
        world.did.append("child works")
        await world.gate.wait()
        world.did.append("child ends")
"""


async def test_a_child_run_works_in_its_parents_place(solo, project, world):
    world.gate = asyncio.Event()
    nodes = [
        {"id": "start", "role": "start"},
        {"id": "a", "role": "linear", "handler": "a"},
        {"id": "d", "role": "exit"},
    ]
    project(nodes, "start>a>d", CHILD, name="child")
    engine = solo(PARENT)
    for name in ("parent", "other"):
        await engine.enqueue(name)
    driving = asyncio.create_task(engine.run_queued(1))
    for _ in range(20):
        await settle()
    assert world.did == ["begin parent", "child works"]
    world.gate.set()
    await driving
    assert world.did[2:] == ["child ends", "begin parent", "end parent", "begin other", "end other"]


async def test_projects_of_one_state_directory_take_turns(engine, project, world):
    nodes = [
        {"id": "start", "role": "start"},
        {"id": "a", "role": "linear", "handler": "a"},
        {"id": "d", "role": "exit"},
    ]
    handlers = "import world\ndef a(input, ctx):\n    world.did.append(input)\n"
    busy, calm = (engine(project(nodes, "start>a>d", handlers, name=name)) for name in ("busy", "calm"))
    for i in range(4):
        await busy.enqueue(f"busy {i}")
    world_of = await busy.workspace.world(calm.plan, calm.directory)
    for i in range(2):
        order = runs._order(busy.workspace, world_of, runs.RunRequest(input=f"calm {i}"))
        await busy.workspace.scheduler.enqueue(order, world_of)
    await busy.run_queued(1)
    assert world.did == ["busy 0", "calm 0", "busy 1", "calm 1", "busy 2", "busy 3"]


# -- what cannot be driven ---------------------------------------------------------------------------------------------


async def test_a_project_that_is_gone_holds_up_nobody(solo, engine, project, world):
    nodes = [{"id": "start", "role": "start"}, {"id": "d", "role": "exit"}]
    one = solo("import world\ndef a(input, ctx):\n    world.did.append(input)\n")
    gone = project(nodes, "start>d", name="gone")
    other = engine(gone)
    world_of = await one.workspace.world(other.plan, other.directory)
    lost = runs._order(one.workspace, world_of, runs.RunRequest(input=0))
    await one.workspace.scheduler.enqueue(lost, world_of)
    run = await one.enqueue(1)
    gone.rename(gone.with_name("elsewhere"))
    refused = []
    assert await runs.run_queued(one.workspace, 1, lambda name, error: refused.append((name, error.code))) == [run]
    assert (world.did, refused) == ([1], [(lost.run, "not_found")])
    with pytest.raises(NotFound, match="is gone"):
        await one.run_queued()
    assert [row.run for row in await one.runs(RunFilter(states=("queued",)))] == [lost.run]


async def test_what_was_erased_is_refused(solo):
    engine = solo("def a(input, ctx):\n    return input\n")
    lost = await engine.enqueue(1)
    kept = await engine.enqueue(2)
    await engine.workspace.journal.erase(lost)
    refused = []
    driven = await runs.run_queued(engine.workspace, 1, lambda name, error: refused.append(name))
    assert (driven, refused) == ([kept], [lost])


async def test_what_was_taken_meanwhile_is_passed_over(solo, world):
    world.engine = engine = solo("""
        import world
        async def a(input, ctx):
            world.did.append(input)
            if input == 0:
                await world.engine.cancel(world.second)
    """)
    first = await engine.enqueue(0)
    world.second = await engine.enqueue(1)
    assert [r.run_id for r in await engine.run_queued(1)] == [first]
    assert world.did == [0]


async def test_a_remark_being_written_only_delays(solo, monkeypatch):
    engine = solo("def a(input, ctx):\n    return input\n")
    run = await engine.enqueue(1)
    journal = engine.workspace.journal
    claim, tries = journal.claim, []

    async def busy(name):
        tries.append(name)
        if len(tries) == 1:
            raise runs.Conflict("somebody writes", code="driven")
        return await claim(name)

    monkeypatch.setattr(journal, "claim", busy)
    monkeypatch.setattr("clew.runtime.scheduler.POLL_S", 0.001)
    assert [r.run_id for r in await engine.run_queued()] == [run]
    assert len(tries) == 2


async def test_what_ends_in_the_very_moment_is_passed_over(solo, world, monkeypatch):
    engine = solo("import world\ndef a(input, ctx):\n    world.did.append(input)\n")
    run = await engine.enqueue(1)
    adopt = engine.workspace.scheduler.adopt

    async def late(*args):
        monkeypatch.setattr(engine.workspace.scheduler, "adopt", adopt)
        await engine.cancel(run)
        return await adopt(*args)

    monkeypatch.setattr(engine.workspace.scheduler, "adopt", late)
    monkeypatch.setattr("clew.runtime.scheduler.POLL_S", 0.001)
    assert await engine.run_queued() == []
    assert world.did == []


async def test_what_another_process_ends_between_looking_and_claiming_is_passed_over(solo, world, monkeypatch):
    engine = solo("import world\ndef a(input, ctx):\n    world.did.append(input)\n")
    run = await engine.enqueue(1)
    journal = engine.workspace.journal
    claim = journal.claim

    async def late(name):
        monkeypatch.setattr(journal, "claim", claim)
        await engine.cancel(name)
        return await claim(name)

    monkeypatch.setattr(journal, "claim", late)
    monkeypatch.setattr("clew.runtime.scheduler.POLL_S", 0.001)
    assert await engine.run_queued() == []
    assert (await engine.workspace.journal.row(run)).owner == ""
    assert world.did == []


# -- deadlines ---------------------------------------------------------------------------------------------------------


async def test_a_run_past_its_deadline_is_not_entered_again(solo, world, clock, crash):
    engine = solo("""
        import world
        async def a(input, ctx):
            world.did.append(input)
            await ctx.effect("e", lambda: 1)
    """)
    with crash(engine, lambda fact: isinstance(fact, ev.EffectFinished)):
        handle = await engine.start(request=runs.RunRequest(input=1, timeout_ms=1_000))
        with pytest.raises(Exception, match="no space"):
            await handle.result()
    await clock.passes(2_000)
    (result,) = await engine.resume(handle.run_id)
    assert (result.state, result.error["code"]) == ("failed", "deadline_exceeded")
    assert world.did == [1]


async def test_a_queued_run_past_its_deadline_fails_without_being_begun(solo, world, clock):
    engine = solo("import world\ndef a(input, ctx):\n    world.did.append(input)\n", retry={"max_attempts": 5})
    request = runs.RunRequest(input=1, timeout_ms=1_000)
    await runs.enqueue(engine.workspace, engine.plan, engine.directory, request)
    await clock.passes(1_000)
    (result,) = await engine.run_queued()
    assert (result.state, result.error["code"], world.did) == ("failed", "deadline_exceeded", [])
