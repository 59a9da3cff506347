"""What a request to an MCP server may come to besides an answer, and what it tells meanwhile."""

from typing import Protocol

from clew.core.errors import Failure


class Told(Protocol):
    """Progress as servers tell it: how much, of how much, and a line."""

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None: ...


class Unsent(Exception):
    """The request certainly reached no tool: asking again does no harm."""


class Lost(Exception):
    """The request was sent and no answer came that can be read: nobody knows whether it was done."""


def unavailable(label: str, why: str) -> Failure:
    return Failure(f"MCP server of {label}: {why}", code="tool_unavailable")
