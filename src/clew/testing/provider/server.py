"""The HTTP side: reads a request, asks the script, sends or breaks the answer."""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import msgspec

import clew.testing.provider.anthropic as anthropic
import clew.testing.provider.embeddings as embeddings
import clew.testing.provider.gemini as gemini
import clew.testing.provider.gemini_embeddings as gemini_embeddings
import clew.testing.provider.openai_chat as openai_chat
import clew.testing.provider.openai_responses as openai_responses
from clew.testing.provider.script import Api, Script, Seen, Step, over

WIRES: dict[Api, ModuleType] = {
    "chat": openai_chat,
    "responses": openai_responses,
    "anthropic": anthropic,
    "gemini": gemini,
    "embeddings": embeddings,
    "gemini_embeddings": gemini_embeddings,
}
ENDINGS: dict[str, Api] = {
    "/chat/completions": "chat",
    "/responses": "responses",
    "/messages": "anthropic",
    ":generateContent": "gemini",
    ":streamGenerateContent": "gemini",
    "/embeddings": "embeddings",
    ":batchEmbedContents": "gemini_embeddings",
}
"""How a path ends -> the protocol that is spoken there. What stands before (``/v1``, a deployment) does not matter."""


class FakeProvider:
    """Answers each request with the next of ``steps``, or with what a function says of it; 400 when the script is over.

    ``repeat``: begin again instead. ``port``: 0 for any that is free. ``seen`` holds every request; ``log``: they are appended
    there as JSON lines, on disk before they are answered. Nothing is kept back from either: use invented keys.
    """

    def __init__(
        self,
        *steps: Step,
        script: Script | None = None,
        repeat: bool = False,
        log: Path | None = None,
        port: int = 0,
    ) -> None:
        self.seen: list[Seen] = []
        self._steps: Sequence[Step] = steps
        self._script = script
        self._repeat = repeat
        self._log = log
        self._port = port
        self._released = asyncio.Event()
        self._changed = asyncio.Condition()
        self._closing = asyncio.Event()
        self._busy: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            self._closing.set()
            for writer in self._busy.values():
                writer.transport.abort()
            await asyncio.gather(*(task for task in self._busy if task is not None), return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    @property
    def port(self) -> int:
        if self._server is None:
            raise RuntimeError("the provider is not running: use `async with`")
        return self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        """Where it listens, without a path: Anthropic and Gemini; the OpenAI ones are at ``url + "/v1"``."""
        return f"http://127.0.0.1:{self.port}"

    def release(self) -> None:
        """Answer what hangs or is held; later ones are not held either."""
        self._released.set()

    async def asked(self, number: int) -> Seen:
        """Wait for the request of this number."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.seen) >= number)
        return self.seen[number - 1]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._busy[task] = writer
        try:
            while not self._closing.is_set() and (seen := await self._read(reader)) is not None:
                await self._note(seen)
                if not await self._answer(seen, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the server is closing
        finally:
            del self._busy[task]
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Seen | None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.strip().split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        raw = await reader.readexactly(int(headers.get("content-length", "0")))
        path = first.split(" ")[1]
        spoken: list[Api] = [api for end, api in ENDINGS.items() if path.partition("?")[0].endswith(end)]
        try:
            body: Any = msgspec.json.decode(raw)
        except msgspec.DecodeError:
            body = raw.decode(errors="replace")
        return Seen(len(self.seen) + 1, spoken[0] if spoken else None, path, headers, body, raw)

    async def _note(self, seen: Seen) -> None:
        self.seen.append(seen)
        if self._log is not None:
            with self._log.open("ab") as file:
                file.write(seen.line())
                file.flush()
                os.fsync(file.fileno())
        async with self._changed:
            self._changed.notify_all()

    def _step(self, seen: Seen) -> Step:
        if self._script is not None:
            return self._script(seen)
        at = seen.number - 1
        if self._repeat and self._steps:
            return self._steps[at % len(self._steps)]
        return self._steps[at] if at < len(self._steps) else over(seen)

    async def _answer(self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection goes on."""
        step = self._step(seen) if seen.api is not None else Step(status=404)
        if step.delay_ms:
            await self._pause(step.delay_ms)
        if step.hang and not await self._wait(seen, reader):
            return False
        if step.reset and step.cut is None:
            return _tear(writer)
        wire = WIRES[seen.api or "chat"]
        if seen.streamed and step.status == 200 and step.body is None:
            return await self._stream(step, seen, wire, reader, writer)
        return await _plain(step, seen, wire, writer)

    async def _stream(
        self, step: Step, seen: Seen, wire: ModuleType, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        writer.write(_head(step, {"content-type": "text/event-stream", "transfer-encoding": "chunked"}))
        await writer.drain()
        if step.first_token_ms:
            await self._pause(step.first_token_ms)
        events: Iterator[tuple[str, Any]] = wire.events(step, seen)
        for at, event in enumerate(islice(events, step.cut)):
            if at == step.hold and not await self._wait(seen, reader):
                return False
            writer.write(_chunk(event))
            await writer.drain()
        if step.reset:
            return _tear(writer)
        if step.stream_error:
            writer.write(_chunk(wire.stream_error(step.stream_error)))
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _pause(self, ms: int) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), ms / 1000)

    async def _wait(self, seen: Seen, reader: asyncio.StreamReader) -> bool:
        """Until released (True) or the client has gone (False)."""
        gone = asyncio.ensure_future(reader.read(1))
        released = asyncio.ensure_future(self._released.wait())
        try:
            await asyncio.wait((gone, released), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in (gone, released):
                one.cancel()
            await asyncio.gather(gone, released, return_exceptions=True)
        if self._released.is_set():
            return True
        seen.left.set()
        return False


async def _plain(step: Step, seen: Seen, wire: ModuleType, writer: asyncio.StreamWriter) -> bool:
    whole = step.body
    if whole is None:
        message = f"scripted fault {step.status}"
        whole = wire.answer(step, seen) if step.status == 200 else wire.error(step.status, message)
    body = whole.encode() if isinstance(whole, str) else msgspec.json.encode(whole)
    sent = body[: step.cut]
    kind = "text/event-stream" if seen.streamed and step.status == 200 else "application/json"
    promised = body if step.reset else sent
    writer.write(_head(step, {"content-type": kind, "content-length": str(len(promised))}) + sent)
    await writer.drain()
    return _tear(writer) if step.reset else True


def _head(step: Step, headers: dict[str, str]) -> bytes:
    lines = [f"{name}: {value}" for name, value in {**headers, **step.headers}.items()]
    return "\r\n".join([f"HTTP/1.1 {step.status} Scripted", *lines, "\r\n"]).encode("latin-1")


def _chunk(event: tuple[str, Any]) -> bytes:
    name, data = event
    text = data if isinstance(data, str) else msgspec.json.encode(data).decode()
    block = (f"event: {name}\n" if name else "") + f"data: {text}\n\n"
    return f"{len(block.encode()):x}\r\n{block}\r\n".encode()


def _tear(writer: asyncio.StreamWriter) -> bool:
    """A reset, not an end: the client sees its connection break."""
    connection: Any = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False
