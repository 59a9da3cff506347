"""An MCP session over streamable HTTP: the credential, and what an answer may be, kept below the library.

What becomes of a request is told to the library as a JSON-RPC error with one of our codes: an exception in its transport would
end the session of every other call too.
"""

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx2
from mcp.client.streamable_http import streamable_http_client

from clew.core.errors import Failure

UNSENT = -39001
"""The request reached nothing that could do it, and neither would another of this session."""
LOST = -39002
"""Nobody knows."""
MESSAGE_LIMIT = 8 * 1024 * 1024
STREAM_LIMIT = 64 * 1024 * 1024
"""Bytes of one answer: as JSON, and as a stream of events."""
CONNECT_S = 10.0
_KEPT = frozenset(
    {"accept", "content-length", "content-type", "host", "last-event-id", "transfer-encoding", "user-agent"}
)
_KEPT_PREFIX = "mcp-"
_SESSION = "mcp-session-id"

for _name in ("httpcore2", "httpx2"):
    logging.getLogger(_name).setLevel(logging.WARNING)  # below this they write down headers


@asynccontextmanager
async def http_transport(url: str, secret: Callable[[], str] | None) -> AsyncGenerator[Any]:
    """Implements the library's ``Transport``. ``secret`` is asked for each request."""
    wire = Wire(httpx2.URL(url), secret)
    timeout = httpx2.Timeout(None, connect=CONNECT_S, pool=CONNECT_S)  # how long a call may take is the caller's to say
    async with (
        httpx2.AsyncClient(transport=wire, timeout=timeout, follow_redirects=False, trust_env=False) as client,
        streamable_http_client(url, http_client=client, max_sse_event_size=MESSAGE_LIMIT) as streams,
    ):
        yield streams


class Wire(httpx2.AsyncBaseTransport):
    """HTTP as it leaves, and as much of an answer as can be meant."""

    def __init__(self, url: httpx2.URL, secret: Callable[[], str] | None) -> None:
        self._origin = _origin(url)
        self._secret = secret
        self._inner = httpx2.AsyncHTTPTransport(trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {n: v for n, v in request.headers.items() if n in _KEPT or n.startswith(_KEPT_PREFIX)}
        headers["accept-encoding"] = "identity"  # nothing that grows when it is unpacked
        if self._secret is not None and _origin(request.url) == self._origin:
            try:
                headers["authorization"] = f"Bearer {self._secret()}"
            except Failure as failure:
                return _error(UNSENT, str(failure))
        sent = httpx2.Request(
            request.method, request.url, headers=headers, stream=request.stream, extensions=request.extensions
        )
        try:
            response = await self._inner.handle_async_request(sent)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            return _error(UNSENT, f"it cannot be reached: {error or type(error).__name__}")
        except httpx2.TransportError as error:
            return _error(LOST, f"the connection broke: {error or type(error).__name__}")
        events = response.headers.get("content-type", "").lower().startswith("text/event-stream")
        stream = cast("httpx2.AsyncByteStream", response.stream)
        response.stream = _Bounded(stream, STREAM_LIMIT if events else MESSAGE_LIMIT)
        refused = await _refused(response, session=_SESSION in headers)
        if refused is not None:
            await response.aclose()
            return refused
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _refused(response: httpx2.Response, *, session: bool) -> httpx2.Response | None:
    """What to tell the library in place of an answer that is none."""
    status = response.status_code
    if status in (401, 403):
        return _error(UNSENT, f"it does not let us in (HTTP {status})")
    if status == 404 and session:
        return _error(UNSENT, "it has forgotten the session")
    if status >= 500 and not await _is_message(response):
        return _error(LOST, f"it answered HTTP {status}")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        return _error(LOST, "it compressed its answer, which was not asked for")
    return None


async def _is_message(response: httpx2.Response) -> bool:
    """An error of the protocol may come with any status."""
    try:
        return b'"jsonrpc"' in await response.aread()
    except httpx2.TransportError:
        return False


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _error(code: int, message: str) -> httpx2.Response:
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    return httpx2.Response(400, headers={"content-type": "application/json"}, content=json.dumps(body).encode())


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, limit: int) -> None:
        self._inner, self._left = inner, limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner:
            self._left -= len(chunk)
            if self._left < 0:
                raise httpx2.ReadError("the answer is too large")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()
