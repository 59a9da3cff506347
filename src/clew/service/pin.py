"""Taking the tools of MCP servers into a project: what they are like now is written into its ``mcp.lock``."""

import asyncio
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from clew._version import __version__
from clew.core.errors import Failure, ManifestError, UsageError
from clew.manifest.build import Parts, compile_plan
from clew.manifest.check import Checked, examine
from clew.manifest.models.agents import Tool
from clew.manifest.pins import LOCK, UNPINNED, Lock, Pin, decode_lock, encode_lock, names_of, server_digest
from clew.runtime.clock import SystemClock
from clew.service.secrets import ProjectSecrets
from clew.tools.mcp import McpServers, Offered


class PinnedTool(msgspec.Struct, frozen=True, kw_only=True):
    """``was``: how the lock had it before."""

    id: str
    was: Literal["new", "changed", "same"]
    description: str


class Pinned(msgspec.Struct, frozen=True, kw_only=True):
    """``further``: by entry, what its server offers and the project does not take."""

    tools: list[PinnedTool]
    further: dict[str, list[str]]


async def pin(path: str | Path) -> Pinned:
    """Start each server of the project at ``path`` once, and write ``mcp.lock`` with what it says of the tools that are taken.

    Raises ManifestError for a project that is wrong otherwise, UsageError for a tool that a server does not offer or that
    cannot be used, Failure for a server that cannot be reached; then nothing is written.
    """
    checked = examine(path)
    wrong = [p for p in checked.problems.sorted() if p.severity == "error" and p.code != UNPINNED]
    if wrong:
        raise ManifestError(wrong)
    entries = [tool for tool in checked.project.tools if tool.server is not None and tool.inputs is None]
    root = _directory(Path(path))
    offers = await _offers(checked, root, entries)
    pins = {name: found for entry in entries for name, found in _pins(entry, offers[entry.id]).items()}
    before = _before(root / LOCK)
    _write(root / LOCK, encode_lock(Lock(tools=pins)))
    tools = [
        PinnedTool(id=name, was=_was(before, name, one), description=one.description) for name, one in pins.items()
    ]
    further = {
        entry.id: sorted(set(offers[entry.id]) - {named for _, named, _ in names_of(entry)})
        for entry in entries
        if entry.tools is not None
    }
    return Pinned(tools=tools, further=further)


def _directory(path: Path) -> Path:
    return path if path.is_dir() else path.parent


async def _offers(checked: Checked, root: Path, entries: list[Tool]) -> dict[str, Mapping[str, Offered | Failure]]:
    parts = Parts(
        project=checked.project, texts=checked.texts, schemas=checked.schemas, handlers=checked.handlers,
        files=checked.files, engine=__version__,
    )  # fmt: skip
    servers = McpServers(root, ProjectSecrets(compile_plan(parts), root), SystemClock())
    try:
        return {entry.id: await servers.offers(entry.id, msgspec.to_builtins(entry.server)) for entry in entries}
    finally:
        await asyncio.shield(servers.close())


def _pins(entry: Tool, offers: Mapping[str, Offered | Failure]) -> dict[str, Pin]:
    found: dict[str, Pin] = {}
    for name, named, _ in names_of(entry):
        offered = offers.get(named)
        if offered is None:
            known = ", ".join(sorted(offers)[:50]) or "nothing"
            raise UsageError(f"the server of {entry.id!r} does not offer {named!r}; it offers {known}")
        if isinstance(offered, Failure):
            raise UsageError(f"{name}: {offered}", code=offered.code)
        assert entry.server is not None  # noqa: S101 - only such entries come here
        found[name] = Pin(
            server=server_digest(entry.server), name=named, pin=offered.pin, description=offered.description,
            inputs=offered.inputs, outputs=offered.outputs,
        )  # fmt: skip
    return found


def _before(lock: Path) -> Lock:
    try:
        return decode_lock(lock.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Lock()


def _was(before: Lock, name: str, now: Pin) -> Literal["new", "changed", "same"]:
    then = before.tools.get(name)
    if then is None:
        return "new"
    return "same" if then.pin == now.pin else "changed"


def _write(lock: Path, data: bytes) -> None:
    """In one piece: a lock that is half written would be none."""
    beside = lock.with_name(f".{LOCK}.{secrets.token_hex(4)}")
    try:
        beside.write_bytes(data)
        os.replace(beside, lock)  # noqa: PTH105
    finally:
        beside.unlink(missing_ok=True)
