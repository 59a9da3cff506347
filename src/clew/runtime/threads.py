"""Threads for synchronous handlers. A thread that hangs is left behind, never waited for, never counted against others."""

import asyncio
import contextvars
import ctypes
import queue
import threading
from collections.abc import Callable
from typing import Any

from clew.core.errors import Stopped, described

Job = tuple[Callable[[], Any], asyncio.Future[Any], contextvars.Context]


class _Worker:
    def __init__(self, threads: "Threads", number: int) -> None:
        self._threads = threads
        self.interrupted = False
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._work, name=f"clew-handler-{number}", daemon=True)
        self.thread.start()

    def give(self, job: Job | None) -> None:
        self._jobs.put(job)

    def _work(self) -> None:
        try:
            self._serve()
        except Stopped:
            return  # the interruption came too late for the handler it was meant for

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, future, context = job
            try:
                result, error = context.run(call), None
            except BaseException as raised:  # handed to whoever awaits the future
                result, error = None, raised
            if not self._threads.done(self, future, result, error):
                return


class Threads:
    """As many threads as there are handlers under way; idle ones are used again. One per event loop."""

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        self._busy: dict[asyncio.Future[Any], _Worker] = {}
        self._count = 0
        self._closed = False
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, call: Callable[[], Any]) -> asyncio.Future[Any]:
        """Start ``call`` in a thread; the future has its result. Cancelling the future leaves the thread to itself."""
        self._loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = self._loop.create_future()
        with self._lock:
            if self._idle:
                worker = self._idle.pop()
            else:
                self._count += 1
                worker = _Worker(self, self._count)
            self._busy[future] = worker
        worker.give((call, future, contextvars.copy_context()))
        return future

    def interrupt(self, future: asyncio.Future[Any]) -> None:
        """Ask the thread to stop: ``Stopped`` is raised at its next bytecode. A thread inside a C call hears it later."""
        with self._lock:
            worker = self._busy.get(future)
            if worker and worker.thread.ident:
                worker.interrupted = True
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(worker.thread.ident), ctypes.py_object(Stopped)
                )

    def done(self, worker: _Worker, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> bool:
        """Called in the thread. False: the thread is to end."""
        with self._lock:
            self._busy.pop(future, None)
            keep = not (self._closed or worker.interrupted)
            if keep:
                self._idle.append(worker)
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(_settle, future, result, error)
        return keep

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.give(None)
            worker.thread.join(timeout=5)


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration | SystemExit | KeyboardInterrupt):
        future.set_exception(RuntimeError(f"handler raised {described(error)}"))
    else:
        future.set_exception(error)
