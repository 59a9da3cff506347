"""The model port: what is asked of a model and what it answers. Clients of providers live in ``clew.models``.

Messages have the form of OpenTelemetry's gen_ai conventions: a role and parts (``text``, ``reasoning``, ``tool_call``,
``tool_call_response``). The request of a ``model`` effect is a ``ModelRequest`` as JSON, its output a ``ModelAnswer``.
"""

from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec

Role = Literal["system", "user", "assistant", "tool"]
Finish = Literal["stop", "length", "tool_call", "content_filter", "error"]
"""Why a model stopped, as the provider said; ``length``: the answer is cut off, whatever it looks like."""


class _Part(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True, kw_only=True):
    pass


class Text(_Part, frozen=True, tag="text"):
    content: str


class Reasoning(_Part, frozen=True, tag="reasoning"):
    """What the model thought aloud. ``opaque`` is the provider's own (signature, id …), handed back unchanged."""

    content: str
    opaque: dict[str, Any] = {}


class ToolCall(_Part, frozen=True, tag="tool_call"):
    """``arguments``: an object; where the provider gave text that is no JSON object, that text."""

    id: str
    name: str
    arguments: Any = {}


class ToolResponse(_Part, frozen=True, tag="tool_call_response"):
    """``error``: the call failed, and ``response`` says how."""

    id: str
    name: str
    response: Any
    error: bool = False


Part = Text | Reasoning | ToolCall | ToolResponse


class Message(msgspec.Struct, frozen=True):
    role: Role
    parts: tuple[Part, ...]


class ToolOffer(msgspec.Struct, frozen=True, kw_only=True):
    """A tool as a model is told of it. ``parameters`` is a JSON Schema; ``mutates``: a call changes what outlives it."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}
    mutates: bool = False


class ModelRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``model``: a logical model or ``provider/name``; ``fallbacks``: models to try when it does not answer.

    ``schema``: the JSON Schema that the final answer is to fit. ``parameters``: temperature, seed, max_tokens, top_p, stop,
    timeout (seconds) and the provider's own, passed on.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[ToolOffer, ...] = ()
    schema: dict[str, Any] | None = None
    parameters: dict[str, Any] = {}
    fallbacks: tuple[str, ...] = ()


class ModelAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``model``: what the provider says it was; ``id``: its name of the answer."""

    parts: tuple[Part, ...]
    finish: Finish = "stop"
    model: str = ""
    id: str = ""

    @property
    def text(self) -> str:
        return "".join(part.content for part in self.parts if isinstance(part, Text))

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens. ``input_tokens`` include what was read from and written to the provider's cache, ``output_tokens`` the reasoning."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider said about its limits with an answer. ``None``: it did not say. Times in ms from now."""

    remaining_requests: int | None = None
    remaining_tokens: int | None = None
    reset_requests_ms: int | None = None
    reset_tokens_ms: int | None = None


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """An answer with what it used."""

    answer: ModelAnswer
    usage: Usage = Usage()
    limit: RateLimit | None = None


Emit = Callable[[Literal["text", "reasoning"], str], None]
"""Told what the model says while it speaks."""


class ModelClient(Protocol):
    """The models of one provider."""

    async def ask(self, model: str, request: ModelRequest, emit: Emit | None = None) -> Answered:
        """One request to the provider's ``model``, without retries of its own; streamed where ``emit`` is given.

        Raises Failure with one of the codes in ``FAULTS``. Cancelling closes the connection.
        """
        ...

    async def close(self) -> None: ...


FAULTS = {
    "rate_limited": True,
    "provider_error": True,
    "provider_timeout": True,
    "provider_unreachable": True,
    "bad_answer": True,
    "unauthorised": False,
    "invalid_request": False,
    "context_too_long": False,
    "no_credential": False,
    "no_adapter": False,
    "offline_cannot": False,
}
"""Failure code of a client -> whether asking the same deployment again later may help. ``details`` of ``rate_limited`` may have
``retry_after_ms``. ``bad_answer``: malformed, or a stream that broke off before its end marker. A refusal or a content filter is
an answer (``finish``), not a fault."""
