"""The manual clock is public: its promises are tested like any other."""

import asyncio

import pytest

from clew.testing import ManualClock
from clew.testing.clock import START_MS, settle


def test_time_stands_still_until_it_is_moved():
    clock = ManualClock()
    assert clock.now() == clock.now() == START_MS
    clock.advance(5)
    assert clock.now() == START_MS + 5
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)


def test_timers_fire_in_order_and_each_sees_its_own_due_time():
    clock, seen = ManualClock(0), []
    for due in (30, 10, 20):
        clock.at(due, lambda due=due: seen.append((due, clock.now())))
    clock.at(10, lambda: seen.append("second of its time"))
    clock.at(15, lambda: seen.append("never")).cancel()
    assert clock.pending == [10, 10, 20, 30]
    clock.advance(25)
    assert seen == [(10, 10), "second of its time", (20, 20)]
    assert clock.now() == 25


def test_a_timer_that_a_timer_makes_fires_too():
    clock, seen = ManualClock(0), []
    clock.at(10, lambda: clock.at(15, lambda: seen.append(clock.now())))
    clock.advance(20)
    assert seen == [15]


def test_jump_goes_to_the_next_timer():
    clock, seen = ManualClock(0), []
    clock.at(1_000, lambda: seen.append(1))
    assert clock.jump()
    assert (seen, clock.now()) == ([1], 1_000)
    assert not clock.jump()


async def test_passes_lets_the_loop_run_between_timers():
    clock, seen = ManualClock(0), []

    async def later(name):
        seen.append((name, clock.now()))
        if name == "a":
            clock.at(clock.now() + 5, lambda: tasks.append(asyncio.create_task(later("b"))))

    tasks = []
    clock.at(10, lambda: tasks.append(asyncio.create_task(later("a"))))
    await clock.passes(100)
    assert seen == [("a", 10), ("b", 15)]
    assert clock.now() == 100


async def test_by_itself_it_jumps_when_the_loop_is_idle():
    clock = ManualClock(0, auto=True)
    for due in (3_600_000, 7_200_000):
        fired = asyncio.Event()
        clock.at(due, fired.set)
        await asyncio.wait_for(fired.wait(), 10)
        assert clock.now() == due


async def test_by_itself_it_waits_for_whom_looks_at_it():
    clock, order = ManualClock(0, auto=True), []

    async def busy():
        for _ in range(300):
            clock.now()
            await asyncio.sleep(0)
        order.append("busy")

    fired = asyncio.Event()
    clock.at(10, lambda: (order.append("timer"), fired.set()))
    await asyncio.gather(busy(), fired.wait())
    assert order == ["busy", "timer"]


async def test_while_the_world_is_busy_time_stands_still():
    work = [1]
    clock = ManualClock(0, auto=True, busy=lambda: bool(work))
    fired = asyncio.Event()
    clock.at(10, fired.set)
    await settle(500)
    assert not fired.is_set()
    work.clear()
    await asyncio.wait_for(fired.wait(), 10)


async def test_a_cancelled_timer_is_no_reason_to_jump():
    clock = ManualClock(0, auto=True)
    clock.at(10, lambda: None).cancel()
    await settle(200)
    assert clock.now() == 0
