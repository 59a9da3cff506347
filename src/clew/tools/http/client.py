"""One HTTP/1.1 exchange: a new connection to a checked address, a bounded answer, ended by cancelling.

``http.client`` speaks the protocol in a thread of its own; the connection is made here, to the address that is given, and
shutting its socket ends the thread whatever it waits for.
"""

import asyncio
import http.client
import socket
import ssl
import zlib
from contextlib import suppress
from functools import cache

import msgspec

from clew._version import __version__
from clew.core.errors import Failure
from clew.tools.http.address import Target

CONNECT_S = 10.0
_CHUNK = 64 * 1024
_GZIP = zlib.MAX_WBITS | 32
"""Gzip or zlib, whichever the data says."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    method: str
    target: Target
    headers: dict[str, str] = {}
    body: bytes | None = None


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """``headers``: names in lower case, repeated ones joined. ``truncated``: there was more than was asked for."""

    status: int
    headers: dict[str, str]
    body: bytes
    truncated: bool


async def exchange(request: Request, addresses: list[str], *, limit: int, timeout_s: float) -> Reply:
    """Send it to the first address that answers and read ``limit`` bytes of the (unpacked) answer at most.

    Raises Failure: ``connection_failed``, ``tls_failed``, ``bad_response``, ``http_timeout``.
    """
    place = request.target.authority
    try:
        async with asyncio.timeout(timeout_s):
            connected = await _connect(request.target, addresses)
            connected.settimeout(timeout_s)
            return await _in_thread(_Exchange(connected, request, limit))
    except TimeoutError:
        raise Failure(f"{place}: no whole answer within {timeout_s:g} s", code="http_timeout") from None
    except ssl.SSLCertVerificationError as error:
        raise Failure(f"{place}: its certificate is not valid: {error.verify_message}", code="tls_failed") from None
    except ssl.SSLError as error:
        raise Failure(f"{place}: no TLS connection: {error.reason}", code="tls_failed") from None
    except (http.client.HTTPException, zlib.error, ValueError) as error:
        raise Failure(f"{place}: not a proper HTTP answer: {type(error).__name__}", code="bad_response") from None
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise Failure(f"{place}: the connection failed: {why}", code="connection_failed") from None


async def _connect(target: Target, addresses: list[str]) -> socket.socket:
    loop = asyncio.get_running_loop()
    problem: OSError = ConnectionRefusedError()
    for address in addresses:
        made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            made.setblocking(False)
            async with asyncio.timeout(CONNECT_S):
                await loop.sock_connect(made, (address, target.port))
            return made
        except OSError as error:  # TimeoutError is one; a cancel is none
            made.close()
            problem = ConnectionError(0, "no connection in time") if isinstance(error, TimeoutError) else error
        except BaseException:
            made.close()
            raise
    raise problem


async def _in_thread(work: "_Exchange") -> Reply:
    thread = asyncio.ensure_future(asyncio.to_thread(work.run))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        work.abort()
        with suppress(Exception):  # what it was doing is void; the thread ends at once
            await asyncio.shield(thread)
        raise


class _Exchange:
    def __init__(self, connected: socket.socket, request: Request, limit: int) -> None:
        self._request, self._limit = request, limit
        self._socket = connected
        if request.target.scheme == "https":
            self._socket = _tls().wrap_socket(
                connected, server_hostname=request.target.host, do_handshake_on_connect=False
            )

    def abort(self) -> None:
        """End the thread's waiting; from any thread."""
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # the system call alone: no TLS farewell

    def run(self) -> Reply:
        request = self._request
        connection = http.client.HTTPConnection(request.target.host, request.target.port)
        connection.auto_open = 0  # never a connection of its own, to an address that nobody checked
        connection.sock = self._socket
        try:
            if isinstance(self._socket, ssl.SSLSocket):
                self._socket.do_handshake()
            own = {"Host": request.target.authority, "Accept-Encoding": "gzip", "Connection": "close"}
            if "user-agent" not in {name.lower() for name in request.headers}:
                own["User-Agent"] = f"clew/{__version__}"
            headers = {**request.headers, **own}
            connection.request(request.method, request.target.path, body=request.body, headers=headers)
            with connection.getresponse() as response:
                return self._reply(response)
        finally:
            connection.close()
            self._socket.close()

    def _reply(self, response: http.client.HTTPResponse) -> Reply:
        data = bytearray()
        while len(data) <= self._limit and (chunk := response.read(min(_CHUNK, self._limit + 1 - len(data)))):
            data += chunk
        truncated = len(data) > self._limit
        if not truncated and response.length:
            raise http.client.IncompleteRead(bytes(data), response.length)
        headers: dict[str, str] = {}
        for name, value in response.getheaders():
            key = name.lower()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        body, cut = _unpacked(bytes(data[: self._limit]), headers.get("content-encoding", ""), self._limit)
        return Reply(status=response.status, headers=headers, body=body, truncated=truncated or cut)


def _unpacked(data: bytes, encoding: str, limit: int) -> tuple[bytes, bool]:
    """The content, and whether it was cut; however much it would become, ``limit`` bytes are made of it."""
    if not data or encoding.strip().lower() in ("", "identity"):
        return data, False
    if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        raise http.client.UnknownTransferEncoding
    inflater = zlib.decompressobj(_GZIP)
    content = inflater.decompress(data, limit)
    return content, not inflater.eof


@cache
def _tls() -> ssl.SSLContext:
    """The system's certificates, or those of ``SSL_CERT_FILE``."""
    return ssl.create_default_context()
