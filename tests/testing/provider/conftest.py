"""A client of few lines: what is tested here is what a server puts on the wire, so no library stands between."""

import asyncio
import json
from typing import Any

import pytest

PATHS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/m:generateContent",
    "embeddings": "/v1/embeddings",
    "gemini_embeddings": "/v1beta/models/m:batchEmbedContents",
}


class Reply:
    def __init__(self, raw: bytes) -> None:
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        self.status = int(first.split(" ")[1])
        self.headers = dict(line.split(": ", 1) for line in lines)
        self.body = _unchunked(body) if "transfer-encoding" in self.headers else body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[tuple[str, Any]]:
        found = []
        for block in self.body.decode().split("\n\n")[:-1]:
            *name, data = block.split("\n")
            text = data.removeprefix("data: ")
            found.append(
                (name[0].removeprefix("event: ") if name else "", text if text == "[DONE]" else json.loads(text))
            )
        return found


def _unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        whole, body = whole + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return whole


def request_bytes(api: str, stream: bool = False, **body: Any) -> bytes:
    path = PATHS[api]
    if api == "gemini" and stream:
        path = path.replace(":generateContent", ":streamGenerateContent?alt=sse")
    sent = json.dumps({"model": "m", **({"stream": True} if stream and api != "gemini" else {}), **body}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nConnection: close\r\nContent-Length: {len(sent)}"
    return head.encode() + b"\r\n\r\n" + sent


async def exchange(port: int, request: bytes) -> bytes:
    """Everything that comes until the connection ends, or is torn down; the client ends its side when all was read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        got = b""
        while not _complete(got):
            more = await reader.read(65536)
            if not more:
                break
            got += more
        return got
    finally:
        writer.close()


def _complete(got: bytes) -> bool:
    head, end, body = got.partition(b"\r\n\r\n")
    if not end:
        return False
    if b"chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    return len(body) >= int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])


@pytest.fixture
def call():
    async def one(port: int, api: str, **fields: Any) -> Reply:
        return Reply(await exchange(port, request_bytes(api, **fields)))

    return one


@pytest.fixture
def raw_call():
    return exchange


@pytest.fixture
def request_of():
    return request_bytes
