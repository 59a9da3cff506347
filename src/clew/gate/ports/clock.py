"""The clock port. Time is a parameter: tests turn a manual clock, nothing sleeps."""

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    def now(self) -> int:
        """Milliseconds since the epoch."""
        ...

    def at(self, due: int, call: Callable[[], None]) -> Timer:
        """Call back on the running event loop when ``now() >= due``."""
        ...
