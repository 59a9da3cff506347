"""Lines of the JSONL log: one JSON object each, whose last field is the CRC-32 of everything before it.

The lines of one write stand together; all but the last say ``"more": true``, so that a write whose last line is missing is no
write at all. The first line says what the file is.
"""

import os
import zlib
from collections.abc import Iterator

import msgspec

from clew.gate.ports.context import Version

SCHEMA = 1
_MARK = b',"crc":"'
_SECTOR = 512
_TAIL = len(_MARK) + 8 + len(b'"}\n')


class Head(msgspec.Struct, frozen=True, tag="context log"):
    """The first line. ``floor`` as in the port; ``m``: attachments counted so far when the file was written anew."""

    schema: int = SCHEMA
    floor: int = 0
    m: int = 0
    more: bool = False


class Wrote(msgspec.Struct, frozen=True, tag="version", omit_defaults=True):
    """A version of a document; ``size`` as retention counts it."""

    version: Version
    size: int
    more: bool = False


class Attached(msgspec.Struct, frozen=True, tag="vector", omit_defaults=True):
    m: int
    n: int
    embedder: str
    vector: bytes
    more: bool = False


class Labelled(msgspec.Struct, frozen=True, tag="label", omit_defaults=True):
    """``n`` None: the label is gone."""

    name: str
    n: int | None
    at: int = 0
    more: bool = False


class Numbers(msgspec.Struct, frozen=True):
    """What memory holds of a version."""

    n: int
    id: str
    version: int
    at: int
    deleted: bool = False


class WroteNumbers(msgspec.Struct, frozen=True, tag="version"):
    """``Wrote`` without texts and vectors."""

    version: Numbers
    size: int
    more: bool = False


class AttachedNumbers(msgspec.Struct, frozen=True, tag="vector"):
    m: int
    n: int
    embedder: str
    more: bool = False


Line = Head | Wrote | Attached | Labelled
Brief = Head | WroteNumbers | AttachedNumbers | Labelled
_encoder = msgspec.json.Encoder()
_lines: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
_briefs: msgspec.json.Decoder[Brief] = msgspec.json.Decoder(Brief)


def encode(line: Line) -> bytes:
    body = _encoder.encode(line)[:-1]
    return b'%s%s%08x"}\n' % (body, _MARK, zlib.crc32(body))


def is_whole(data: bytes) -> bool:
    """Whether a line is as it was written."""
    body = data[:-_TAIL]
    return bool(body) and data[-_TAIL:] == b'%s%08x"}\n' % (_MARK, zlib.crc32(body))


def decode(data: bytes) -> Line:
    """Raises msgspec.MsgspecError for what no version of Clew known here has written."""
    return _lines.decode(data)


def decode_brief(data: bytes) -> Brief:
    """The same without texts and vectors, which takes a tenth of the room."""
    return _briefs.decode(data)


def is_cut(data: bytes, offset: int) -> bool:
    """Whether a line, which is not whole, may be what a write left that a crash cut: its end is missing, or a sector of the
    disk is, which reads as NULs. Anything else was whole once."""
    if not data.endswith(b"\n") and not is_whole(data[:-1] + b"\n"):
        return True
    sectors = range(-(offset % _SECTOR), len(data), _SECTOR)
    return any(not data[max(0, at) : at + _SECTOR].strip(b"\0") for at in sectors)


def lines_from(handle: int, offset: int) -> Iterator[bytes]:
    """The lines from ``offset`` on; the last one may have no end. Raises OSError."""
    with os.fdopen(os.dup(handle), "rb", buffering=1 << 20) as file:
        file.seek(offset)
        yield from file
