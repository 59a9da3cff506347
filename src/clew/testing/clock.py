"""A clock that is turned by hand, behind the clock port."""

import asyncio
import heapq
from collections.abc import Callable

START_MS = 1_700_000_000_000

_IDLE_PASSES = 50
"""Passes of the event loop in which nobody looked at the clock, before an automatic clock jumps."""

_GLANCE_S = 0.001
"""How often a busy world is looked at, in real time."""


class ManualTimer:
    """One pending call. ``cancel`` may be called at any time."""

    def __init__(self, due: int, call: Callable[[], None]) -> None:
        self.due = due
        self.cancelled = False
        self._call = call

    def cancel(self) -> None:
        self.cancelled = True

    def fire(self) -> None:
        if not self.cancelled:
            self.cancelled = True
            self._call()


class ManualClock:
    """Time stands still until ``advance`` or ``jump`` moves it; timers fire in order of their due times, then of their making.

    ``auto``: when the event loop has nothing left to do, time jumps to the next timer by itself. A thread or a process at work
    looks like idleness; ``busy`` is asked whether there is one, and while it says so time stands still.
    """

    def __init__(self, start: int = START_MS, *, auto: bool = False, busy: Callable[[], bool] | None = None) -> None:
        self._now = start
        self._auto = auto
        self.busy = busy
        self._timers: list[tuple[int, int, ManualTimer]] = []
        self._count = 0
        self._stirred = 0
        self._looking = False

    # -- the port ----------------------------------------------------------------------------------------------

    def now(self) -> int:
        """Milliseconds since the epoch."""
        self._stirred += 1
        return self._now

    def at(self, due: int, call: Callable[[], None]) -> ManualTimer:
        """Call back when ``now() >= due``; one that is due already is called on the next pass of the event loop."""
        timer = ManualTimer(due, call)
        self._stirred += 1
        if due <= self._now:
            asyncio.get_running_loop().call_soon(timer.fire)
            return timer
        self._count += 1
        heapq.heappush(self._timers, (due, self._count, timer))
        if self._auto and not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._look, 0, self._stirred)
        return timer

    # -- by hand -----------------------------------------------------------------------------------------------

    @property
    def pending(self) -> list[int]:
        """Due times of the timers that wait, in order."""
        return sorted(due for due, _, timer in self._timers if not timer.cancelled)

    def advance(self, ms: int) -> None:
        """Let ``ms`` milliseconds pass; each timer on the way sees its own due time. Raises ValueError for less than 0."""
        if ms < 0:
            raise ValueError(f"time does not go back: {ms} ms")
        target = self._now + ms
        while self._timers and self._timers[0][0] <= target:
            due, _, timer = heapq.heappop(self._timers)
            if not timer.cancelled:
                self._now = max(self._now, due)
                timer.fire()
        self._now = target

    def jump(self) -> bool:
        """Advance to the next timer and fire what is due then; False where none waits."""
        pending = self.pending
        if pending:
            self.advance(pending[0] - self._now)
        return bool(pending)

    async def passes(self, ms: int) -> None:
        """``advance``, timer by timer, with the event loop let run to its rest before, between and after."""
        target = self._now + ms
        await settle()
        while self.pending and self.pending[0] <= target:
            self.jump()
            await settle()
        self.advance(target - self._now)
        await settle()

    # -- by itself ---------------------------------------------------------------------------------------------

    def _look(self, idle: int, stirred: int) -> None:
        if not self.pending:
            self._timers.clear()
            self._looking = False
            return
        if self.busy is not None and self.busy():
            asyncio.get_running_loop().call_later(_GLANCE_S, self._look, 0, self._stirred)
            return
        if self._stirred != stirred:
            idle = 0
        elif idle >= _IDLE_PASSES:
            self.jump()
            idle = 0
        asyncio.get_running_loop().call_soon(self._look, idle + 1, self._stirred)


async def settle(passes: int = _IDLE_PASSES) -> None:
    """Let the event loop pass this many times: what is ready runs, and what becomes ready by it."""
    for _ in range(passes):
        await asyncio.sleep(0)
