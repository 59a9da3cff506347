"""``OfflineClient``: the model client of providers of type ``offline``."""

import re
from typing import Any

import msgspec

from clew.agents.planner import plan_call
from clew.core.errors import Failure
from clew.gate.ports.model import (
    Answered,
    Emit,
    Message,
    ModelAnswer,
    ModelRequest,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResponse,
    Usage,
)
from clew.gate.schema import listed
from clew.models.offline.plan import OfflinePlan, answer_of, plan_of, progress
from clew.models.offline.template import as_text
from clew.models.offline.unplanned import Source, calls, fields, prose, validator

SAYS = "offline: no model was asked."
"""Begins everything that it writes as prose."""

_MOST_ANSWER = 4 * 1024 * 1024
_MOST_INPUT = 16 * 1024 * 1024


class OfflineClient:
    """Implements ``ModelClient``. Stateless; usage counts words, there and back."""

    async def ask(self, model: str, request: ModelRequest, emit: Emit | None = None) -> Answered:
        """Raises Failure: offline_cannot (what is missing, and that a model is needed), invalid_request (a wrong plan)."""
        if request.parameters.get("tool_choice") == "none":
            request = msgspec.structs.replace(request, tools=())
        try:
            parts = _parts(request)
        except RecursionError:
            raise Failure("offline: the request is nested too deeply", code="offline_cannot") from None
        answer = ModelAnswer(
            parts=parts,
            finish="tool_call" if any(isinstance(part, ToolCall) for part in parts) else "stop",
            model=f"offline/{model}",
        )
        _refuse_correction(request.messages, answer)
        if emit is not None and answer.text:
            emit("text", answer.text)
        return Answered(answer=answer, usage=Usage(input_tokens=_asked(request), output_tokens=_words(parts)))

    async def close(self) -> None:
        """There is nothing to close."""


def _parts(request: ModelRequest) -> tuple[Part, ...]:
    declared = request.parameters.get("offline")
    plan = OfflinePlan() if declared is None else plan_of(declared)
    given = input_of(request.messages)
    answered = {
        part.id: part for message in request.messages for part in message.parts if isinstance(part, ToolResponse)
    }
    done = progress(plan, request, given, answered)
    if done.calls:
        return Reasoning(content=f"{SAYS} {done.note}"), *done.calls
    answer = answer_of(plan, done.scope)
    if answer is msgspec.UNSET:
        return _unplanned(request, given, answered, planned=bool(plan.steps))
    return (Text(content=_written(answer, request.schema)),)


def _unplanned(
    request: ModelRequest, given: Any, answered: dict[str, ToolResponse], *, planned: bool
) -> tuple[Part, ...]:
    good = [Source(told.name, told.response) for told in answered.values() if not told.error]
    sources = [*reversed(good), Source("input", given)]
    if not planned:
        called = {told.name for told in answered.values()}
        plan = plan_call(request.tools, given, called)
        if plan is not None:
            return Reasoning(content=f"{SAYS} The goal was split where it splits itself"), plan
        wanted = calls(request.tools, sources, called)
        if wanted:
            names = ", ".join(call.name for call in wanted)
            return Reasoning(content=f"{SAYS} Arguments are known for: {names}"), *wanted
    if request.schema is not None:
        return (Text(content=_written(fields(request.schema, sources), request.schema)),)
    return (Text(content=_written(prose(sources), None)),)


def _written(answer: Any, schema: dict[str, Any] | None) -> str:
    """The answer as text: JSON that fits the schema, else prose that says where it comes from."""
    if schema is None:
        text = f"{SAYS} {as_text(answer)}"
    else:
        problems = validator(schema).problems(answer)
        if problems:
            raise Failure(
                f"offline: the plan's answer does not fit the schema: {listed(problems)}",
                code="offline_cannot",
                details=problems,
            )
        text = msgspec.json.encode(answer).decode()
    if len(text) > _MOST_ANSWER:
        raise Failure(f"offline: the answer has more than {_MOST_ANSWER} characters", code="offline_cannot")
    return text


def input_of(messages: tuple[Message, ...]) -> Any:
    """What the agent was given: the first user message, as JSON where it is some, else ``{"text": …}``."""
    first = next((message for message in messages if message.role == "user"), None)
    text = "" if first is None else _text(first)
    if len(text) > _MOST_INPUT:
        raise Failure(f"offline: the input has more than {_MOST_INPUT} characters", code="offline_cannot")
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return {"text": text}


def _refuse_correction(messages: tuple[Message, ...], answer: ModelAnswer) -> None:
    """An answer that was sent back is not given again: what is wrong with it takes a model to mend."""
    given = {_text(message) for message in messages if message.role == "assistant"}
    if not answer.calls and answer.text in given:
        raise Failure(
            f"offline: the answer was sent back, and correcting it takes a model: {_text(messages[-1])[:500]}",
            code="offline_cannot",
            hint="declare a model, or mend the plan under the agent's parameters.offline",
        )


def _text(message: Message) -> str:
    return "".join(part.content for part in message.parts if isinstance(part, Text))


def _asked(request: ModelRequest) -> int:
    return sum(_words(message.parts) for message in request.messages)


def _words(parts: tuple[Part, ...]) -> int:
    return sum(len(re.findall(r"\w+", _said(part))) for part in parts)


def _said(part: Part) -> str:
    if isinstance(part, ToolCall):
        return f"{part.name} {as_text(part.arguments)}"
    if isinstance(part, ToolResponse):
        return as_text(part.response)
    return part.content
