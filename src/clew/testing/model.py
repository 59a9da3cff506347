"""A model that answers by script, in place of every provider."""

import inspect
from typing import Any, cast

import msgspec

from clew.core.errors import UsageError
from clew.gate.ports.model import (
    Answered,
    Emit,
    Finish,
    ModelAnswer,
    ModelRequest,
    Part,
    Reasoning,
    Text,
    ToolCall,
    Usage,
)

_CHARACTERS = 4
"""Of a token, by this model's count."""


class ScriptedModel:
    """A ``ModelClient`` whose answers are listed beforehand; one is used for each request, in order.

    An answer is a text; a dict or list, said as JSON; a ``ToolCall`` (``ScriptedModel.call``) or a list with one; a ``ModelAnswer``
    or ``Answered`` as it is; an exception, which is raised; or a function of the request that returns any of these, or an
    awaitable of it. ``seen`` are the requests. Usage is counted from the lengths of the texts.

    Raises UsageError when there is no answer left.
    """

    def __init__(self, *answers: Any) -> None:
        self.seen: list[ModelRequest] = []
        self._answers = list(answers)

    @staticmethod
    def call(tool: str, /, **arguments: Any) -> ToolCall:
        """A call of a tool. Its id is made when it is said."""
        return ToolCall(id="", name=tool, arguments=arguments)

    @staticmethod
    def cut(text: str) -> ModelAnswer:
        """An answer that breaks off at the limit of its length."""
        return ModelAnswer(parts=(Text(content=text),), finish="length")

    @staticmethod
    def refusal(text: str = "") -> ModelAnswer:
        return ModelAnswer(parts=(Text(content=text),), finish="content_filter")

    async def ask(self, model: str, request: ModelRequest, emit: Emit | None = None) -> Answered:
        self.seen.append(request)
        if not self._answers:
            raise UsageError(f"the scripted model was asked {len(self.seen)} times and has no answer left")
        said: Any = self._answers.pop(0)
        if callable(said):
            said = said(request)
            if inspect.isawaitable(said):
                said = await said
        if isinstance(said, BaseException):
            raise said
        answered = said if isinstance(said, Answered) else _counted(request, self._answer(model, said))
        for part in answered.answer.parts if emit else ():
            if emit and isinstance(part, Text | Reasoning):
                emit("text" if isinstance(part, Text) else "reasoning", part.content)
        return answered

    async def close(self) -> None:
        """Nothing to close."""

    def _answer(self, model: str, said: Any) -> ModelAnswer:
        if isinstance(said, ModelAnswer):
            return said
        several = cast("list[Any]", said) if isinstance(said, list) else []
        given: list[Any] = several if any(isinstance(one, ToolCall) for one in several) else [said]
        parts = tuple(self._part(index, one) for index, one in enumerate(given))
        finish: Finish = "tool_call" if any(isinstance(part, ToolCall) for part in parts) else "stop"
        return ModelAnswer(parts=parts, finish=finish, model=model, id=f"scripted-{len(self.seen)}")

    def _part(self, index: int, said: Any) -> Part:
        if isinstance(said, ToolCall):
            return msgspec.structs.replace(said, id=said.id or f"call-{len(self.seen)}-{index}")
        if isinstance(said, Text | Reasoning):
            return said
        return Text(content=said if isinstance(said, str) else msgspec.json.encode(said).decode())


def _counted(request: ModelRequest, answer: ModelAnswer) -> Answered:
    return Answered(
        answer=answer, usage=Usage(input_tokens=_tokens(request.messages), output_tokens=_tokens(answer.parts))
    )


def _tokens(value: Any) -> int:
    return max(1, len(msgspec.json.encode(value)) // _CHARACTERS)
