"""Names and digests that are derived, never drawn: effect keys, task ids, canonical JSON, trace digests."""

import hashlib
from typing import Any

import msgspec

_canonical = msgspec.json.Encoder(order="deterministic")


def canonical(value: Any) -> bytes:
    """Canonical JSON (UTF-8, keys sorted, no spaces). Raises TypeError for what is not JSON."""
    return _canonical.encode(value)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of ``value``, hexadecimal."""
    return hashlib.sha256(_canonical.encode(value)).hexdigest()


def digest_bytes(data: bytes) -> str:
    """SHA-256 of ``data``, hexadecimal: the address of a blob."""
    return hashlib.sha256(data).hexdigest()


def payload_digest(salt: bytes, body: bytes) -> str:
    """What the chain keeps of a payload. Salted, so that a short erased payload cannot be guessed back from it."""
    return hashlib.sha256(salt + body).hexdigest()


def chain(previous: str, envelope: bytes, payload: str) -> str:
    """Hash of one event: over the hash before it (64 hex, or "" for the first), its envelope and payload digest."""
    return hashlib.sha256(b"%s\n%s\n%s" % (previous.encode(), envelope, payload.encode())).hexdigest()


def body_key(task: str, node: str, attempt: int) -> str:
    """Name of one node execution: ``0.2/work#1``."""
    return f"{task}/{node}#{attempt}"
