"""The clock port's contract, held against the clocks that are here."""

import asyncio

import pytest

from clew.runtime.clock import SystemClock
from clew.testing import ManualClock


@pytest.mark.parametrize("clock", [SystemClock, ManualClock])
async def test_a_timer_that_is_due_calls_back_on_the_loop_not_at_once(clock):
    one, called = clock(), asyncio.Event()
    one.at(one.now(), called.set)
    assert not called.is_set()
    await asyncio.wait_for(called.wait(), 5)


@pytest.mark.parametrize("clock", [SystemClock, ManualClock])
async def test_a_cancelled_timer_never_calls(clock):
    one, first, second = clock(), asyncio.Event(), asyncio.Event()
    one.at(one.now(), first.set).cancel()
    one.at(one.now(), second.set)
    await asyncio.wait_for(second.wait(), 5)
    assert not first.is_set()
