"""Streams: what a model says while it speaks. Provisional: never journaled; the recorded outcome holds the whole answer."""

from typing import Literal, Protocol

import msgspec

ChunkKind = Literal["reset", "text", "reasoning", "end"]


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """``reset``: what was shown under this key is void (another try, or a resumed call); ``end``: no more follows."""

    run: str
    task: str
    node: str
    key: str
    kind: ChunkKind
    text: str = ""


class Streams(Protocol):
    """Where chunks go."""

    def wanted(self, run: str) -> bool:
        """Whether anybody listens to this run."""
        ...

    def send(self, chunk: Chunk) -> None:
        """Never blocks, never raises."""
        ...
