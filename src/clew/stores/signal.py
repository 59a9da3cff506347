"""Waking those who follow a run: at once on local appends, by polling on those of other processes."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from clew.core.events import RunFinished
from clew.gate.ports.clock import Clock
from clew.gate.ports.journal import Record, RunRow
from clew.stores.runcard import ENDED

POLL_MS = 100


class Signal:
    """Something was appended. Cheap while nobody waits."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[bool]] = set()

    def notify(self) -> None:
        """Wake everybody who waits now."""
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            _wake(future, True)

    async def wait(self) -> None:
        """Until the next ``notify``."""
        future = self._enter()
        try:
            await future
        finally:
            self._waiting.discard(future)

    async def wait_or(self, clock: Clock, changed: Callable[[], bool]) -> None:
        """Until the next ``notify``, or until a look every ``POLL_MS`` finds a change."""
        while not changed():
            future = self._enter()
            timer = clock.at(clock.now() + POLL_MS, lambda future=future: _wake(future, False))
            try:
                if await future:
                    return
            finally:
                self._waiting.discard(future)
                timer.cancel()

    def _enter(self) -> "asyncio.Future[bool]":
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        return future


def _wake(future: "asyncio.Future[bool]", notified: bool) -> None:
    if not future.done():
        future.set_result(notified)


async def follow(
    read: Callable[[int], Awaitable[list[Record]]],
    row: Callable[[], Awaitable[RunRow]],
    after: int,
    version: Callable[[], int],
    changed: Callable[[int], Awaitable[None]],
) -> AsyncGenerator[Record]:
    """Records as they come, until RunFinished. ``changed(version)`` returns when there may be more than at that version."""
    while True:
        seen = version()
        ended = (await row()).state in ENDED
        found = await read(after)
        for record in found:
            after = record.seq
            yield record
            if isinstance(record.event.fact, RunFinished):
                return
        if ended and not found:
            return
        if not found:
            await changed(seen)
