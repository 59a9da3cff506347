"""Our messages in the library's form, and its answers in ours.

What a provider wants back unchanged (signatures, item ids, sealed reasoning) travels in ``Reasoning.opaque``. Where it belongs
to a text or a tool call, a ``Reasoning`` without content stands before that part and carries it (``of`` names the part's kind).
"""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgspec
from pydantic_ai import messages as theirs
from pydantic_ai.usage import RequestUsage

from clew.agents.output import too_deep
from clew.core.errors import Failure
from clew.gate.ports.model import (
    Finish,
    Message,
    ModelAnswer,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResponse,
    Usage,
)

Carrying = theirs.TextPart | theirs.ThinkingPart | theirs.ToolCallPart


def history_of(messages: Sequence[Message]) -> list[theirs.ModelMessage]:
    """What was said so far. Everything between two answers is one request."""
    history: list[theirs.ModelMessage] = []
    asked: list[theirs.ModelRequestPart] = []
    for message in messages:
        if message.role == "assistant":
            if asked:
                history.append(theirs.ModelRequest(parts=asked))
                asked = []
            history.append(_answer_back(message.parts))
        else:
            asked.extend(_asked(message))
    if asked or not history:
        history.append(theirs.ModelRequest(parts=asked))
    return history


def _asked(message: Message) -> Iterator[theirs.ModelRequestPart]:
    texts = [part.content for part in message.parts if isinstance(part, Text)]
    if message.role == "system":
        yield theirs.SystemPromptPart("\n\n".join(texts))
        return
    for part in message.parts:
        if isinstance(part, ToolResponse):
            yield _result(part)
    if texts:
        yield theirs.UserPromptPart(texts[0] if len(texts) == 1 else texts)


def _result(part: ToolResponse) -> theirs.ToolReturnPart:
    """The library puts ``{"error": …}`` around what failed; only where it is to be tried again it leaves JSON within as JSON."""
    if not part.error:
        return theirs.ToolReturnPart(part.name, part.response, part.id)
    told = part.response
    if isinstance(told, dict):
        fields = cast("dict[str, Any]", told)
        told = fields["error"] if fields.keys() == {"error"} else fields
    return theirs.ToolReturnPart(part.name, told, part.id, outcome="retried")


def _answer_back(parts: Sequence[Part]) -> theirs.ModelResponse:
    back: list[theirs.ModelResponsePart] = []
    known = [part.opaque for part in parts if isinstance(part, Reasoning) and "provider" in part.opaque]
    first: dict[str, Any] = known[0] if known else {}
    carried: dict[str, Any] = {}
    for part in parts:
        opaque, carried = carried, {}
        match part:
            case Reasoning(opaque={"of": _}):
                carried = part.opaque
            case Reasoning():
                back.append(
                    theirs.ThinkingPart(part.content, signature=part.opaque.get("signature"), **_known(part.opaque))
                )
            case Text():
                back.append(theirs.TextPart(part.content, **_known(opaque, of="text")))
            case ToolCall():
                back.append(
                    theirs.ToolCallPart(part.name, _arguments_back(part), part.id, **_known(opaque, of="tool_call"))
                )
            case ToolResponse():
                pass  # no assistant says one
    return theirs.ModelResponse(
        parts=back, provider_name=first.get("provider"), canonical_system=first.get("system"), finish_reason="stop"
    )


def _known(opaque: dict[str, Any], of: str | None = None) -> dict[str, Any]:
    if opaque.get("of") != of:
        return {}
    return {"id": opaque.get("id"), "provider_name": opaque.get("provider"), "provider_details": opaque.get("details")}


def _arguments_back(call: ToolCall) -> str | dict[str, Any]:
    arguments: Any = call.arguments
    if isinstance(arguments, str):
        return arguments
    return {**arguments} if isinstance(arguments, dict) else msgspec.json.encode(arguments).decode()


def answer_of(response: theirs.ModelResponse) -> ModelAnswer:
    """Raises Failure(``bad_answer``) for a kind of content that was not asked for."""
    details = response.provider_details or {}
    parts = [ours for part in response.parts for ours in _parts(part, response.canonical_system)]
    if refusal := details.get("refusal"):
        parts.append(Text(_unicode(str(refusal))))
    finish: Finish = response.finish_reason or ("error" if details.get("finish_reason") else "stop")
    if finish == "stop" and any(isinstance(part, ToolCall) for part in parts):
        finish = "tool_call"
    return ModelAnswer(
        parts=tuple(parts),
        finish=finish,
        model=_unicode(response.model_name or ""),
        id=_unicode(response.provider_response_id or ""),
    )


def _parts(part: theirs.ModelResponsePart, system: str | None) -> Iterator[Part]:
    match part:
        case theirs.ThinkingPart():
            yield Reasoning(_unicode(part.content), opaque=_opaque(part, system))
        case theirs.TextPart():
            yield from _carrier(part, "text", system)
            yield Text(_unicode(part.content))
        case theirs.ToolCallPart():
            yield from _carrier(part, "tool_call", system)
            yield ToolCall(
                id=_unicode(part.tool_call_id), name=_unicode(part.tool_name), arguments=_arguments(part.args)
            )
        case _:
            raise Failure(f"the answer holds a part that was not asked for: {part.part_kind}", code="bad_answer")


def _carrier(part: theirs.TextPart | theirs.ToolCallPart, of: str, system: str | None) -> Iterator[Part]:
    if part.id or part.provider_details:
        yield Reasoning("", opaque={"of": of, **_opaque(part, system)})


def _opaque(part: Carrying, system: str | None) -> dict[str, Any]:
    said = {
        "provider": part.provider_name,
        "system": system,
        "id": part.id,
        "signature": part.signature if isinstance(part, theirs.ThinkingPart) else None,
        "details": part.provider_details,
    }
    return msgspec.to_builtins({name: value for name, value in said.items() if value})


def _arguments(given: Any) -> Any:
    """An object, also where the provider gave its text; any other text as it is."""
    if not isinstance(given, str):
        return given or {}
    given = _unicode(given)
    try:
        found = msgspec.json.decode(given or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return given
    return given if too_deep(found) else found


def _unicode(text: str) -> str:
    """``text`` without lone surrogates, which JSON can say and nothing can store; halves that belong together are joined."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def usage_of(usage: RequestUsage) -> Usage:
    return Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        reasoning_tokens=usage.output_reasoning_tokens or usage.details.get("reasoning_tokens", 0),
    )
