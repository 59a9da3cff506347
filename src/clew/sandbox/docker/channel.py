"""Messages to and from a container's agent, over the standard streams of the process that attaches to it."""

import itertools
import os
import select
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import IO, Any

import msgspec

from clew.core.errors import ClewError, Failure, NotFound, UsageError
from clew.sandbox.docker.frames import FRAME, LENGTH, pack, split

_HEADER_LIMIT = 1 << 20
_KINDS: dict[str, type[ClewError]] = {"UsageError": UsageError, "NotFound": NotFound}

Answer = tuple[dict[str, Any], bytes]


class Channel:
    """Calls by number, answered in any order. Thread-safe. ``lost`` says why, when the other end has gone.

    What comes in is believed to be the agent's, but not trusted: no answer may be longer than its call has allowed.
    """

    def __init__(self, process: subprocess.Popen[bytes], lost: Callable[[], Failure]) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("the process needs pipes")
        self._sink, self._source = process.stdin, process.stdout
        os.set_blocking(self._sink.fileno(), False)
        self._lost = lost
        self._ended: Failure | None = None
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[Future[Answer], int]] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._reader = threading.Thread(target=self._read, name="clew-docker", daemon=True)
        self._reader.start()

    def expect(self, limit: int = 0) -> tuple[int, Future[Answer]]:
        """A number for a call, and what its answer will be; ``limit``: bytes it may have besides its header."""
        answer: Future[Answer] = Future()
        with self._lock:
            number = next(self._numbers)
            if self._ended is None:
                self._waiting[number] = (answer, limit)
        if self._ended is not None:
            answer.set_exception(self._ended)
        return number, answer

    def send(self, number: int, header: dict[str, Any], data: bytes = b"", *, wait_s: float) -> None:
        """When the other end is gone, the answer says so. Raises TimeoutError as ``write``."""
        self.write(pack(number, msgspec.json.encode(header), len(data)), data, wait_s=wait_s)

    def write(self, *parts: bytes, wait_s: float) -> None:
        """Raises TimeoutError when the other end has read nothing for that long; then nothing more is written."""
        if not self._writing.acquire(timeout=wait_s):
            raise TimeoutError
        try:
            for part in parts:
                self._write(memoryview(part), wait_s)
        except TimeoutError:
            self._sink.close()
            raise
        except (OSError, ValueError):  # gone, or closed here
            pass
        finally:
            self._writing.release()

    def call(self, header: dict[str, Any], data: bytes = b"", *, wait_s: float, limit: int = 0) -> Answer:
        """Send and wait. Raises what the agent raised, ``lost``, TimeoutError."""
        number, answer = self.expect(limit)
        self.send(number, header, data, wait_s=wait_s)
        return answer.result(wait_s)

    def finish(self, wait_s: float) -> bool:
        """Say that nothing more comes; whether the other end has then gone in time."""
        if not self._writing.acquire(timeout=wait_s):  # it does not even read
            return False
        try:
            with suppress(OSError):
                self._sink.close()
        finally:
            self._writing.release()
        self._reader.join(wait_s)
        return not self._reader.is_alive()

    def _write(self, view: memoryview, wait_s: float) -> None:
        fd = self._sink.fileno()
        while view:
            try:
                view = view[os.write(fd, view) :]
            except BlockingIOError:
                poll = select.poll()
                poll.register(fd, select.POLLOUT)
                if not poll.poll(wait_s * 1000):
                    raise TimeoutError from None

    def _read(self) -> None:
        with suppress(OSError, ValueError, KeyError):  # the last: an answer to nothing
            while self._read_answer(self._source):
                pass
        failure = self._lost()
        with self._lock:
            self._ended = failure
            waiting, self._waiting = self._waiting, {}
        for answer, _ in waiting.values():
            with suppress(InvalidStateError):
                answer.set_exception(failure)
        self._source.close()

    def _read_answer(self, source: IO[bytes]) -> bool:
        head = source.read(FRAME.size)
        if len(head) < FRAME.size:
            return False
        number, size = FRAME.unpack(head)
        with self._lock:
            answer, limit = self._waiting[number]
        if not LENGTH.size <= size <= LENGTH.size + _HEADER_LIMIT + limit:
            return False
        body = source.read(size)
        if len(body) < size:
            return False
        text, data = split(body)
        header = msgspec.json.decode(text, type=dict[str, Any])
        with self._lock:
            del self._waiting[number]
        with suppress(InvalidStateError):  # nobody waits any more
            if "error" in header:
                answer.set_exception(_error(header))
            else:
                answer.set_result((header, data))
        return True


def _error(header: dict[str, Any]) -> ClewError:
    kind = _KINDS.get(str(header.get("kind")), Failure)
    return kind(str(header["error"]), code=str(header.get("code", "failed")), hint=str(header.get("hint", "")))
