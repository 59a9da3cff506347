import asyncio
import contextvars
import threading

import pytest

from clew.core.errors import Stopped
from clew.runtime.threads import Threads


@pytest.fixture
def threads():
    pool = Threads()
    yield pool
    pool.close()


async def test_a_call_has_its_result_or_its_error(threads):
    assert await threads.run(lambda: 5) == 5
    with pytest.raises(ValueError, match="x"):
        await threads.run(lambda: _raise(ValueError("x")))


def _raise(error):
    raise error


async def test_idle_threads_are_used_again(threads):
    first = await threads.run(threading.get_ident)
    assert await threads.run(threading.get_ident) == first


async def test_there_are_as_many_threads_as_calls_under_way(threads):
    gate, inside = threading.Event(), [threading.Event() for _ in range(40)]
    calls = [threads.run(lambda e=e: (e.set(), gate.wait(10))) for e in inside]
    assert await asyncio.to_thread(lambda: all(e.wait(10) for e in inside))
    gate.set()
    await asyncio.gather(*calls)


async def test_context_variables_go_along(threads):
    variable = contextvars.ContextVar("v", default=0)
    variable.set(7)
    assert await threads.run(variable.get) == 7


async def test_a_python_loop_is_interrupted_and_its_thread_not_used_again(threads):
    entered = threading.Event()

    def loop():
        entered.set()
        while True:
            pass

    future = threads.run(loop)
    await asyncio.to_thread(entered.wait, 10)
    threads.interrupt(future)
    with pytest.raises(Stopped):
        await future
    assert await threads.run(lambda: 1) == 1
    assert len(threads._idle) == 1


async def test_an_interruption_that_comes_too_late_harms_nobody(threads):
    future = threads.run(lambda: 3)
    assert await future == 3
    threads.interrupt(future)
    assert await threads.run(lambda: 4) == 4


async def test_a_thread_whose_future_was_cancelled_is_left_to_itself(threads):
    gate = threading.Event()
    future = threads.run(lambda: gate.wait(10))
    future.cancel()
    assert await threads.run(lambda: "other") == "other"
    gate.set()


async def test_stop_iteration_becomes_an_error_that_a_future_can_hold(threads):
    with pytest.raises(RuntimeError, match="StopIteration"):
        await threads.run(lambda: next(iter(())))


def test_a_result_for_a_loop_that_is_gone_is_dropped():
    threads, gate, done = Threads(), threading.Event(), threading.Event()

    async def begin():
        threads.run(lambda: (gate.wait(10), done.set()))

    asyncio.run(begin())
    gate.set()
    assert done.wait(10)
    threads.close()


async def test_closing_ends_idle_threads_and_busy_ones_when_they_are_done():
    threads, gate = Threads(), threading.Event()
    await threads.run(lambda: 1)
    idle = threads._idle[0].thread
    busy = threads.run(lambda: gate.wait(10))
    worker = threads._busy[busy].thread
    threads.close()
    gate.set()
    await busy
    await asyncio.to_thread(worker.join, 10)
    assert not worker.is_alive()
    assert not idle.is_alive()
