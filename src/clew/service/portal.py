"""The sync API is a portal: one event loop in a thread of its own, to which calls are handed."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from clew.core.errors import UsageError

T = TypeVar("T")


class Portal:
    """Starts its thread with the first call. Not for use inside a running event loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` on the portal's loop and wait for it; Ctrl-C cancels it. Raises UsageError inside a running loop."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            work.close()
            raise UsageError("this would block the running event loop", hint="use the async form: engine.aio.…")
        future = asyncio.run_coroutine_threadsafe(work, self._started())
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            loop = self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=loop.run_forever, name="clew-portal", daemon=True)
            self._thread.start()
        return self._loop

    def close(self) -> None:
        """End the thread; calls under way must have ended."""
        if self._loop is None or self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None
