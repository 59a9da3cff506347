"""An exported run as one file: gzip'd JSON lines, standard library only.

The first line is ``{"format", "run", "redacted", "events", "blobs"}``; then one line per event ``{"envelope", "digest",
"hash", "salt", "payload"}`` (envelope and payload as text, salt in hexadecimal), then one per blob ``{"address", "data"}``
(base64). The file holds no paths. What it says is believed only after ``bundles.unpack`` has verified the chain.
"""

import base64
import binascii
import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from clew.core.errors import NotFound, UsageError
from clew.gate.ports.journal import Bundle, BundleEvent

MIB = 1024 * 1024
MAX_SIZE = 2048 * MIB
"""Bytes a bundle may have once it is unpacked."""
MAX_LINE = 256 * MIB
MAX_EVENTS = 5_000_000
MAX_BLOBS = 100_000


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    run: str
    redacted: bool
    events: int
    blobs: int


class _Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    envelope: str
    digest: str
    hash: str
    salt: str | None = None
    payload: str | None = None


class _Blob(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    address: str
    data: str


def write_bundle(bundle: Bundle, path: Path) -> None:
    """Write the file, readable by the user alone; what was there stays until the new one is whole. Raises UsageError."""
    encode = msgspec.json.Encoder().encode
    part = path.with_name(path.name + ".part")
    try:
        with _private(part) as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
            header = _Header(bundle.format, bundle.run, bundle.redacted, len(bundle.events), len(bundle.blobs))
            file.write(encode(header) + b"\n")
            for event in bundle.events:
                file.write(encode(_line(event)) + b"\n")
            for address, data in sorted(bundle.blobs.items()):
                file.write(encode(_Blob(address, base64.b64encode(data).decode())) + b"\n")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"cannot write {path}: {error.strerror}", hint="choose another file") from error


def _private(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), "wb")


def _line(event: BundleEvent) -> _Event:
    salt = None if event.salt is None else event.salt.hex()
    payload = None if event.payload is None else event.payload.decode()
    return _Event(event.envelope.decode(), event.digest, event.hash, salt, payload)


def read_bundle(path: Path, limit: int = MAX_SIZE) -> Bundle:
    """Read the file. Raises NotFound, UsageError for what is no bundle or is larger than ``limit`` bytes unpacked."""
    try:
        with gzip.open(path, "rb") as file:
            return _read(_lines(file, limit))
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path} is no bundle: {error}", hint="`clew export` writes one") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise UsageError(f"{path} is no bundle: {error}", hint="`clew export` writes one") from error


def _lines(file: gzip.GzipFile, limit: int) -> Iterator[bytes]:
    """Lines, none of them read further than the bounds allow: a small file may unpack to a huge one."""
    size = 0
    while line := file.readline(min(MAX_LINE, limit - size) + 1):
        size += len(line)
        if size > limit or len(line) > MAX_LINE:
            raise ValueError(f"it is larger than {limit // MIB} MiB unpacked")
        yield line


def _read(lines: Iterator[bytes]) -> Bundle:
    header = msgspec.json.decode(_next(lines), type=_Header)
    if not 0 <= header.events <= MAX_EVENTS or not 0 <= header.blobs <= MAX_BLOBS:
        raise ValueError(f"it claims {header.events} events and {header.blobs} blobs")
    decode_event, decode_blob = msgspec.json.Decoder(_Event).decode, msgspec.json.Decoder(_Blob).decode
    events = tuple([_event(decode_event(_next(lines))) for _ in range(header.events)])
    blobs: dict[str, bytes] = {}
    for _ in range(header.blobs):
        blob = decode_blob(_next(lines))
        blobs[blob.address] = _base64(blob.data)
    if next(lines, None) is not None:
        raise ValueError("there is more in it than it claims")
    return Bundle(format=header.format, run=header.run, redacted=header.redacted, events=events, blobs=blobs)


def _event(line: _Event) -> BundleEvent:
    salt = None if line.salt is None else bytes.fromhex(line.salt)
    payload = None if line.payload is None else line.payload.encode()
    return BundleEvent(envelope=line.envelope.encode(), digest=line.digest, hash=line.hash, salt=salt, payload=payload)


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"a blob is no base64: {error}") from error


def _next(lines: Iterator[bytes]) -> bytes:
    line = next(lines, None)
    if line is None:
        raise ValueError("it ends too early")
    return line
