"""``mcp.lock``: what the tools of MCP servers were like when the project took them in.

A Plan holds all that a run depends on, so it cannot ask servers; nor may what a server says of itself change unseen. Therefore
their descriptions and schemas stand in a file of the project, written by ``clew pin`` and looked at like any other change.
"""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from clew.core.identity import digest
from clew.manifest.context import Context
from clew.manifest.models.agents import McpServer, Tool
from clew.manifest.problems import Mark, Path, shown

LOCK = "mcp.lock"
UNPINNED = "unpinned"
_ASK = "ask the server and write it down: clew pin"


class Pin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One tool. ``server``: digest of where it is; ``pin``: digest of how it described the tool."""

    server: str
    name: str
    pin: str
    description: str
    inputs: dict[str, Any]
    outputs: dict[str, Any] | None = None


class Lock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: int = 1
    tools: dict[str, Pin] = {}
    """By the tool's id in the project."""


def names_of(tool: Tool) -> Iterator[tuple[str, str, Path]]:
    """Id in the project, name at the server, and where it stands within the entry: one, or several of one MCP server."""
    if tool.tools is None:
        yield tool.id, tool.name or tool.id, ()
        return
    for index, name in enumerate(tool.tools):
        yield f"{tool.id}.{name}", name, ("tools", index)


def tool_ids(tools: list[Tool]) -> list[str]:
    return [name for tool in tools for name, _, _ in names_of(tool)]


def server_digest(server: McpServer) -> str:
    return digest([server.command, server.url])


def decode_lock(data: bytes) -> Lock:
    """Raises msgspec.DecodeError."""
    return msgspec.json.decode(data, type=Lock)


def encode_lock(lock: Lock) -> bytes:
    """For humans to review: a line for each field, sorted, and ASCII, so that nothing in it cannot be seen."""
    return json.dumps(msgspec.to_builtins(lock), indent=2, sort_keys=True).encode() + b"\n"


def check_pins(context: Context) -> dict[str, Pin]:
    """The pins of the tools that need one; reports those that have none."""
    wanted = [
        (("tools", index), tool, tool.server)
        for index, tool in enumerate(context.project.tools)
        if tool.server is not None and tool.inputs is None and _placed(tool) and context.sound(("tools", index))
    ]
    if not wanted:
        return {}
    lock = _lock(context)
    found: dict[str, Pin] = {}
    for path, tool, server in wanted:
        for name, named, below in names_of(tool):
            pin = lock.tools.get(name)
            if pin is None:
                context.report((*path, *below), UNPINNED, f"{LOCK} says nothing of {shown(name)}; {_ASK}")
            elif (pin.server, pin.name) != (server_digest(server), named):
                context.report((*path, *below), UNPINNED, f"{LOCK} has {shown(name)} of another server; {_ASK}")
            else:
                found[name] = pin
    return found


def _placed(tool: Tool) -> bool:
    """It is clear where its server is; what is not is reported elsewhere."""
    server = tool.server
    return server is not None and tool.type in (None, "mcp") and (server.command is None) != (server.url is None)


def _lock(context: Context) -> Lock:
    mark = Mark(LOCK)
    if not (context.sources.root / LOCK).exists():
        return Lock()
    data = context.sources.bytes_of(LOCK, mark, ())
    try:
        lock = decode_lock(data or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        context.problems.add(mark, (), UNPINNED, f"cannot be read ({error}); {_ASK}")
        return Lock()
    return lock
