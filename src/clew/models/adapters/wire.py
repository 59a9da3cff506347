"""HTTP as it leaves: the credential, and nothing that the environment or a library would add of its own.

The libraries are given a placeholder for a key; the real one is put into a copy of the request here, so that it is in no
client object, no error and no repr. Neither proxies nor keys are taken from the environment, and redirects are not followed.
"""

import logging
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

import httpx2

PLACEHOLDER = "set-by-clew"
"""The libraries refuse to work without a key."""

KEPT = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "content-type", "host", "transfer-encoding", "user-agent"}
)  # fmt: skip
KEPT_PREFIXES = ("anthropic-version", "anthropic-beta", "x-goog-api-client")
LIMITS = httpx2.Limits(max_connections=1000, max_keepalive_connections=100)
CONNECT_SECONDS = 10.0

for _name in ("httpcore2", "httpx2", "openai", "anthropic", "google_genai"):
    # below this they write down headers as they come, and a server may repeat the credential in one
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass
class Exchange:
    """One request: the key that goes with it, and what came back. ``status`` None: nothing did."""

    key: str | None = field(repr=False)
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


CURRENT: ContextVar[Exchange] = ContextVar("exchange")


class Wire(httpx2.AsyncBaseTransport):
    """``header``: where the credential goes; ``prefix``: what stands before it."""

    def __init__(self, header: str, prefix: str = "") -> None:
        self._header, self._prefix = header, prefix
        self._inner = httpx2.AsyncHTTPTransport(trust_env=False, limits=LIMITS)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        exchange = CURRENT.get()
        headers = {n: v for n, v in request.headers.items() if n in KEPT or n.startswith(KEPT_PREFIXES)}
        if exchange.key is not None:
            headers[self._header] = self._prefix + exchange.key
        sent = httpx2.Request(
            request.method, request.url, headers=headers, stream=request.stream, extensions=request.extensions
        )
        response = await self._inner.handle_async_request(sent)
        exchange.status = response.status_code
        exchange.headers = {name.lower(): value for name, value in response.headers.items()}
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


def http_client(header: str, prefix: str = "", *, timeout_ms: int) -> httpx2.AsyncClient:
    """``timeout_ms``: for a silence; the deadline of the whole request is the client's (``AdapterClient``)."""
    return httpx2.AsyncClient(
        transport=Wire(header, prefix),
        timeout=httpx2.Timeout(timeout_ms / 1000, connect=CONNECT_SECONDS),
        follow_redirects=False,
        trust_env=False,
    )
