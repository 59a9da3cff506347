"""Time-outs over body, host, threads and gate: running time only, what is in flight, what hangs (W9)."""

import asyncio
import threading

import pytest

from clew.core import events as ev
from clew.testing import ManualClock
from clew.testing.clock import settle


@pytest.fixture
def clock():
    return ManualClock(auto=True)


def facts(result, *kinds):
    return [r.event.fact for r in result.history if isinstance(r.event.fact, kinds)]


# -- time-outs -------------------------------------------------------------------------------------------------------

HANG = """
    import asyncio, world
    async def a(input, ctx):
        await ctx.effect("before", lambda: 1)
        world.entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            world.did.append("left")
"""


async def turned(engine, clock, ms, value=None):
    """Run with the clock turned by hand, once the handler has begun."""
    clock._auto = False
    return await engine.start(value)


async def test_a_timeout_cancels_async_work(solo, world, clock):
    world.entered = asyncio.Event()
    engine = solo(HANG, timeout="10s")
    handle = await turned(engine, clock, 0)
    await world.entered.wait()
    clock.advance(9_999)
    await settle()
    assert world.did == []
    clock.advance(1)
    result = await handle.result()
    assert result.error["code"] == "timeout"
    assert "longer than 10000 ms" in result.error["message"]
    assert world.did == ["left"]


async def test_the_default_timeout_is_five_minutes(solo, world, clock):
    world.entered = asyncio.Event()
    handle = await turned(solo(HANG), clock, 0)
    await world.entered.wait()
    clock.advance(299_999)
    await settle()
    assert world.did == []
    clock.advance(1)
    assert (await handle.result()).error["code"] == "timeout"


@pytest.mark.parametrize(("on", "attempts"), [(["timeout"], 2), ([], 1)])
async def test_a_timeout_is_tried_again_only_if_named(solo, world, clock, on, attempts):
    world.entered = asyncio.Event()
    retry = {"max_attempts": 2, "backoff": {"initial": "1s"}} | ({"on": on} if on else {})
    handle = await turned(solo(HANG, timeout="10s", retry=retry), clock, 0)
    await world.entered.wait()
    for _ in range(3):
        await clock.passes(10_000)
    result = await handle.result()
    assert len(facts(result, ev.NodeFailed)) == attempts


SLOW = """
    import world
    async def a(input, ctx):
        await ctx.effect("slow", lambda: world.clock.advance(6_000))
        {wait}
        await ctx.effect("slow", lambda: world.clock.advance(3_000))
        return "in time"
"""


@pytest.mark.parametrize("wait", ['await ctx.sleep("1h")', 'await ctx.ask("?", timeout="1h")'])
async def test_waiting_does_not_count_as_running_time(solo, world, clock, wait):
    world.clock = clock
    engine = solo(SLOW.format(wait=wait), timeout="10s")
    result = await (await engine.start()).result()
    assert result.output == "in time"


async def test_running_time_adds_up_over_entries(solo, world, clock):
    """6 s before the wait and 6 s after it are more than 10 s."""
    world.clock, world.entered = clock, asyncio.Event()
    engine = solo(
        """
        import asyncio, world
        async def a(input, ctx):
            await ctx.effect("slow", lambda: world.clock.advance(6_000))
            await ctx.sleep("1h")
            world.entered.set()
            await asyncio.Event().wait()
    """,
        timeout="10s",
    )
    handle = await engine.start()
    await world.entered.wait()
    assert [f.ms for f in facts(await engine.result(handle.run_id), ev.NodeSuspended)] == [6_000]
    clock.advance(3_999)
    await settle()
    assert (await engine.result(handle.run_id)).state == "running"
    clock.advance(1)
    assert (await handle.result()).error["code"] == "timeout"


async def test_queueing_for_an_arm_does_not_count(project, engine, world, clock):
    world.clock = clock
    nodes = [
        {"id": "s", "role": "start"}, {"id": "b", "role": "branch"},
        {"id": "l", "role": "linear", "handler": "slow", "timeout": "10s"},
        {"id": "r", "role": "linear", "handler": "slow", "timeout": "10s"}, {"id": "x", "role": "exit"},
    ]  # fmt: skip
    handlers = (
        "import world\nasync def slow(input, ctx):\n    await ctx.effect('e', lambda: world.clock.advance(9_000))\n"
    )
    one = engine(project(nodes, "s>b>l>x b>r>x", handlers, workflow={"max_arms": 1}))
    assert (await one.run()).status == "success"


async def test_an_effect_in_flight_at_a_timeout_is_recorded_and_not_delivered(solo, world, clock):
    world.entered = asyncio.Event()
    engine = solo(
        """
        import asyncio, world
        async def hang():
            world.entered.set()
            await asyncio.Event().wait()
        async def a(input, ctx):
            try:
                await ctx.effect("pay", hang)
            finally:
                world.did.append("left")
    """,
        timeout="1s",
    )
    handle = await turned(engine, clock, 0)
    await world.entered.wait()
    clock.advance(1_000)
    result = await handle.result()
    (finished,) = [r for r in result.history if isinstance(r.event.fact, ev.EffectFinished)]
    assert finished.event.payload["error"]["code"] == "interrupted"
    assert result.error["code"] == "timeout"


async def test_strands_in_flight_at_a_timeout_are_all_cancelled_and_recorded(solo, world, clock):
    world.entered = asyncio.Event()
    engine = solo(
        """
        import asyncio, world
        async def hang():
            world.did.append(1)
            if len(world.did) == 3:
                world.entered.set()
            await asyncio.Event().wait()
        async def a(input, ctx):
            await ctx.gather(*(ctx.effect("pay", hang) for _ in range(3)))
    """,
        timeout="1s",
    )
    handle = await turned(engine, clock, 0)
    await world.entered.wait()
    clock.advance(1_000)
    result = await handle.result()
    finished = [r.event.payload["error"]["code"] for r in result.history if isinstance(r.event.fact, ev.EffectFinished)]
    assert finished == ["interrupted"] * 3
    assert result.error["code"] == "timeout"


async def test_after_its_timeout_a_body_gets_no_effect_done(solo, world, clock):
    world.entered = asyncio.Event()
    engine = solo(
        """
        import asyncio, world
        async def a(input, ctx):
            world.entered.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await ctx.effect("late", lambda: world.did.append("late"))
    """,
        timeout="1s",
    )
    handle = await turned(engine, clock, 0)
    await world.entered.wait()
    clock.advance(1_000)
    assert (await handle.result()).error["code"] == "timeout"
    assert world.did == []


# -- synchronous handlers --------------------------------------------------------------------------------------------


async def begun(event):
    assert await asyncio.to_thread(event.wait, 10)


async def test_a_busy_loop_is_interrupted(solo, world, clock):
    world.entered, world.ended = threading.Event(), threading.Event()
    engine = solo(
        """
        import world
        def a(input, ctx):
            world.entered.set()
            try:
                while True:
                    pass
            finally:
                world.ended.set()
    """,
        timeout="1s",
    )
    handle = await turned(engine, clock, 0)
    await begun(world.entered)
    clock.advance(1_000)
    assert (await handle.result()).error["code"] == "timeout"
    await begun(world.ended)


async def test_a_hung_thread_is_left_behind_with_its_gate_shut_and_starves_nobody(solo, world, clock):
    world.entered, world.release, world.tried = threading.Event(), threading.Event(), threading.Event()
    engine = solo(
        """
        import world
        from clew.core.errors import Stopped
        def a(input, ctx):
            if input != "hang":
                return input
            world.entered.set()
            try:
                while not world.release.wait(0.01):
                    pass
            except Stopped:
                while not world.release.wait(0.01):
                    pass
            try:
                ctx.effect("late", lambda: world.did.append("late"))
            except Stopped:
                world.did.append("shut")
            world.tried.set()
    """,
        timeout="1s",
    )
    handle = await turned(engine, clock, 0, "hang")
    await begun(world.entered)
    clock.advance(1_000)
    assert (await handle.result()).error["code"] == "timeout"
    assert (await engine.run("next")).output == "next"
    world.release.set()
    await begun(world.tried)
    assert world.did == ["shut"]


async def test_a_synchronous_effect_in_flight_at_a_timeout_is_paid_for_and_not_delivered(solo, world, clock):
    world.entered, world.release = threading.Event(), threading.Event()
    engine = solo(
        """
        import world
        def pay():
            world.entered.set()
            world.release.wait(10)
            return "paid"
        def a(input, ctx):
            world.did.append(ctx.effect("pay", pay))
    """,
        timeout="1s",
    )
    handle = await turned(engine, clock, 0)
    await begun(world.entered)
    clock.advance(1_000)
    await settle()
    world.release.set()
    result = await handle.result()
    assert result.error["code"] == "timeout"
    assert world.did == []
    assert len(facts(result, ev.EffectFinished)) == 1


async def test_an_effect_that_does_not_end_is_recorded_as_interrupted_after_a_grace(solo, world, clock):
    world.entered, world.release = threading.Event(), threading.Event()
    engine = solo(
        """
        import world
        def pay():
            world.entered.set()
            world.release.wait(10)
        def a(input, ctx):
            world.did.append(ctx.effect("pay", pay))
    """,
        timeout="1s",
    )
    handle = await turned(engine, clock, 0)
    await begun(world.entered)
    clock.advance(1_000)
    await settle()
    assert (await engine.result(handle.run_id)).state == "running"
    clock.advance(5_000)
    result = await handle.result()
    world.release.set()
    (finished,) = [r for r in result.history if isinstance(r.event.fact, ev.EffectFinished)]
    assert finished.event.payload["error"]["code"] == "interrupted"
    assert (result.error["code"], world.did) == ("timeout", [])
