"""OpenAI Chat Completions, with ``reasoning_content`` as servers of open models send it."""

from collections.abc import Iterator
from typing import Any

from clew.gate.ports.model import Finish, Usage
from clew.testing.provider.script import Call, Seen, Step, arguments_text

CREATED = 1_700_000_000
FINISH: dict[Finish, str] = {
    "stop": "stop", "length": "length", "tool_call": "tool_calls", "content_filter": "content_filter", "error": "error",
}  # fmt: skip

Event = tuple[str, Any]


def answer(step: Step, seen: Seen) -> Any:
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    message["refusal" if step.refusal else "content"] = step.text or None
    if step.reasoning:
        message["reasoning_content"] = step.reasoning
    if step.calls:
        message["tool_calls"] = [_call(call, seen, at) for at, call in enumerate(step.calls)]
    choice = {"index": 0, "message": message, "finish_reason": _finish(step), "logprobs": None}
    return {**_head(step, seen, "chat.completion"), "choices": [choice], "usage": _usage(step.usage)}


def events(step: Step, seen: Seen) -> Iterator[Event]:
    head = _head(step, seen, "chat.completion.chunk")

    def delta(said: dict[str, Any], finish: str | None = None) -> Event:
        return "", {**head, "choices": [{"index": 0, "delta": said, "finish_reason": finish}]}

    yield delta({"role": "assistant", "content": "", "refusal": None})
    for piece in step.pieces(step.reasoning):
        yield delta({"reasoning_content": piece})
    for piece in step.pieces(step.text):
        yield delta({"refusal" if step.refusal else "content": piece})
    for at, call in enumerate(step.calls):
        whole = _call(call, seen, at)
        function = whole["function"]
        yield delta({"tool_calls": [{"index": at, **whole, "function": {**function, "arguments": ""}}]})
        for piece in step.pieces(function["arguments"]):
            yield delta({"tool_calls": [{"index": at, "function": {"arguments": piece}}]})
    yield delta({}, _finish(step))
    options: dict[str, Any] = seen.asks("stream_options") or {}
    if options.get("include_usage"):
        yield "", {**head, "choices": [], "usage": _usage(step.usage)}
    yield "", "[DONE]"


def error(status: int, message: str) -> Any:
    return {"error": {"message": message, "type": "server_error" if status >= 500 else "invalid_request_error"}}


def stream_error(message: str) -> Event:
    return "", error(500, message)


def _head(step: Step, seen: Seen, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{seen.number}", "object": kind, "created": CREATED, "model": seen.model(step)}


def _finish(step: Step) -> str:
    return "stop" if step.refusal and step.finish is None else FINISH[step.ends]


def _call(call: Call, seen: Seen, at: int) -> dict[str, Any]:
    function = {"name": call.name, "arguments": arguments_text(call)}
    return {"id": call.id or f"call_{seen.number}_{at}", "type": "function", "function": function}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }
