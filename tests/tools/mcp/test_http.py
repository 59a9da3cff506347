"""Streamable HTTP: a server made with the library, and one that answers whatever it is told to."""

import asyncio
import contextlib
import json
import socket

import pytest
import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import ImageContent

from clew.tools.mcp import http

AUTHORISED = "Bearer s3cret-token-1234567890"


def app(seen, *, stateless, started, cancelled):
    server = MCPServer("loopback")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @server.tool()
    async def slow(ctx: Context) -> str:
        """Tell how far it is."""
        for done in (1, 2):
            await ctx.report_progress(done, 2, f"{done} of 2")
        return "done"

    @server.tool()
    async def wait() -> str:
        """Never ends."""
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return ""

    @server.tool()
    def fail() -> str:
        """Fails."""
        raise ValueError("no such thing")

    @server.tool()
    def picture() -> ImageContent:
        """Paints."""
        return ImageContent(type="image", data="AAAA", mime_type="image/png")

    inner = server.streamable_http_app(stateless_http=stateless)

    async def outer(scope, receive, send):
        if scope["type"] == "http":
            seen.append(dict(scope["headers"]))
        await inner(scope, receive, send)

    return outer


class Loopback:
    def __init__(self, url, seen, started, cancelled):
        self.url, self.seen, self.started, self.cancelled = url, seen, started, cancelled


@pytest.fixture
async def loopback(request):
    seen, started, cancelled = [], asyncio.Event(), asyncio.Event()
    stateless = getattr(request, "param", False)
    made = app(seen, stateless=stateless, started=started, cancelled=cancelled)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(made, log_level="critical", lifespan="on", ws="none"))
        server.capture_signals = contextlib.nullcontext
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        yield Loopback(f"http://127.0.0.1:{listening.getsockname()[1]}/mcp", seen, started, cancelled)
        server.should_exit = server.force_exit = True
        await serving


@pytest.mark.parametrize("loopback", [False, True], indirect=True)
async def test_calls_over_http(loopback, call, failing, servers):
    entry = {"url": loopback.url}
    pin = (await servers.offers("it", entry))["add"].pin
    assert await call("add", {"a": 2, "b": 3}, entry=entry, pin=pin) == {"result": 5}
    failure = await failing("fail", entry=entry)
    assert failure.code == "tool_failed"
    assert "fail" in failure.message
    assert (await failing("add", {"a": "x"}, entry=entry)).code == "tool_failed"
    assert await call("picture", entry=entry) == "[image image/png, 3 bytes, not shown]"
    assert not any(b"authorization" in headers for headers in loopback.seen)


async def test_progress_over_http(loopback, call):
    told = []
    progress = lambda fraction, message: told.append((fraction, message))  # noqa: E731
    assert await call("slow", entry={"url": loopback.url}, progress=progress) == {"result": "done"}
    assert told == [(0.5, "1 of 2"), (1.0, "2 of 2")]


async def test_cancelling_over_http_reaches_the_server(loopback, call):
    task = asyncio.create_task(call("wait", entry={"url": loopback.url}))
    async with asyncio.timeout(10):
        await loopback.started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await loopback.cancelled.wait()


async def test_the_credential_goes_with_every_request_and_nothing_of_the_environment(loopback, call, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    await call("add", {"a": 2, "b": 3}, entry={"url": loopback.url, "credential": "token"})
    assert loopback.seen
    assert {headers[b"authorization"].decode() for headers in loopback.seen} == {AUTHORISED}
    assert all(headers[b"accept-encoding"] == b"identity" for headers in loopback.seen)


# -- a server that answers whatever it is told to ------------------------------------------------------------------------

LISTED = {"tools": [{"name": "do", "description": "", "inputSchema": {"type": "object"}}]}
HELLO = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}
OK = {"content": [{"type": "text", "text": "ok"}]}


def reply(status, body=b"", kind="application/json", **headers):
    lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(body)}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def result(message, value, **headers):
    return reply(200, json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": value}).encode(), **headers)


class Raw:
    """``does``: what each call of the tool is answered with: bytes, or a function of writer and message."""

    def __init__(self):
        self.lists, self.does, self.calls, self.sessions, self.heads, self.keys = [], [], 0, 0, [], []

    async def handle(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            self.heads.append(head)
            length = next((int(line[15:]) for line in head.split("\r\n") if line.startswith("content-length:")), 0)
            message = json.loads(await reader.readexactly(length)) if length else {}
            answer = self.answer(head, message)
            if callable(answer):
                await answer(writer, message)
            else:
                writer.write(answer)
            await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    def answer(self, head, message):
        match message.get("method"):
            case "initialize":
                self.sessions += 1
                return result(message, HELLO, mcp_session_id=f"s{self.sessions}")
            case "tools/list":
                return self.lists.pop(0) if self.lists else result(message, LISTED)
            case "tools/call":
                self.calls += 1
                self.keys.append(message["params"]["_meta"]["idempotencyKey"])
                return self.does.pop(0) if self.does else result(message, OK)
            case None:
                return reply(405)
            case "server/discover":
                return reply(400)
            case _:
                return reply(202)


@pytest.fixture
async def raw():
    made = Raw()
    server = await asyncio.start_server(made.handle, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    yield made
    server.close()


async def events(writer, message, *, size, count):
    writer.write(b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
    for _ in range(count):
        writer.write(b"data: " + b"x" * size + b"\n\n")
        await writer.drain()


def flood(size, count):
    async def answer(writer, message):
        await events(writer, message, size=size, count=count)

    return answer


async def test_a_plain_answer(raw, call):
    assert await call("do", entry={"url": raw.url}) == "ok"


async def test_a_forgotten_session_is_begun_anew(raw, call):
    raw.does = [reply(404)]
    assert await call("do", entry={"url": raw.url}) == "ok"
    assert (raw.calls, raw.sessions) == (2, 2)
    assert raw.keys == ["run:key"] * 2


async def test_a_session_that_is_forgotten_while_listing_is_begun_anew(raw, call, servers):
    assert await call("do", entry={"url": raw.url}) == "ok"
    (server,) = servers._servers.values()
    server._connection.changed, raw.lists = True, [reply(404)]
    assert await call("do", entry={"url": raw.url}) == "ok"
    assert raw.sessions == 2


@pytest.mark.parametrize("status", [401, 403])
async def test_a_server_that_does_not_let_us_in(status, raw, failing):
    raw.does = [reply(status), reply(status)]
    failure = await failing("do", entry={"url": raw.url, "credential": "token"})
    assert failure.code == "tool_unavailable"
    assert str(status) in failure.message
    assert "s3cret" not in str(failure)


@pytest.mark.parametrize(
    "answer",
    [
        reply(502, b"<html>", "text/html"),
        reply(500, b'{"detail": "x"}'),
        reply(500, b"x" * 9_000_000),
        reply(200, b"{"),
        reply(200, b"{}", content_encoding="gzip"),
        b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
        b"",
        b"not http at all\r\n\r\n",
        flood(10, 3),
    ],
)
async def test_what_breaks_after_it_was_sent_is_in_doubt(answer, raw, failing, call):
    raw.does = [answer]
    assert (await failing("do", entry={"url": raw.url})).code == "in_doubt"
    assert raw.calls == 1
    assert await call("do", entry={"url": raw.url}) == "ok"


async def test_what_may_be_repeated_is_repeated(raw, call):
    raw.does = [reply(502, b"<html>", "text/html")]
    assert await call("do", entry={"url": raw.url}, repeat=True) == "ok"
    assert raw.calls == 2


@pytest.mark.parametrize(
    "answer",
    [
        reply(500, b'{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"no"}}'),
        reply(202),
        reply(200, b"x", "text/plain"),
        reply(307, location="http://127.0.0.1:1/"),
        reply(418),
    ],
)
async def test_an_answer_that_is_none(answer, raw, failing):
    raw.does = [answer]
    assert (await failing("do", entry={"url": raw.url, "credential": "token"})).code == "tool_failed"


async def test_answers_are_bounded(raw, failing, call, monkeypatch):
    monkeypatch.setattr(http, "MESSAGE_LIMIT", 10_000)
    monkeypatch.setattr(http, "STREAM_LIMIT", 200_000)
    raw.does = [reply(200, b'"' + b"x" * 100_000), flood(20_000, 2), flood(100, 100_000)]
    for _ in range(3):
        async with asyncio.timeout(20):
            assert (await failing("do", entry={"url": raw.url})).code in ("in_doubt", "tool_failed")
    assert await call("do", entry={"url": raw.url}) == "ok"


async def test_nobody_there(failing):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    failure = await failing("do", entry={"url": f"http://127.0.0.1:{port}/"})
    assert failure.code == "tool_unavailable"
    assert "cannot be reached" in failure.message


async def test_a_server_that_comes_back(raw, call, failing, monkeypatch):
    assert await call("do", entry={"url": raw.url}) == "ok"
    inner = http.httpx2.AsyncHTTPTransport.handle_async_request

    async def unreachable(self, request):
        raise http.httpx2.ConnectError("refused")

    monkeypatch.setattr(http.httpx2.AsyncHTTPTransport, "handle_async_request", unreachable)
    assert (await failing("do", entry={"url": raw.url})).code == "tool_unavailable"
    monkeypatch.setattr(http.httpx2.AsyncHTTPTransport, "handle_async_request", inner)
    assert await call("do", entry={"url": raw.url}) == "ok"
    assert raw.calls == 2


async def test_a_credential_that_is_gone_is_not_sent_as_nothing(raw, call, failing, secrets):
    entry = {"url": raw.url, "credential": "token"}
    assert await call("do", entry=entry) == "ok"
    secrets.values.clear()
    assert (await failing("do", entry=entry)).code in ("no_credential", "tool_unavailable")
    assert raw.calls == 1
    assert all("bearer s3cret" in head for head in raw.heads)
