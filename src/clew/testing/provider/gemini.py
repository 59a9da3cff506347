"""Gemini generateContent and streamGenerateContent?alt=sse."""

from collections.abc import Iterator
from typing import Any

from clew.gate.ports.model import Finish, Usage
from clew.testing.provider.openai_chat import Event
from clew.testing.provider.script import Seen, Step

FINISH: dict[Finish, str] = {
    "stop": "STOP", "length": "MAX_TOKENS", "tool_call": "STOP", "content_filter": "SAFETY", "error": "MALFORMED_FUNCTION_CALL",
}  # fmt: skip
KINDS = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE",
}  # fmt: skip


def answer(step: Step, seen: Seen) -> Any:
    parts: list[dict[str, Any]] = []
    if step.reasoning:
        parts.append({"text": step.reasoning, "thought": True})
    if step.text:
        parts.append({"text": step.text})
    parts.extend(_calls(step, seen))
    return _whole(step, seen, parts, FINISH[step.ends])


def events(step: Step, seen: Seen) -> Iterator[Event]:
    parts = [{"text": piece, "thought": True} for piece in step.pieces(step.reasoning)]
    parts += [{"text": piece} for piece in step.pieces(step.text)]
    parts += _calls(step, seen)
    for part in parts:
        yield "", _whole(step, seen, [part], None)
    yield "", _whole(step, seen, [], FINISH[step.ends])


def error(status: int, message: str) -> Any:
    return {
        "error": {
            "code": status,
            "message": message,
            "status": KINDS.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT"),
        }
    }


def stream_error(message: str) -> Event:
    return "", error(503, message)


def _whole(step: Step, seen: Seen, parts: list[dict[str, Any]], finish: str | None) -> Any:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": _usage(step.usage),
        "modelVersion": seen.model(step),
        "responseId": f"gemini-{seen.number}",
    }


def _calls(step: Step, seen: Seen) -> list[dict[str, Any]]:
    """The first call carries the signature of the thoughts that led to it."""
    return [
        {
            "functionCall": {"name": call.name, "args": call.arguments, "id": call.id or f"fn_{seen.number}_{at}"},
            **({"thoughtSignature": "c2lnbmVk"} if step.reasoning and at == 0 else {}),
        }
        for at, call in enumerate(step.calls)
    ]


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "promptTokenCount": usage.input_tokens,
        "cachedContentTokenCount": usage.cache_read_tokens,
        "candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens,
        "thoughtsTokenCount": usage.reasoning_tokens,
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
    }
