"""One session with an MCP server, from the handshake to its end. The only module, with its transports, that knows the library."""

import asyncio
import logging
from pathlib import Path
from typing import Any, cast

import mcp.client
import mcp_types as types
from mcp.client import Client, ClientSession, IncomingMessage, Transport
from mcp.shared.exceptions import MCPError
from pydantic import RootModel, ValidationError

from clew._version import __version__
from clew.core.errors import Failure
from clew.gate.ports.clock import Clock
from clew.tools.mcp import http
from clew.tools.mcp.faults import Lost, Told, Unsent
from clew.tools.mcp.launch import Launch
from clew.tools.mcp.process import ServerProcess
from clew.tools.mcp.stdio import StdioTransport

START_MS = 120_000
"""From the start of a server to the end of the handshake; a launcher may have to download it first."""
LIST_S = 30.0
FATE_S = 5.0
CLOSE_S = 10.0
PAGES = 50
TOOLS = 2000
"""How much of a server's list of tools is read."""
_MESSAGE = 2000
_CLOSED = "Connection closed"
"""The library's words for a session that is over."""
_LIBRARY = str(Path(mcp.client.__file__).parent.parent)

# the library logs with traces what a server gets wrong, in the server's words; here that ends as a Failure
if logging.getLogger("mcp").level == logging.NOTSET:
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
logging.getLogger("client").addFilter(lambda record: not record.pathname.startswith(_LIBRARY))


class _Answer(RootModel[dict[str, Any]]):
    """As it came."""


class McpConnection:
    """Implements ``server.Connection``. The session lives in a task of its own; any task may call."""

    def __init__(self, launch: Launch, clock: Clock) -> None:
        self.changed = True
        self._why = ""
        self._end, self._ready = asyncio.Event(), asyncio.Event()
        self._session: ClientSession | None = None
        self._late = clock.at(clock.now() + START_MS, self._too_late)
        self._life = asyncio.create_task(self._live(self._transport(launch, clock)))

    @property
    def ended(self) -> bool:
        return self._end.is_set() or self._life.done()

    async def open(self) -> None:
        """Until the handshake is over. Raises Unsent."""
        await self._ready.wait()
        self._now()

    async def close(self) -> None:
        self._end.set()
        if self._session is not None:
            await asyncio.wait({self._life}, timeout=CLOSE_S)
        self._life.cancel()
        await asyncio.gather(self._life, return_exceptions=True)

    async def tools(self) -> list[dict[str, Any]]:
        """What the server offers, as it describes it. Raises Unsent."""
        self.changed = False
        try:
            async with asyncio.timeout(LIST_S):
                return await self._listed()
        except TimeoutError:
            why = f"it did not list its tools within {LIST_S:g} s"
        except (MCPError, ValidationError) as error:
            why = f"it does not list its tools: {await self._fate(error)}"
        except BaseException:
            self.changed = True
            raise
        self._over(why)
        raise Unsent(why)

    async def _listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor = None
        for _ in range(PAGES):
            page = await self._now().list_tools(params=types.PaginatedRequestParams(cursor=cursor))
            found += [tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in page.tools]
            cursor = page.next_cursor
            if cursor is None or len(found) >= TOOLS:
                break
        return found[:TOOLS]

    async def call(self, name: str, arguments: dict[str, Any], key: str, told: Told) -> dict[str, Any]:
        """The answer as it came. Raises Unsent, Lost, Failure(``tool_failed``). Cancelling tells the server."""
        meta: types.RequestParamsMeta = {"idempotencyKey": key}
        params = types.CallToolRequestParams(name=name, arguments=arguments, _meta=meta)
        request = types.CallToolRequest(params=params)
        try:
            return (await self._now().send_request(request, _Answer, progress_callback=told)).root
        except MCPError as error:
            if error.code == http.UNSENT:
                self._over(_said(error))
                raise Unsent(_said(error)) from None
            if error.code in (http.LOST, types.CONNECTION_CLOSED, types.PARSE_ERROR):
                raise Lost(await self._fate(error)) from None
            raise Failure(_said(error), code="tool_failed") from None
        except ValidationError as error:
            raise Lost(f"its answer is not as the protocol wants it: {_said(error)}") from None

    def _now(self) -> ClientSession:
        if self._session is None or self.ended:
            raise Unsent(self._why or "the connection ended")
        return self._session

    async def _fate(self, error: MCPError | ValidationError) -> str:
        """Why the connection ended, if it did; a moment may pass until that is known."""
        if _closed(error) and _said(error) == _CLOSED:  # else one answer broke off, and the session goes on
            self._end.set()
            await asyncio.wait({self._life}, timeout=FATE_S)
        return self._why or _said(error)

    def _transport(self, launch: Launch, clock: Clock) -> Transport:
        if launch.url is not None:
            return http.http_transport(launch.url, launch.secret)

        async def start() -> ServerProcess:
            return await ServerProcess.start(launch.command, launch.environment(), launch.directory)

        return StdioTransport(start, self._over, clock)

    def _over(self, why: str) -> None:
        self._why = self._why or why
        self._end.set()

    async def _live(self, transport: Transport) -> None:
        """The library wants a session entered and left by the same task."""
        info = types.Implementation(name="clew", version=__version__)
        try:
            client = Client(transport, cache=None, client_info=info, message_handler=self._heard)
            async with client:
                self._late.cancel()
                self._session = client.session
                self._ready.set()
                await self._end.wait()
        except Exception as error:
            first = _first(error)
            self._why = self._why if _closed(first) else _said(first)
        finally:
            self._over("the connection ended")
            self._late.cancel()
            self._ready.set()

    def _too_late(self) -> None:
        self._over(f"no handshake within {START_MS // 1000} s")
        self._life.cancel()

    async def _heard(self, message: IncomingMessage) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self.changed = True


def _first(error: Exception) -> Exception:
    """The library raises from groups of tasks."""
    while isinstance(error, ExceptionGroup):
        error = cast("ExceptionGroup[Exception]", error).exceptions[0]
    return error


def _closed(error: Exception) -> bool:
    return isinstance(error, MCPError) and error.code == types.CONNECTION_CLOSED


def _said(error: Exception) -> str:
    """In one line. The words of a server are bounded, and never a trace."""
    if isinstance(error, MCPError):
        text = error.error.message
    elif isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        text = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    else:
        text = str(error) or type(error).__name__
    return " ".join(text.split())[:_MESSAGE]
