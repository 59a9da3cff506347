"""The body of an inbox message as it is kept."""

from typing import Any

import msgspec

from clew.core.errors import UsageError

_encode = msgspec.json.Encoder().encode


def encode_body(body: Any) -> bytes:
    """Raises UsageError for what is not JSON."""
    try:
        return _encode(body)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"the message is no JSON: {error}") from error
