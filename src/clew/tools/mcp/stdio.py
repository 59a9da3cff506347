"""An MCP session's messages over the pipes of a process. Bounded: nothing a server writes can fill memory or hold up the loop."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCMessage, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse
from mcp_types import jsonrpc_message_adapter as messages

from clew.gate.ports.clock import Clock
from clew.tools.mcp.process import ServerProcess

MESSAGE_LIMIT = 8 * 1024 * 1024
"""Bytes of one message."""
NOISE_BYTES = 16 * 1024 * 1024
NOISE_MESSAGES = 10_000
"""What a server may say within a minute that answers no request: notifications, requests of its own, what is no message at all."""
HEARD = frozenset({"notifications/progress", "notifications/tools/list_changed", "notifications/cancelled"})
"""Notifications that anybody here listens to."""
_MINUTE_MS = 60_000
_CHUNK = 65536
_UNWRITTEN = 64
"""Messages that wait for a server that does not read: then cancelling a call does not wait for it as well."""


_Streams = tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]


class Overrun(Exception):
    """The server says more than can be meant."""


class StdioTransport:
    """Implements the library's ``Transport`` over one process. ``on_end`` is told that nothing more will come, and why."""

    def __init__(
        self, start: Callable[[], Awaitable[ServerProcess]], on_end: Callable[[str], None], clock: Clock
    ) -> None:
        self._start, self._on_end, self._clock = start, on_end, clock
        self._asked: set[int | str] = set()
        self._minute, self._bytes, self._messages = clock.now(), 0, 0

    async def __aenter__(self) -> _Streams:
        self._process = await self._start()
        self._incoming, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        write, self._outgoing = anyio.create_memory_object_stream[SessionMessage](_UNWRITTEN)
        self._streams = (self._incoming, read, write, self._outgoing)
        self._tasks = [
            asyncio.create_task(self._read(self._incoming)),
            asyncio.create_task(self._write(self._outgoing)),
        ]
        return read, write

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for stream in self._streams:
            stream.close()
        await self._process.stop()
        self._on_end(await self._process.fate())

    async def _read(self, incoming: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
        """Closing ``incoming`` tells the session that the connection has ended."""
        why = ""
        with incoming:
            try:
                await self._lines(incoming)
            except Overrun as overrun:
                why = str(overrun)
            except (OSError, anyio.ClosedResourceError, anyio.BrokenResourceError):
                why = "the connection broke"
        self._on_end(why or await self._process.fate())

    async def _lines(self, incoming: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
        held = bytearray()
        while chunk := await self._process.stdout.read(_CHUNK):
            *ends, rest = chunk.split(b"\n")
            for end in ends:
                message = self._message(bytes(held) + end)
                held.clear()
                if message is not None:
                    await incoming.send(SessionMessage(message))
            held += rest
            if len(held) > MESSAGE_LIMIT:
                raise Overrun(f"it sent a message of more than {MESSAGE_LIMIT >> 20} MiB")

    def _message(self, line: bytes) -> JSONRPCMessage | None:
        """None for what nobody needs to hear. Raises Overrun."""
        try:
            message = messages.validate_json(line, by_name=False)
        except ValueError:
            self._noise(len(line))
            return None
        if isinstance(message, JSONRPCResponse | JSONRPCError) and message.id in self._asked:
            self._asked.discard(message.id)
            return message
        self._noise(len(line))
        if isinstance(message, JSONRPCNotification):
            return message if message.method in HEARD else None
        return message if isinstance(message, JSONRPCRequest) else None

    def _noise(self, size: int) -> None:
        now = self._clock.now()
        if now - self._minute >= _MINUTE_MS:
            self._minute, self._bytes, self._messages = now, 0, 0
        self._bytes += size
        self._messages += 1
        if self._bytes > NOISE_BYTES or self._messages > NOISE_MESSAGES:
            raise Overrun("it floods its standard output with what answers no request")

    async def _write(self, outgoing: MemoryObjectReceiveStream[SessionMessage]) -> None:
        try:
            async for item in outgoing:
                if isinstance(item.message, JSONRPCRequest):
                    self._asked.add(item.message.id)
                elif isinstance(item.message, JSONRPCNotification) and item.message.method == "notifications/cancelled":
                    self._asked.discard((item.message.params or {}).get("requestId", ""))
                data = item.message.model_dump_json(by_alias=True, exclude_unset=True).encode()
                self._process.stdin.write(data + b"\n")
                await self._process.stdin.drain()
        except OSError:  # it no longer reads; that it ended is seen by its silence
            return
