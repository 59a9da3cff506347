import asyncio
import threading

import pytest

from clew.core.errors import Failure
from clew.gate.ports.sandbox import Profile
from clew.tools.opened import opened


class Backend:
    """Lets ``acquire`` go on when it is told to."""

    def __init__(self, error=None):
        self.begun, self.go, self.closed = threading.Event(), threading.Event(), threading.Event()
        self.error = error

    def acquire(self, profile):
        self.begun.set()
        self.go.wait(5)
        if self.error:
            raise self.error
        return self

    def close(self):
        self.closed.set()


async def use(backend):
    async with opened(backend, Profile()) as sandbox:
        assert sandbox is backend
        assert not backend.closed.is_set()
        raise Failure("what for", code="mine")


async def test_closed_after_use():
    backend = Backend()
    backend.go.set()
    with pytest.raises(Failure, match="what for"):
        await use(backend)
    assert backend.closed.is_set()


@pytest.mark.parametrize("error", [None, Failure("none to be had", code="sandbox_unavailable")])
async def test_one_that_comes_too_late_is_closed(error):
    backend = Backend(error)
    task = asyncio.create_task(use(backend))
    await asyncio.to_thread(backend.begun.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    backend.go.set()
    if error is None:
        assert await asyncio.to_thread(backend.closed.wait, 5)


async def test_none_to_be_had():
    backend = Backend(Failure("no", code="sandbox_unavailable"))
    backend.go.set()
    with pytest.raises(Failure, match="no"):
        await use(backend)
