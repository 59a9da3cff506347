"""A message between the engine and a container's agent: which call, how many bytes, a header (JSON), raw bytes."""

import struct

FRAME = struct.Struct("!II")
"""Number of the call, size of what follows."""
LENGTH = struct.Struct("!I")


def pack(number: int, header: bytes, size: int) -> bytes:
    """All of a message but its ``size`` raw bytes."""
    return FRAME.pack(number, LENGTH.size + len(header) + size) + LENGTH.pack(len(header)) + header


def split(body: bytes) -> tuple[bytes, bytes]:
    """Header and raw bytes of what follows a FRAME, which is as long as LENGTH at least."""
    end = LENGTH.size + LENGTH.unpack_from(body)[0]
    return body[LENGTH.size : end], body[end:]
