"""A part of a search on a second processor: work that lets other threads run meanwhile, as faiss and large numpy loops do."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

T = TypeVar("T")


class _Helper:
    """A thread of this process, made when it is first needed, for one piece of work at a time."""

    def __init__(self) -> None:
        self.busy = Lock()
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="clew-search")

    def done(self, work: Callable[[], T]) -> T:
        try:
            return work()
        finally:
            self.busy.release()


_helper = _Helper()
_ALONE = len(os.sched_getaffinity(0)) < 2 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) < 2


def begun(work: Callable[[], T]) -> Callable[[], T]:
    """Begin ``work`` in the other thread; what is returned waits for its result, or raises what it raised.

    Where that thread is busy or there is one processor only, the work is done when its result is asked for.
    """
    if _ALONE or not _helper.busy.acquire(blocking=False):
        return work
    return _helper.pool.submit(_helper.done, work).result


def _anew() -> None:
    global _helper
    _helper = _Helper()  # threads do not follow into a forked child


os.register_at_fork(after_in_child=_anew)
