"""What a tool of an MCP server answers, as JSON that an agent can use: bounded, and without pictures."""

from typing import Any, cast

import msgspec

from clew.core.codec import plain
from clew.core.errors import Failure

TEXT_LIMIT = 100_000
"""Characters."""
VALUE_LIMIT = 256 * 1024
"""Bytes of structured content as JSON."""
BLOCKS = 1000
_REASON = 2000


def value_of(answer: dict[str, Any]) -> Any:
    """Its structured content where there is any, else its text, with what is no text marked.

    Raises Failure: ``tool_failed`` where the tool says so, ``result_too_large``.
    """
    if answer.get("resultType") == "input_required":
        raise Failure("the tool asks the user for input, which is not supported", code="tool_failed")
    blocks = cast("list[dict[str, Any]]", answer.get("content") or [])
    if answer.get("isError"):
        raise Failure(_text(blocks, _REASON) or "the tool failed and does not say why", code="tool_failed")
    structured = answer.get("structuredContent")
    if structured is None:
        return _text(blocks, TEXT_LIMIT)
    size = len(msgspec.json.encode(structured))
    if size > VALUE_LIMIT:
        message = f"the result has {size:,} bytes, more than the {VALUE_LIMIT:,} that are taken"
        raise Failure(message, code="result_too_large", hint="ask for less of it")
    return plain(structured)


def _text(blocks: list[dict[str, Any]], limit: int) -> str:
    text = "\n".join(_shown(block) for block in blocks[:BLOCKS])
    cut = f"\n[cut: {len(text) - limit:,} more characters]" if len(text) > limit else ""
    left = f"\n[cut: {len(blocks) - BLOCKS:,} more parts]" if len(blocks) > BLOCKS else ""
    return text[:limit] + cut + left


def _shown(block: dict[str, Any]) -> str:
    kind = block.get("type")
    if kind == "text":
        return str(block.get("text", ""))
    if kind in ("image", "audio"):
        return _marker(kind, block.get("mimeType"), block.get("data"))
    if kind == "resource_link":
        return f"[link {_short(block.get('name'))}: {_short(block.get('uri'))}]"
    given = block.get("resource")
    resource = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    if isinstance(resource.get("text"), str):
        return f"[{_short(resource.get('uri'))}]\n{resource['text']}"
    return _marker(f"resource {_short(resource.get('uri'))}", resource.get("mimeType"), resource.get("blob"))


def _marker(what: str, media: Any, data: Any) -> str:
    return f"[{what} {_short(media)}, {len(str(data or '')) * 3 // 4:,} bytes, not shown]"


def _short(value: Any) -> str:
    return str(value or "?")[:200]
