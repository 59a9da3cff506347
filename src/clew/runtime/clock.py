"""The system's clock behind the clock port."""

import asyncio
import time
from collections.abc import Callable

_LONGEST_S = 60.0
"""Timers are looked at this often at least, so that a due time of days from now survives a suspended machine."""


class _Timer:
    def __init__(self, due: int, call: Callable[[], None]) -> None:
        self._due, self._call = due, call
        self._arm()

    def _arm(self) -> None:
        left = max(0.0, self._due / 1000 - time.time())
        self._handle = asyncio.get_running_loop().call_later(min(left, _LONGEST_S), self._look)

    def _look(self) -> None:
        if time.time() * 1000 >= self._due:
            self._call()
        else:
            self._arm()

    def cancel(self) -> None:
        self._handle.cancel()


class SystemClock:
    """Wall-clock time; see ``clew.gate.ports.clock.Clock``."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def at(self, due: int, call: Callable[[], None]) -> _Timer:
        return _Timer(due, call)
