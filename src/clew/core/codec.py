"""Events to bytes and back. The envelope is one JSON object ``{"seq", "at", "fact": {"type", …}}``; the payload another."""

from typing import Any

import msgspec

from clew.core.events import Event, Fact


class Envelope(msgspec.Struct, frozen=True):
    """What the chain covers of an event besides its payload's digest."""

    seq: int
    at: int
    fact: Fact


_encoder = msgspec.json.Encoder()
_envelopes = msgspec.json.Decoder(Envelope)
_payloads = msgspec.json.Decoder()


def encode_envelope(seq: int, event: Event) -> bytes:
    return _encoder.encode(Envelope(seq, event.at, event.fact))


def decode_envelope(data: bytes) -> Envelope:
    """Raises msgspec.ValidationError for what is no envelope of a known version."""
    return _envelopes.decode(data)


def encode_payload(payload: Any) -> bytes:
    """``b""`` for no payload. Raises TypeError for what is not JSON."""
    return b"" if payload is None else _encoder.encode(payload)


def decode_payload(data: bytes) -> Any:
    return _payloads.decode(data) if data else None


def plain(value: Any) -> Any:
    """``value`` as it will be read back: what a body is given live is what a replay gives it."""
    return _payloads.decode(_encoder.encode(value))
