"""A tool as its server describes it, and its pin: what the plan holds it to."""

import unicodedata
from typing import Any, cast

import msgspec

from clew.core.errors import Failure
from clew.core.identity import canonical, digest
from clew.gate.schema import Validator

SCHEMA_LIMIT = 64 * 1024
DESCRIPTION_LIMIT = 4000


class Offered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``pin``: SHA-256 of name, description and schemas as the server gave them."""

    name: str
    pin: str
    description: str
    inputs: dict[str, Any]
    outputs: dict[str, Any] | None = None


def pin_of(tool: dict[str, Any]) -> str:
    return digest({key: tool.get(key) for key in ("name", "description", "inputSchema", "outputSchema")})


def offered(tool: dict[str, Any]) -> Offered:
    """Raises Failure(``invalid_schema``) for what cannot be offered to a model."""
    name, inputs, outputs = str(tool["name"]), tool.get("inputSchema"), tool.get("outputSchema")
    for schema in (inputs, outputs):
        if schema is not None and len(canonical(schema)) > SCHEMA_LIMIT:
            raise Failure(f"tool {name!r}: a schema of more than {SCHEMA_LIMIT >> 10} KiB", code="invalid_schema")
    if not isinstance(inputs, dict):
        raise Failure(f"tool {name!r}: its arguments are no object", code="invalid_schema")
    inputs = cast("dict[str, Any]", inputs)
    Validator(inputs)
    if outputs is not None:
        Validator(outputs)
    text = readable(str(tool.get("description") or ""))
    return Offered(name=name, pin=pin_of(tool), description=text, inputs=inputs, outputs=outputs)


def readable(text: str, limit: int = DESCRIPTION_LIMIT) -> str:
    """Without what a human who reviews it would not see: control, format and private characters."""
    seen = "".join(c for c in text if c in "\n\t" or unicodedata.category(c)[0] != "C")
    return seen if len(seen) <= limit else seen[:limit] + "…"
