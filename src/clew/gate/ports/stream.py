"""Streams: what a model says while it speaks and how far a tool is. Provisional: never journaled; the recorded outcome counts."""

from typing import Literal, Protocol

import msgspec

ChunkKind = Literal["reset", "text", "reasoning", "progress", "end"]


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """``reset``: what was shown under this key is void (another try, or a resumed call); ``end``: no more follows.

    ``progress``: a tool's line for a human, in place of the one before; ``fraction`` (0 to 1) is how far it is, where it knows.
    """

    run: str
    task: str
    node: str
    key: str
    kind: ChunkKind
    text: str = ""
    fraction: float | None = None


class Streams(Protocol):
    """Where chunks go."""

    def wanted(self, run: str) -> bool:
        """Whether anybody listens to this run."""
        ...

    def send(self, chunk: Chunk) -> None:
        """Never blocks, never raises."""
        ...
