import asyncio
import threading

import pytest

from clew.core.errors import UsageError
from clew.service.portal import Portal


@pytest.fixture
def portal():
    one = Portal()
    yield one
    one.close()


async def here():
    return threading.current_thread().name


def test_calls_run_on_one_loop_in_a_thread_of_its_own(portal):
    async def loop():
        return asyncio.get_running_loop()

    assert portal.call(here()) == "clew-portal"
    assert portal.call(loop()) is portal.call(loop())


def test_errors_come_back(portal):
    async def bad():
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        portal.call(bad())


async def test_inside_a_running_loop_it_says_what_to_use(portal):
    with pytest.raises(UsageError, match=r"engine\.aio"):
        portal.call(here())


def test_an_interrupt_cancels_the_call(portal, monkeypatch):
    cancelled = threading.Event()

    async def hang():
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    real = asyncio.run_coroutine_threadsafe

    def interrupted(work, loop):
        future = real(work, loop)
        monkeypatch.setattr(future, "result", lambda: (_ for _ in ()).throw(KeyboardInterrupt()))
        loop.call_soon_threadsafe(lambda: None)
        return future

    portal.call(here())
    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", interrupted)
    with pytest.raises(KeyboardInterrupt):
        portal.call(hang())
    monkeypatch.undo()
    portal.call(here())


def test_a_closed_portal_starts_anew_and_closing_twice_is_nothing(portal):
    portal.close()
    portal.call(here())
    portal.close()
    portal.close()
    assert portal.call(here()) == "clew-portal"
