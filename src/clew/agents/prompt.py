"""What an agent is told: the opening messages, tool results within bounds, and the notes of its last turn."""

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from clew.core.codec import plain
from clew.core.errors import Failure
from clew.gate.ports.model import Message

MOST_SHOWN = 30_000
"""Characters of one tool result that a model is shown."""

LAST_TURN = "This is your last turn and no tool can be called any more. Give your final answer now, with what you know."

_THINK = "Think step by step, and write your reasoning down before you answer."
_SCHEMA = "Your final answer is one JSON value that fits this JSON Schema, with nothing after it:\n"

_messages = msgspec.json.Decoder(Message)
Json = dict[str, Any]


def said(role: str, content: str) -> Json:
    return {"role": role, "parts": [{"type": "text", "content": content}]}


def opening(
    instructions: list[str], value: Any, schema: Any, context: str = "", *, chain_of_thought: bool
) -> list[Json]:
    """System and user message. ``context`` is a part of its own, before what the user says."""
    told = [text for text in instructions if text]
    if chain_of_thought:
        told.append(_THINK)
    if schema is not None:
        told.append(_SCHEMA + _json(schema))
    system = [said("system", "\n\n".join(told))] if told else []
    content = value if isinstance(value, str) else "" if value is None else _json(value)
    user = said("user", content or "(no input)")
    return [*system, {**user, "parts": [_text(context), *user["parts"]]} if context else user]


def messages_of(given: list[Any]) -> list[Json]:
    """Messages in their full form; ``{"role", "content"}`` is short for one text. Raises Failure(invalid_request)."""
    if not isinstance(given, list | tuple):  # pyright: ignore[reportUnnecessaryIsInstance] - handlers are not type-checked
        raise Failure(f"messages are a list, not {type(given).__name__}", code="invalid_request")
    full: list[Json] = []
    for position, one in enumerate(given):
        if isinstance(one, Mapping) and "content" in one:
            message = cast("Mapping[str, Any]", one)
            one = {**{k: v for k, v in message.items() if k != "content"}, "parts": [_text(message["content"])]}
        try:
            full.append(plain(_messages.decode(msgspec.json.encode(one))))
        except (msgspec.DecodeError, TypeError, UnicodeEncodeError) as error:
            raise Failure(f"message {position}: {error}", code="invalid_request") from None
    return full


def response(call: Json, value: Any) -> Json:
    """A tool's result as it goes back to the model."""
    return {"type": "tool_call_response", "id": call["id"], "name": call["name"], "response": bounded(value)}


def failure(call: Json, error: Json, advice: str = "") -> Json:
    """A call that failed, or was not made."""
    told = {"code": error.get("code"), "message": error.get("message")}
    if error.get("details") is not None:
        told["details"] = error["details"]
    if advice:
        told["advice"] = advice
    return {**response(call, {"error": told}), "error": True}


def bounded(value: Any) -> Any:
    """``value``, or as much of its text as a model is shown, marked where it was cut."""
    text = value if isinstance(value, str) else _json(value)
    if len(text) <= MOST_SHOWN:
        return value
    return f"{text[:MOST_SHOWN]}\n[cut: {MOST_SHOWN:,} of {len(text):,} characters are shown]"


def _text(content: Any) -> Json:
    return {"type": "text", "content": content}


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
