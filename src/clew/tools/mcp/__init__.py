"""Tools of MCP servers (Model Context Protocol), below the gate: a call is a ``tool`` effect like any other.

What a model is told of a tool and what arguments are held to comes from the plan alone. A server is started when one of its
tools is first called, must offer the tool as it was pinned, and ends with the engine. Nothing it says is trusted: its words are
data, its size and its silence are bounded. Its process is not confined; whoever names its command trusts it like a handler.

``keeper`` and ``process`` keep the process, ``stdio`` and ``http`` carry messages, ``connection`` is one session, ``server`` many
in turn, ``pins`` and ``results`` what they say. Never here: an import of the library at the top of this file or of ``server``.
"""

import asyncio
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from clew.core.errors import Failure
from clew.gate.ports.clock import Clock
from clew.gate.ports.secrets import Secrets
from clew.gate.ports.tool import Permissions, ToolContext, ToolSpec
from clew.tools.mcp.launch import Launch, key_of
from clew.tools.mcp.pins import Offered, offered
from clew.tools.mcp.results import value_of
from clew.tools.mcp.server import Connection, McpServer

__all__ = ["McpServers", "McpTool", "Offered"]

LIBRARY = ("clew.tools.mcp.connection:McpConnection", "mcp")
"""``module:class`` of a connection, and the extra that brings its library; loaded by the first call (1 s), in a thread."""


class McpTool:
    """One tool of a server. ``pin`` None: the project describes the tool itself."""

    def __init__(self, spec: ToolSpec, server: McpServer, name: str, *, pin: str | None, repeat: bool) -> None:
        self.spec = spec
        self._server, self._name, self._pin, self._repeat = server, name, pin, repeat

    async def call(self, args: dict[str, Any], context: ToolContext) -> Any:
        answer = await self._server.call(self._name, self._pin, args, context, repeat=self._repeat)
        return value_of(answer)


class McpServers:
    """The servers of one project, each once. Cheap: nothing is started before a call. ``close`` it."""

    def __init__(self, directory: Path, secrets: Secrets, clock: Clock) -> None:
        self._directory, self._secrets, self._clock = directory, secrets, clock
        self._servers: dict[bytes, McpServer] = {}

    def tool(
        self, spec: ToolSpec, server: Mapping[str, Any], name: str, *, pin: str | None = None, repeat: bool = False
    ) -> McpTool:
        """``spec`` as declared, with what nothing keeps a server from: the network, and for a command everything else."""
        shell = spec.permissions.shell or bool(server.get("command"))
        granted = Permissions(root=spec.permissions.root, network=True, shell=shell)
        kept = self._server(spec.id, server)
        return McpTool(msgspec.structs.replace(spec, permissions=granted), kept, name, pin=pin, repeat=repeat)

    async def offers(self, label: str, server: Mapping[str, Any]) -> dict[str, Offered | Failure]:
        """What a server offers now, by name; a Failure for what cannot be used. Raises Failure(``tool_unavailable``)."""
        found: dict[str, Offered | Failure] = {}
        for tool in await self._server(label, server).tools():
            name = str(tool["name"])
            try:
                found[name] = (
                    Failure(f"{name!r} is offered twice", code="tool_changed") if name in found else offered(tool)
                )
            except Failure as failure:
                found[name] = failure
        return found

    async def close(self) -> None:
        """End every server and all that came from it."""
        await asyncio.gather(*(server.close() for server in self._servers.values()))

    def _server(self, label: str, server: Mapping[str, Any]) -> McpServer:
        key = key_of(server)
        if key not in self._servers:
            launch = Launch(server, self._directory, self._secrets)

            async def connect() -> Connection:
                return await self._connect(launch)

            self._servers[key] = McpServer(label, connect, self._clock)
        return self._servers[key]

    async def _connect(self, launch: Launch) -> Connection:
        made = await asyncio.to_thread(_load)
        launch.check()
        return made(launch, self._clock)


def _load() -> Any:
    where, extra = LIBRARY
    module, _, name = where.partition(":")
    try:
        return getattr(import_module(module), name)
    except ImportError as missing:
        raise Failure(
            f"MCP: {missing.name or 'a library'} is not installed",
            code="no_adapter",
            hint=f"pip install 'clew[{extra}]'",
        ) from None
