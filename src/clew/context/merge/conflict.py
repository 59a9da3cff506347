"""A conflict as it is reported, and as somebody settles it."""

from collections.abc import Callable
from typing import Literal

import msgspec


class Lines(msgspec.Struct, frozen=True):
    """A range of lines: ``first`` counts from 1; ``count`` 0 is the gap before ``first``."""

    first: int
    count: int


NOWHERE = Lines(1, 0)


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides changed the same thing, and not in the same way.

    ``part``: ``text`` (some lines), ``metadata`` or ``json`` (a value: ``base``, ``ours`` and ``theirs`` are then JSON, empty where
    the key is not there), or ``document`` (one side removed it, the other changed it).
    """

    part: Literal["text", "metadata", "json", "document"]
    base: str
    ours: str
    theirs: str
    pointer: str = ""
    """Where in the JSON (RFC 6901)."""
    base_lines: Lines = NOWHERE
    ours_lines: Lines = NOWHERE
    theirs_lines: Lines = NOWHERE
    merged_lines: Lines = NOWHERE
    """The marked block in the merged text."""


Resolver = Callable[[Conflict], str | None]
"""What settles a conflict: lines, JSON (empty: no such key), or a document's text (empty: it stays removed). None leaves it."""
