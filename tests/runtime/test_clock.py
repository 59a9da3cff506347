import asyncio
import time

from clew.runtime import clock as module
from clew.runtime.clock import SystemClock


def test_now_is_the_time():
    assert abs(SystemClock().now() - time.time() * 1000) < 5_000


async def test_a_timer_calls_when_it_is_due():
    clock, called = SystemClock(), asyncio.Event()
    clock.at(clock.now() + 5, called.set)
    await asyncio.wait_for(called.wait(), 10)


async def test_a_far_timer_looks_at_the_clock_again_and_again(monkeypatch):
    """Days from now, over a suspended machine: the loop's own time is not the wall's."""
    monkeypatch.setattr(module, "_LONGEST_S", 0.001)
    clock, called, looks = SystemClock(), asyncio.Event(), []
    real = time.time
    monkeypatch.setattr(module.time, "time", lambda: looks.append(1) or real() + (1_000_000 if len(looks) > 6 else 0))
    clock.at(clock.now() + 500_000_000, called.set)
    await asyncio.wait_for(called.wait(), 10)
    assert len(looks) > 6


async def test_a_cancelled_timer_does_not_call():
    clock, called = SystemClock(), []
    clock.at(clock.now() + 3_600_000, lambda: called.append(1)).cancel()
    assert called == []
