"""Streams: what models say while they speak, to whoever listens. Provisional and best effort: nothing here is recorded."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Literal, Self, TypeVar

import msgspec

from clew.gate.ports.stream import Chunk
from clew.policies.redact import Redactor, StreamRedactor

T = TypeVar("T")

QUEUE_LIMIT = 256 * 1024
"""Characters that wait for one listener, each chunk counted with what it takes by itself."""
_CHUNK_OWN = 64


class Listener:
    """Chunks of one run and its child runs, from now on: an async iterator that ends with ``close``; also a context manager.

    A listener that is too slow loses what waits for it, and is told by a ``reset`` without a key: what was shown of the run is
    void. What follows are later parts.
    """

    def __init__(self, hub: "StreamHub", run: str) -> None:
        self.run = run
        self._hub = hub
        self._waiting: deque[Chunk] = deque()
        self._size = 0
        self._wake = asyncio.Event()
        self._closed = False

    def put(self, chunk: Chunk) -> None:
        size = _CHUNK_OWN + len(chunk.text)
        if self._waiting and self._size + size > QUEUE_LIMIT:
            self._waiting.clear()
            self._waiting.append(Chunk(run=self.run, task="", node="", key="", kind="reset"))
            self._size = _CHUNK_OWN
        self._waiting.append(chunk)
        self._size += size
        self._wake.set()

    def ready(self) -> Iterator[Chunk]:
        """What waits now, without waiting for more."""
        while self._waiting:
            yield self._take()

    def _take(self) -> Chunk:
        chunk = self._waiting.popleft()
        self._size -= _CHUNK_OWN + len(chunk.text)
        return chunk

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        await self.heard()
        if not self._waiting:
            raise StopAsyncIteration
        return self._take()

    async def heard(self) -> None:
        """Until something waits, or nothing will."""
        while not (self._waiting or self._closed):
            self._wake.clear()
            await self._wake.wait()

    def close(self) -> None:
        """Hear no more; what waits can still be taken."""
        self._closed = True
        self._wake.set()
        self._hub.forget(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Speech:
    """One answer under way: text and reasoning come through a window each, so that no secret shows in the gap of two chunks."""

    def __init__(self) -> None:
        self._windows: dict[Literal["text", "reasoning"], StreamRedactor] = {}

    def pieces(self, chunk: Chunk, redactor: Redactor) -> Iterator[Chunk]:
        """What may be shown now: what was held back of the other kind first."""
        for kind, window in self._windows.items():
            if kind != chunk.kind and (rest := window.flush(redactor)):
                yield msgspec.structs.replace(chunk, kind=kind, text=rest)
        if chunk.kind in ("text", "reasoning"):
            text = self._windows.setdefault(chunk.kind, StreamRedactor()).push(chunk.text, redactor)
            if text:
                yield msgspec.structs.replace(chunk, text=text)
        elif chunk.kind == "progress":  # a whole line: no part of a secret is in another chunk
            yield msgspec.structs.replace(chunk, text=redactor.text(chunk.text))
        else:
            yield chunk


class StreamHub:
    """Implements ``gate.ports.stream.Streams``, on one event loop. ``redactor`` is asked for every chunk: secrets are learned."""

    def __init__(self, redactor: Callable[[], Redactor]) -> None:
        self._redactor = redactor
        self._listeners: dict[str, list[Listener]] = {}
        self._speeches: dict[tuple[str, str], _Speech] = {}

    def listen(self, run: str) -> Listener:
        """Hear the run from now on. ``close`` the listener, or use it with ``with``."""
        listener = Listener(self, run)
        self._listeners.setdefault(run, []).append(listener)
        return listener

    def forget(self, listener: Listener) -> None:
        """Send nothing more to it."""
        of_run = self._listeners.get(listener.run, [])
        if listener in of_run:
            of_run.remove(listener)
            if not of_run:
                del self._listeners[listener.run]

    def wanted(self, run: str) -> bool:
        """See the port."""
        return next(self._hearing(run), None) is not None

    def send(self, chunk: Chunk) -> None:
        """See the port."""
        listeners, key = list(self._hearing(chunk.run)), (chunk.run, chunk.key)
        if not listeners and key not in self._speeches:
            return  # one that was heard goes through its window to its end: the next listener may come in the middle of a secret
        if chunk.kind == "reset":
            self._speeches.pop(key, None)
        speech = self._speeches.setdefault(key, _Speech())
        for piece in speech.pieces(chunk, self._redactor()):
            for listener in listeners:
                listener.put(piece)
        if chunk.kind == "end":
            del self._speeches[key]

    def _hearing(self, run: str) -> Iterator[Listener]:
        """Listeners of the run and of those that it is a child of."""
        while self._listeners and run:
            yield from self._listeners.get(run, ())
            run = run.rpartition(".")[0]


async def woven(events: AsyncIterator[T], listener: Listener) -> AsyncGenerator[T | Chunk]:
    """Both as they come, what was said before the event that follows it; ends with ``events``."""
    event = asyncio.ensure_future(anext(events, None))
    heard = asyncio.ensure_future(listener.heard())
    try:
        while True:
            await asyncio.wait((event, heard), return_when=asyncio.FIRST_COMPLETED)
            for chunk in listener.ready():
                yield chunk
            if heard.done():
                heard = asyncio.ensure_future(listener.heard())
            if event.done():
                found = event.result()
                if found is None:
                    return
                yield found
                event = asyncio.ensure_future(anext(events, None))
    finally:
        for task in (event, heard):
            task.cancel()
        await asyncio.gather(event, heard, return_exceptions=True)
