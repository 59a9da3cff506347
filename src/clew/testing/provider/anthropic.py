"""Anthropic Messages: thinking with its signature, text, tool use."""

from collections.abc import Iterator
from typing import Any

from clew.gate.ports.model import Finish, Usage
from clew.testing.provider.openai_chat import Event
from clew.testing.provider.script import Call, Seen, Step, arguments_text

FINISH: dict[Finish, str] = {
    "stop": "end_turn", "length": "max_tokens", "tool_call": "tool_use", "content_filter": "refusal", "error": "end_turn",
}  # fmt: skip
KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def answer(step: Step, seen: Seen) -> Any:
    return {
        **_head(step, seen),
        "content": _blocks(step, seen),
        "stop_reason": FINISH[step.ends],
        "usage": _usage(step),
    }


def events(step: Step, seen: Seen) -> Iterator[Event]:
    for kind, more in _events(step, seen):
        yield kind, {"type": kind, **more}


def error(status: int, message: str) -> Any:
    kind = KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def stream_error(message: str) -> Event:
    return "error", error(529, message)


def _events(step: Step, seen: Seen) -> Iterator[Event]:
    usage = {**_usage(step), "output_tokens": 1}
    yield "message_start", {"message": {**_head(step, seen), "content": [], "stop_reason": None, "usage": usage}}
    yield "ping", {}
    for at, block in enumerate(_blocks(step, seen)):
        match block["type"]:
            case "thinking":
                begun = {**block, "thinking": "", "signature": ""}
                deltas = [{"type": "thinking_delta", "thinking": piece} for piece in step.pieces(step.reasoning)]
                deltas.append({"type": "signature_delta", "signature": block["signature"]})
            case "text":
                begun = {**block, "text": ""}
                deltas = [{"type": "text_delta", "text": piece} for piece in step.pieces(step.text)]
            case _:
                begun: dict[str, Any] = {**block, "input": {}}
                given = arguments_text(Call(block["name"], block["input"]))
                deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in step.pieces(given)]
        yield "content_block_start", {"index": at, "content_block": begun}
        for delta in deltas:
            yield "content_block_delta", {"index": at, "delta": delta}
        yield "content_block_stop", {"index": at}
    end = {"stop_reason": FINISH[step.ends], "stop_sequence": None}
    spent = {name: tokens for name, tokens in _usage(step).items() if name.startswith("output")}
    yield "message_delta", {"delta": end, "usage": spent}
    yield "message_stop", {}


def _head(step: Step, seen: Seen) -> dict[str, Any]:
    return {
        "id": f"msg_{seen.number}",
        "type": "message",
        "role": "assistant",
        "model": seen.model(step),
        "stop_sequence": None,
    }


def _blocks(step: Step, seen: Seen) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if step.reasoning:
        blocks.append({"type": "thinking", "thinking": step.reasoning, "signature": f"signed-{seen.number}"})
    if step.text:
        blocks.append({"type": "text", "text": step.text})
    blocks.extend(
        {"type": "tool_use", "id": call.id or f"toolu_{seen.number}_{at}", "name": call.name, "input": call.arguments}
        for at, call in enumerate(step.calls)
    )
    return blocks


def _usage(step: Step) -> dict[str, Any]:
    usage: Usage = step.usage
    return {
        "input_tokens": usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
    }
