"""One MCP server as the engine keeps it: connected when needed, started again after a crash, held to what the plan recorded."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from clew.core.errors import Failure
from clew.gate.ports.clock import Clock
from clew.gate.ports.tool import Progress, ToolContext
from clew.tools.mcp.faults import Lost, Told, Unsent, unavailable
from clew.tools.mcp.pins import pin_of, readable

FIRST_MS = 500
LONGEST_MS = 30_000
"""Back-off before a server is started again: doubled with each failure until a call succeeds."""
_LINE = 200
_TWICE = ""
"""The pin of a name that is offered twice: no plan has it."""


class Connection(Protocol):
    """One session with the server, being opened."""

    changed: bool
    """The list of tools may have changed since it was read."""

    @property
    def ended(self) -> bool: ...
    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def tools(self) -> list[dict[str, Any]]: ...
    async def call(self, name: str, arguments: dict[str, Any], key: str, told: Told) -> dict[str, Any]: ...


class McpServer:
    """``connect`` begins a connection; it is called again after each that ended."""

    def __init__(self, label: str, connect: Callable[[], Awaitable[Connection]], clock: Clock) -> None:
        self._label, self._connect, self._clock = label, connect, clock
        self._connection: Connection | None = None
        self._pins: dict[str, str] = {}
        self._connecting, self._listing = asyncio.Lock(), asyncio.Lock()
        self._failures = 0
        self._not_before = 0

    async def call(
        self, name: str, pin: str | None, arguments: dict[str, Any], context: ToolContext, *, repeat: bool
    ) -> dict[str, Any]:
        """The server's answer to one call of its tool ``name``, which must be as ``pin`` says (None: as it likes).

        ``repeat``: doing it twice does no harm. Raises Failure: ``tool_unavailable`` (nothing was done), ``tool_changed``,
        ``tool_failed``, ``in_doubt`` (it was sent and not answered).
        """
        told = _told(context.progress)
        why = ""
        for _ in range(2):
            try:
                connection = await self._checked(name, pin)
                answer = await connection.call(name, arguments, context.idempotency_key, told)
            except Unsent as unsent:
                why = str(unsent)
                continue
            except Lost as lost:
                why = str(lost)
                if repeat:
                    continue
                message = f"{self._label}: the server gave no answer ({why}); it may or may not have been done"
                raise Failure(message, code="in_doubt") from None
            self._failures = 0
            return answer
        raise unavailable(self._label, why)

    async def tools(self) -> list[dict[str, Any]]:
        """What it offers. Raises Failure(``tool_unavailable``)."""
        try:
            connection = await self._connected()
            async with self._listing:
                return await self._list(connection)
        except Unsent as unsent:
            raise unavailable(self._label, str(unsent)) from None

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _checked(self, name: str, pin: str | None) -> Connection:
        """A connection to a server that offers the tool as the plan knows it."""
        connection = await self._connected()
        async with self._listing:
            if connection.changed:
                await self._list(connection)
        if name not in self._pins:
            raise Failure(f"the server of {self._label} no longer offers {name!r}", code="tool_changed")
        if pin is not None and self._pins[name] != pin:
            raise Failure(
                f"the server of {self._label} describes {name!r} otherwise than when it was pinned: it is not called",
                code="tool_changed",
                hint="look at the change and pin it again: clew pin",
            )
        return connection

    async def _list(self, connection: Connection) -> list[dict[str, Any]]:
        tools, pins = await connection.tools(), dict[str, str]()
        for tool in tools:
            pins[tool["name"]] = _TWICE if tool["name"] in pins else pin_of(tool)
        self._pins = pins
        return tools

    async def _connected(self) -> Connection:
        """Whoever asks first begins; a caller that gives up leaves the beginning to the next."""
        async with self._connecting:
            if self._connection is not None and self._connection.ended:
                await self._drop(self._connection)
            if self._connection is None:
                await self._until(self._not_before)
                self._connection = await self._connect()
            connection = self._connection
        await connection.open()
        return connection

    async def _drop(self, ended: Connection) -> None:
        """The next start waits a little longer than the last."""
        self._connection = None
        self._not_before = self._clock.now() + min(LONGEST_MS, FIRST_MS << min(self._failures, 16))
        self._failures += 1
        await ended.close()

    async def _until(self, due: int) -> None:
        if due > self._clock.now():
            passed = asyncio.Event()
            timer = self._clock.at(due, passed.set)
            try:
                await passed.wait()
            finally:
                timer.cancel()


def _told(listener: Progress) -> Told:
    async def told(progress: float, total: float | None, message: str | None) -> None:
        part = progress / total if total else math.nan
        listener(part if 0 <= part <= 1 else None, readable(message or "", _LINE))

    return told
