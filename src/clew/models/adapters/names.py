"""Tool ids as providers take them - letters, digits, ``_`` and ``-``, 64 at most - and back."""

import re

import msgspec

from clew.core.identity import digest
from clew.gate.ports.model import Message, ModelAnswer, ModelRequest, Part, ToolCall, ToolResponse

_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")


class Names:
    """The names of one request: of the tools that it offers and of those that were called before."""

    def __init__(self, request: ModelRequest) -> None:
        named = [tool.name for tool in request.tools]
        named += [p.name for m in request.messages for p in m.parts if isinstance(p, ToolCall | ToolResponse)]
        self._theirs = {name: _theirs(name) for name in named if not _PLAIN.fullmatch(name)}
        self._ours = {theirs: ours for ours, theirs in self._theirs.items()}

    def sent(self, request: ModelRequest) -> ModelRequest:
        if not self._theirs:
            return request
        tools = tuple(msgspec.structs.replace(t, name=self._theirs.get(t.name, t.name)) for t in request.tools)
        messages = tuple(Message(m.role, _renamed(m.parts, self._theirs)) for m in request.messages)
        return msgspec.structs.replace(request, tools=tools, messages=messages)

    def received(self, answer: ModelAnswer) -> ModelAnswer:
        if not self._ours:
            return answer
        return msgspec.structs.replace(answer, parts=_renamed(answer.parts, self._ours))


def _theirs(name: str) -> str:
    """With a digest: two names that differ in a foreign character only stay two."""
    return f"{_FOREIGN.sub('_', name)[:55]}_{digest(name)[:8]}"


def _renamed(parts: tuple[Part, ...], names: dict[str, str]) -> tuple[Part, ...]:
    return tuple(
        msgspec.structs.replace(part, name=names[part.name])
        if isinstance(part, ToolCall | ToolResponse) and part.name in names
        else part
        for part in parts
    )
