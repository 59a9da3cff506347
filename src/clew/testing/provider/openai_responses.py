"""OpenAI Responses: output items (reasoning, message, function calls) and their events."""

from collections.abc import Iterator
from typing import Any

from clew.gate.ports.model import Usage
from clew.testing.provider.openai_chat import CREATED, Event, error
from clew.testing.provider.script import Seen, Step, arguments_text

__all__ = ["answer", "error", "events", "stream_error"]

INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def answer(step: Step, seen: Seen) -> Any:
    cut = None if step.refusal else INCOMPLETE.get(step.ends)
    return {
        **_head(step, seen, "incomplete" if cut else "completed"),
        "incomplete_details": {"reason": cut} if cut else None,
        "output": _items(step, seen),
        "usage": _usage(step.usage),
    }


def events(step: Step, seen: Seen) -> Iterator[Event]:
    for number, (kind, more) in enumerate(_events(step, seen)):
        yield kind, {"type": kind, "sequence_number": number, **more}


def stream_error(message: str) -> Event:
    return "error", {"type": "error", "code": "server_error", "message": message, "param": None, "sequence_number": 0}


def _events(step: Step, seen: Seen) -> Iterator[Event]:
    begun: dict[str, Any] = {"response": {**_head(step, seen, "in_progress"), "output": []}}
    yield "response.created", begun
    yield "response.in_progress", begun
    for at, item in enumerate(_items(step, seen)):
        said = {"reasoning": _reasoning, "message": _message, "function_call": _function_call}[item["type"]]
        yield from said(step, item, at)
        yield "response.output_item.done", {"output_index": at, "item": item}
    whole = answer(step, seen)
    yield f"response.{whole['status']}", {"response": whole}


def _reasoning(step: Step, item: dict[str, Any], at: int) -> Iterator[Event]:
    where = {"item_id": item["id"], "output_index": at, "summary_index": 0}
    yield "response.output_item.added", {"output_index": at, "item": {**item, "summary": [], "encrypted_content": ""}}
    yield "response.reasoning_summary_part.added", {**where, "part": {"type": "summary_text", "text": ""}}
    for piece in step.pieces(step.reasoning):
        yield "response.reasoning_summary_text.delta", {**where, "delta": piece}
    yield "response.reasoning_summary_text.done", {**where, "text": step.reasoning}
    yield "response.reasoning_summary_part.done", {**where, "part": item["summary"][0]}


def _message(step: Step, item: dict[str, Any], at: int) -> Iterator[Event]:
    (part,) = item["content"]
    kind, key = ("refusal", "refusal") if step.refusal else ("output_text", "text")
    where = {"item_id": item["id"], "output_index": at, "content_index": 0}
    yield "response.output_item.added", {"output_index": at, "item": {**item, "status": "in_progress", "content": []}}
    yield "response.content_part.added", {**where, "part": {**part, key: ""}}
    for piece in step.pieces(step.text):
        yield f"response.{kind}.delta", {**where, "delta": piece, **({} if step.refusal else {"logprobs": []})}
    yield f"response.{kind}.done", {**where, key: step.text, **({} if step.refusal else {"logprobs": []})}
    yield "response.content_part.done", {**where, "part": part}


def _function_call(step: Step, item: dict[str, Any], at: int) -> Iterator[Event]:
    where = {"item_id": item["id"], "output_index": at}
    yield (
        "response.output_item.added",
        {"output_index": at, "item": {**item, "status": "in_progress", "arguments": ""}},
    )
    for piece in step.pieces(item["arguments"]):
        yield "response.function_call_arguments.delta", {**where, "delta": piece}
    done = {**where, "name": item["name"], "arguments": item["arguments"]}
    yield "response.function_call_arguments.done", done


def _head(step: Step, seen: Seen, status: str) -> dict[str, Any]:
    return {
        "id": f"resp_{seen.number}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": seen.model(step),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "metadata": {},
        "temperature": None,
        "top_p": None,
    }


def _items(step: Step, seen: Seen) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if step.reasoning:
        summary = [{"type": "summary_text", "text": step.reasoning}]
        sealed = f"sealed-{seen.number}"
        items.append({"type": "reasoning", "id": f"rs_{seen.number}", "summary": summary, "encrypted_content": sealed})
    if step.text:
        text: dict[str, Any] = {"type": "output_text", "text": step.text, "annotations": [], "logprobs": []}
        content = {"type": "refusal", "refusal": step.text} if step.refusal else text
        items.append(
            {"type": "message", "id": f"msg_{seen.number}", "status": "completed", "role": "assistant", "content": [content]}
        )  # fmt: skip
    items.extend(
        {
            "type": "function_call",
            "id": f"fc_{seen.number}_{at}",
            "call_id": call.id or f"call_{seen.number}_{at}",
            "name": call.name,
            "arguments": arguments_text(call),
            "status": "completed",
        }
        for at, call in enumerate(step.calls)
    )
    return items


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cache_read_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
