import asyncio
import gzip
import socket
import zlib

import pytest

from clew.core.errors import Failure
from clew.tools.http import client
from clew.tools.http.address import target_of
from clew.tools.http.client import Request, exchange


async def get(site, path="/", *, limit=1000, timeout_s=5.0, addresses=("127.0.0.1",), **fields):
    request = Request(**{"method": "GET", "target": target_of(site.url + path), **fields})
    return await exchange(request, list(addresses), limit=limit, timeout_s=timeout_s)


async def code_of(awaitable):
    with pytest.raises(Failure) as caught:
        await awaitable
    return caught.value.code


async def test_request_and_reply(site):
    site.answer = lambda *_: (201, {"a": 1}, [("X-A", "1"), ("Link", "<x>")])
    reply = await get(site, "/p?q=1", method="POST", headers={"X-B": "2"}, body=b"hello")
    assert (reply.status, reply.body, reply.truncated, reply.headers["x-a"]) == (201, b'{"a": 1}', False, "1")
    method, path, headers, body = site.asked[0]
    assert (method, path, body) == ("POST", "/p?q=1", b"hello")
    assert headers["host"] == site.host
    assert headers["user-agent"].startswith("clew/")
    assert headers["x-b"] == "2"


async def test_another_agent_string(site):
    await get(site, headers={"user-agent": "mine"})
    assert site.asked[0][2]["user-agent"] == "mine"


async def test_repeated_headers_and_chunks(site):
    site.answer = lambda *_: (
        b"HTTP/1.1 200 OK\r\nVary: a\r\nVary: b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    reply = await get(site)
    assert (reply.body, reply.headers["vary"]) == (b"abcde", "a, b")


async def test_long_answers_are_cut(site):
    site.answer = lambda *_: (200, b"x" * 100_000)
    reply = await get(site, limit=70_000)
    assert (len(reply.body), reply.truncated) == (70_000, True)
    reply = await get(site, limit=100_000)
    assert (len(reply.body), reply.truncated) == (100_000, False)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
async def test_packed_answers(site, pack):
    name = "gzip" if pack is gzip.compress else "deflate"
    site.answer = lambda *_: (200, pack(b"hello"), [("Content-Encoding", name)])
    assert (await get(site)).body == b"hello"
    site.answer = lambda *_: (200, pack(bytes(5_000_000)), [("Content-Encoding", name)])
    reply = await get(site, limit=100_000)
    assert (len(reply.body), reply.truncated) == (100_000, True)


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"",
    ],
)
async def test_what_is_no_proper_answer(site, answer):
    site.answer = lambda *_: answer
    assert await code_of(get(site)) in ("bad_response", "connection_failed")


async def test_nobody_there(site):
    await site.close()
    assert await code_of(get(site)) == "connection_failed"


async def test_the_next_address_is_tried(site):
    assert (await get(site, addresses=["127.0.0.2", "127.0.0.1"])).status == 200
    assert len(site.asked) == 1


async def test_only_the_given_address_is_reached(site, monkeypatch):
    """The name is not looked up again: what it leads to by now does not matter."""

    def no_more(*_args, **_fields):
        raise AssertionError("looked up again")

    monkeypatch.setattr(socket, "getaddrinfo", no_more)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", no_more)
    request = Request(method="GET", target=target_of(f"http://api.example.org:{site.port}/"))
    reply = await exchange(request, ["127.0.0.1"], limit=100, timeout_s=5)
    assert reply.status == 200
    assert site.asked[0][2]["host"] == f"api.example.org:{site.port}"


async def test_time_out_ends_the_connection(site):
    site.hangs = True
    assert await code_of(get(site, timeout_s=0.2)) == "http_timeout"
    async with asyncio.timeout(5):
        await site.left.wait()


async def test_cancel_ends_the_connection(site):
    site.hangs = True
    task = asyncio.create_task(get(site, timeout_s=60))
    async with asyncio.timeout(5):
        while not site.asked:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await site.left.wait()


async def test_cancel_while_it_connects(site, monkeypatch):
    begun = asyncio.Event()

    async def never(*_):
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", never)
    task = asyncio.create_task(get(site))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_address_that_does_not_answer(site, monkeypatch):
    monkeypatch.setattr(client, "CONNECT_S", 0.05)

    async def never(*_):
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", never)
    assert await code_of(get(site)) == "connection_failed"


async def test_certificates_are_checked(secure_site, certificate, monkeypatch):
    client._tls.cache_clear()
    assert await code_of(get(secure_site)) == "tls_failed"
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    client._tls.cache_clear()
    try:
        assert (await get(secure_site)).status == 200
    finally:
        client._tls.cache_clear()


async def test_tls_with_who_speaks_none():
    async def in_clear(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(in_clear, "127.0.0.1", 0) as server:
        target = target_of(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        request = Request(method="GET", target=target)
        assert await code_of(exchange(request, ["127.0.0.1"], limit=10, timeout_s=5)) == "tls_failed"
