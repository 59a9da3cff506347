"""Names the blocking call of an async handler: while it lasts, nothing else of this process gets on (requirement W9)."""

import asyncio
import logging
import sys
import threading
import time
from pathlib import Path
from types import FrameType

logger = logging.getLogger("clew.watchdog")

BEAT_S = 0.5
LATE_S = 2.0
"""A loop that has not come round for this long is blocked."""


class Watchdog:
    """A thread that watches one event loop. It reports each place once, and stops nothing."""

    def __init__(self, late_s: float = LATE_S) -> None:
        self._late_s = late_s
        self._beat = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._reported: set[tuple[str, int]] = set()

    def watch(self) -> None:
        """Watch the running loop from now on; again and again is no harm."""
        if self._loop is not None:
            return
        self._loop, self._loop_thread = asyncio.get_running_loop(), threading.get_ident()
        self._tick()
        self._thread = threading.Thread(target=self._run, name="clew-watchdog", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _tick(self) -> None:
        self._beat = time.monotonic()
        if self._loop is not None and not self._ended.is_set():
            self._loop.call_later(BEAT_S, self._tick)

    def _run(self) -> None:
        while not self._ended.wait(BEAT_S):
            self.look(time.monotonic())

    def look(self, now: float) -> str:
        """What is said about the loop at ``now`` (monotonic seconds); empty where it is well, or said before."""
        late = now - self._beat
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - the documented way
        if late < self._late_s or frame is None:
            return ""
        place = _place(frame)
        if place in self._reported:
            return ""
        self._reported.add(place)
        said = f"the event loop is blocked for {late:.1f} s at {place[0]}:{place[1]}"
        logger.warning("%s; make the handler a def, or use ctx.in_thread", said)
        return said


def _place(frame: FrameType) -> tuple[str, int]:
    """The innermost line that belongs to a project; else the innermost of all."""
    current: FrameType | None = frame
    while current is not None:
        if current.f_globals.get("__name__", "").startswith("clew_project_"):
            return str(Path(current.f_code.co_filename)), current.f_lineno
        current = current.f_back
    return frame.f_code.co_filename, frame.f_lineno
