"""The host: commits, pauses, stops, deadlines, crashes, a journal that fails (W7, W9, R2, R3)."""

import asyncio

import pytest

from clew.core import events as ev
from clew.core.errors import ClewError, JournalError, Stopped
from clew.runtime.host import Debugger, Host
from clew.service.runs import RunRequest, world_of
from clew.testing import ManualClock
from clew.testing.clock import settle

NODES = [
    {"id": "s", "role": "start"},
    {"id": "a", "role": "linear"},
    {"id": "b", "role": "linear"},
    {"id": "x", "role": "exit"},
]
CHAIN = "s>a>b>x"

HANG = """
    import asyncio, world
    async def a(input, ctx):
        world.entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            world.did.append("left")
"""


@pytest.fixture
def clock():
    return ManualClock()


def kinds(result):
    return [type(r.event.fact).__name__ for r in result.history]


def started(result):
    return [r.event.fact.node for r in result.history if isinstance(r.event.fact, ev.NodeStarted)]


# -- step, breakpoints, pause ----------------------------------------------------------------------------------------


async def test_stepping_goes_node_by_node(project, engine):
    one = engine(project(NODES, CHAIN))
    handle = await one.start(1, debugger=Debugger(step=True))
    host = one.host(handle.run_id)
    for node in ("s", "a", "b", "x"):
        result = await handle.settled()
        assert (host.machine.paused.reason, host.machine.paused.node) == ("step", node)
        assert node not in started(result)
        await host.unpause("ada")
    assert (await handle.result()).output == 1


async def test_stepping_through_arms_takes_one_at_a_time(project, engine):
    nodes = [
        {"id": "s", "role": "start"},
        {"id": "b", "role": "branch"},
        {"id": "l", "role": "linear"},
        {"id": "r", "role": "linear"},
        {"id": "x", "role": "exit"},
    ]
    one = engine(project(nodes, "s>b>l>x b>r>x"))
    handle = await one.start(1, debugger=Debugger(step=True))
    host = one.host(handle.run_id)
    seen = []
    while host.machine.state != "completed":
        result = await handle.settled()
        seen.append(len(started(result)))
        await host.unpause()
    assert seen == list(range(len(seen)))
    assert (await handle.result()).status == "success"


async def test_breakpoints_stop_before_their_node_once(project, engine):
    one = engine(project(NODES, CHAIN))
    handle = await one.start(1, debugger=Debugger(breakpoints=frozenset({"b"})))
    host = one.host(handle.run_id)
    result = await handle.settled()
    assert started(result) == ["s", "a"]
    assert (host.machine.paused.reason, host.machine.paused.node) == ("breakpoint", "b")
    await host.unpause()
    assert (await handle.result()).status == "success"


async def test_a_pause_lets_what_runs_end_and_starts_nothing(solo, world):
    world.entered, world.go = asyncio.Event(), asyncio.Event()
    engine = solo(
        "import world\nasync def a(input, ctx):\n    world.entered.set()\n    await world.go.wait()\n    return 5\n"
    )
    handle = await engine.start()
    host = engine.host(handle.run_id)
    await world.entered.wait()
    assert await host.pause("asked")
    assert not await host.pause("asked")
    assert not host.parked.is_set()
    world.go.set()
    result = await handle.settled()
    assert started(result) == ["start", "a"]
    assert await host.unpause("ada")
    assert not await host.unpause("ada")
    assert (await handle.result()).output == 5


# -- cancel and deadline ---------------------------------------------------------------------------------------------


async def test_a_cancel_stops_running_bodies(solo, world):
    world.entered = asyncio.Event()
    engine = solo(HANG)
    handle = await engine.start()
    await world.entered.wait()
    result = await engine.cancel(handle.run_id, "enough")
    assert (result.state, result.status) == ("cancelled", None)
    assert result.error["message"] == "enough"
    assert world.did == ["left"]
    assert kinds(result)[-3:] == ["StopRequested", "NodeStopped", "RunFinished"]


async def test_a_body_that_ends_while_it_is_cancelled_is_stopped_all_the_same(solo, world):
    world.entered = asyncio.Event()
    engine = solo("""
        import asyncio, world
        async def a(input, ctx):
            world.entered.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return "done anyway"
    """)
    handle = await engine.start()
    await world.entered.wait()
    result = await engine.cancel(handle.run_id)
    assert result.state == "cancelled"


async def test_a_body_that_does_not_leave_is_left_behind_after_a_grace(solo, world, clock, caplog):
    world.entered, world.go = asyncio.Event(), asyncio.Event()
    engine = solo("""
        import asyncio, world
        async def a(input, ctx):
            world.entered.set()
            while not world.go.is_set():
                try:
                    await world.go.wait()
                except asyncio.CancelledError:
                    pass
            world.did.append("left at last")
    """)
    handle = await engine.start()
    await world.entered.wait()
    cancelling = asyncio.create_task(engine.cancel(handle.run_id))
    await clock.passes(4_999)
    assert not cancelling.done()
    await clock.passes(1)
    assert (await cancelling).state == "cancelled"
    assert "does not stop" in caplog.text
    world.go.set()
    await settle()
    assert world.did == ["left at last"]


async def test_a_deadline_is_final(solo, world, clock):
    world.entered = asyncio.Event()
    engine = solo(HANG, retry={"max_attempts": 5, "on": ["deadline_exceeded", "timeout"]})
    handle = await engine.start(request=RunRequest(timeout_ms=60_000))
    await world.entered.wait()
    clock.advance(60_000)
    result = await handle.result()
    assert (result.state, result.status) == ("failed", "failure")
    assert result.error["code"] == "deadline_exceeded"


async def test_a_deadline_ends_a_run_that_waits(solo, clock):
    engine = solo("async def a(input, ctx):\n    await ctx.ask('?')\n")
    handle = await engine.start(request=RunRequest(timeout_ms=60_000))
    await handle.settled()
    clock.advance(60_000)
    assert (await handle.result()).error["code"] == "deadline_exceeded"


async def test_a_deadline_that_passed_while_nobody_drove_the_run(solo, clock):
    engine = solo("async def a(input, ctx):\n    await ctx.ask('?')\n")
    handle = await engine.start(request=RunRequest(timeout_ms=60_000))
    await handle.settled()
    await engine.workspace.scheduler.let_go(engine.host(handle.run_id))
    clock.advance(60_000)
    await engine.resume(handle.run_id)
    await settle()
    assert (await engine.result(handle.run_id)).error["code"] == "deadline_exceeded"


async def test_a_run_that_ended_before_its_deadline_stays_as_it_is(solo, clock):
    engine = solo("async def a(input, ctx):\n    return 1\n")
    handle = await engine.start(request=RunRequest(timeout_ms=60_000))
    result = await handle.result()
    await clock.passes(60_000)
    assert (await engine.result(result.run_id)).status == "success"
    assert clock.pending == []


# -- retries ---------------------------------------------------------------------------------------------------------


async def test_every_attempt_is_in_the_history_and_backoff_takes_its_time(solo, world, clock):
    engine = solo(
        """
        import world
        async def a(input, ctx):
            world.did.append(ctx.attempt)
            if ctx.attempt < 3:
                raise OSError("away")
            return "here"
    """,
        retry={"max_attempts": 3, "backoff": {"initial": "2s", "factor": 10, "max": "5s"}},
    )
    handle = await engine.start()
    await clock.passes(1_999)
    assert world.did == [1]
    await clock.passes(1)
    assert world.did == [1, 2]
    await clock.passes(4_999)
    assert world.did == [1, 2]
    await clock.passes(1)
    result = await handle.result()
    assert (world.did, result.output) == ([1, 2, 3], "here")
    assert kinds(result).count("NodeFailed") == 2


# -- arms ------------------------------------------------------------------------------------------------------------


async def test_arms_run_at_once_up_to_max_arms(project, engine, world):
    world.now = world.most = 0
    handlers = """
        import asyncio, world
        async def work(input, ctx):
            world.now += 1
            world.most = max(world.most, world.now)
            for _ in range(5):
                await asyncio.sleep(0)
            world.now -= 1
            return input
    """
    nodes = [
        {"id": "s", "role": "start"},
        {"id": "p", "role": "split", "over": "n"},
        {"id": "w", "role": "linear", "handler": "work"},
        {"id": "x", "role": "exit"},
    ]
    one = engine(project(nodes, "s>p>w>x", handlers, workflow={"max_arms": 3}))
    result = await one.run({"n": list(range(10))})
    assert (result.output, world.most) == (list(range(10)), 3)


async def test_the_first_arm_stops_the_other(project, engine, world):
    world.entered = asyncio.Event()
    handlers = (
        HANG
        + """
    async def fast(input, ctx):
        await world.entered.wait()
        return "fast"
    """
    )
    nodes = [
        {"id": "s", "role": "start"},
        {"id": "b", "role": "branch", "wait": "first"},
        {"id": "l", "role": "linear", "handler": "a"},
        {"id": "r", "role": "linear", "handler": "fast"},
        {"id": "x", "role": "exit"},
    ]
    one = engine(project(nodes, "s>b>l>x b>r>x", handlers))
    result = await one.run()
    assert (result.output, world.did) == ("fast", ["left"])


# -- crashes ---------------------------------------------------------------------------------------------------------


async def crash_in_body(engine, crash, run=None):
    """A process that dies while the body of node ``a`` runs."""
    with crash(engine, lambda f: isinstance(f, ev.NodeCompleted) and f.node == "a"):
        if run is None:
            handle = await engine.start()
            with pytest.raises(JournalError):
                await handle.settled()
            run = handle.run_id
        else:
            with pytest.raises(JournalError):
                await engine.resume(run)
        await settle()
    return run


async def test_a_body_that_ran_when_its_process_died_is_entered_again(solo, world, crash):
    engine = solo("import world\nasync def a(input, ctx):\n    world.did.append(1)\n    return len(world.did)\n")
    run = await crash_in_body(engine, crash)
    (result,) = await engine.resume()
    assert result.run_id == run
    assert (result.output, world.did) == (2, [1, 1])


async def test_the_third_death_in_one_body_fails_it_with_crashed(solo, world, crash):
    engine = solo("import world\nasync def a(input, ctx):\n    world.did.append(1)\n")
    run = await crash_in_body(engine, crash)
    for _ in range(2):
        await crash_in_body(engine, crash, run)
    (result,) = await engine.resume(run)
    assert result.error["code"] == "crashed"
    assert len(world.did) == 3


async def test_a_body_that_got_on_between_deaths_is_not_blamed(solo, world, crash):
    """Each entry gets one effect further before its process dies."""
    engine = solo("""
        import world
        async def a(input, ctx):
            world.did.append(1)
            for i in range(len(world.did)):
                await ctx.part(str(i)).effect("e", lambda: 1)
    """)
    run = await crash_in_body(engine, crash)
    for _ in range(4):
        await crash_in_body(engine, crash, run)
    (result,) = await engine.resume(run)
    assert result.status == "success"


async def test_a_suspect_is_entered_alone(project, engine, world, crash):
    """Of two arms that were lost together twice, the culprit is found by running them one at a time."""
    world.now = world.most = 0
    handlers = """
        import asyncio, world
        async def work(input, ctx):
            world.now += 1
            world.most = max(world.most, world.now)
            for _ in range(9):
                await asyncio.sleep(0)
            world.now -= 1
    """
    nodes = [
        {"id": "s", "role": "start"},
        {"id": "b", "role": "branch"},
        {"id": "l", "role": "linear", "handler": "work"},
        {"id": "r", "role": "linear", "handler": "work"},
        {"id": "x", "role": "exit"},
    ]
    one = engine(project(nodes, "s>b>l>x b>r>x", handlers))
    with crash(one, lambda f: isinstance(f, ev.NodeCompleted) and f.node in "lr"):
        handle = await one.start()
        with pytest.raises(JournalError):
            await handle.settled()
        await settle()
    assert world.most == 2
    world.now = world.most = 0
    with crash(one, lambda f: isinstance(f, ev.NodeCompleted) and f.node in "lr"):
        with pytest.raises(JournalError):
            await one.resume(handle.run_id)
        await settle()
    assert world.most == 2
    world.now = world.most = 0
    (result,) = await one.resume(handle.run_id)
    assert (result.status, world.most) == ("success", 1)


async def test_giving_a_run_up_in_order_is_no_crash(solo, world):
    world.entered = asyncio.Event()
    engine = solo(HANG)
    handle = await engine.start()
    for _ in range(4):
        await world.entered.wait()
        world.entered.clear()
        await engine.workspace.scheduler.let_go(engine.host(handle.run_id), "closing")
        await engine.workspace.scheduler.adopt(handle.run_id, await world_of(engine.workspace, handle.run_id))
    await world.entered.wait()
    assert engine.host(handle.run_id).machine.tasks["0"].crashes == 0
    assert kinds(await engine.result(handle.run_id)).count("DriverStopped") == 4


# -- a journal that fails --------------------------------------------------------------------------------------------


async def test_a_failed_commit_stops_the_driver_in_order(solo, world, crash, caplog):
    engine = solo("async def a(input, ctx):\n    return await ctx.effect('e', lambda: 1)\n")
    with crash(engine, lambda f: isinstance(f, ev.EffectStarted)):
        handle = await engine.start()
        with pytest.raises(JournalError, match="no space left"):
            await handle.result()
        await settle()
    assert engine.workspace.scheduler.hosts == {}
    assert "no space left" in caplog.text
    (result,) = await engine.resume(handle.run_id)
    assert result.output == 1


async def test_a_run_that_cannot_even_begin(solo, crash):
    engine = solo("async def a(input, ctx):\n    return 1\n")
    with crash(engine, lambda f: isinstance(f, ev.RunStarted)), pytest.raises(JournalError):
        await engine.start()
    assert await engine.runs() == []
    assert engine.workspace.scheduler.hosts == {}


async def test_a_host_that_is_closed_takes_no_more_facts(solo):
    engine = solo("async def a(input, ctx):\n    await ctx.ask('?')\n")
    handle = await engine.start()
    await handle.settled()
    host = engine.host(handle.run_id)
    await engine.workspace.scheduler.let_go(host)
    await host.close()
    with pytest.raises(Stopped):
        await host.note("late")


async def test_an_engine_bug_in_an_arm_stops_the_run_instead_of_half_of_it(solo, monkeypatch):
    engine = solo("async def a(input, ctx):\n    return 1\n")
    handle = await engine.start()
    host = engine.host(handle.run_id)

    async def broken(events, consumed=()):
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(host, "advance", broken)
    with pytest.raises(JournalError, match="RuntimeError: unforeseen"):
        await handle.result()
    await settle()


async def test_a_run_must_begin_with_its_beginning(solo):
    engine = solo("async def a(input, ctx):\n    return 1\n")
    world = await engine.workspace.world(engine.plan, engine.directory)
    with pytest.raises(ClewError, match="begins with RunStarted"):
        Host(world, [], 1)


# -- watchers --------------------------------------------------------------------------------------------------------


async def test_watchers_are_told_what_became_durable_in_order(solo):
    engine = solo("async def a(input, ctx):\n    return 1\n")
    told = []
    engine.workspace.scheduler.watchers.append(
        lambda run, seq, event: told.append((run, seq, type(event.fact).__name__))
    )
    result = await engine.run()
    assert told == [(result.run_id, r.seq, type(r.event.fact).__name__) for r in result.history]


async def test_answers_to_what_is_not_asked_have_no_effect(solo):
    engine = solo("async def a(input, ctx):\n    await ctx.ask('?')\n")
    handle = await engine.start()
    await handle.settled()
    assert not await engine.host(handle.run_id).answer("0/a#1/9", {})
