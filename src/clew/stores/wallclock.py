"""The system's clock behind the clock port, for journals that are given no other."""

import asyncio
import time
from collections.abc import Callable

from clew.gate.ports.clock import Timer


class WallClock:
    """Real time."""

    def now(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def at(self, due: int, call: Callable[[], None]) -> Timer:
        """Call back on the running event loop at ``due``."""
        return asyncio.get_running_loop().call_later(max(0, due - self.now()) / 1000, call)
