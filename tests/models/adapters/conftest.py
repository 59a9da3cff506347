"""Real clients of every protocol, over HTTP, against a fake provider."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from clew.core.errors import Failure
from clew.gate.ports.model import (
    Answered,
    Message,
    ModelClient,
    ModelRequest,
    Text,
    ToolOffer,
)
from clew.models.adapters import client_of
from clew.models.catalog import Provider
from clew.testing import FakeProvider

KEY = "sk-invented-0123456789"
MODELS = {
    "chat": "gpt-4o",
    "responses": "gpt-5.2",
    "anthropic": "claude-opus-4-8",
    "gemini": "gemini-2.5-flash",
}
LOOKUP = ToolOffer(
    name="lookup",
    description="looks up",
    parameters={"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]},
)


class Keys:
    """Secrets that a test may change."""

    def __init__(self, key: str = KEY) -> None:
        self.key = key

    def value(self, credential: str) -> str:
        if not self.key:
            raise Failure(f"no credential {credential!r}", code="no_credential")
        return self.key

    def known(self) -> list[str]:
        return [self.key]


def provider_of(kind: str, url: str, **fields: Any) -> Provider:
    openai = kind in ("chat", "responses")
    settings: dict[str, Any] = {
        "id": "house",
        "type": "openai" if openai else kind,
        "credential": "key",
        "base_url": f"{url}/v1" if openai else url,
        "timeout_ms": 5000,
        "config": {"api": kind} if openai else {},
    }
    return Provider(**(settings | fields))


class Asker:
    """One client of one kind; ``ask`` sends a question and collects what was emitted."""

    def __init__(self, kind: str, client: ModelClient) -> None:
        self.kind, self.client = kind, client
        self.model = MODELS[kind]
        self.emitted: list[tuple[str, str]] = []

    async def ask(self, request: ModelRequest | None = None, *, streamed: bool = False, **fields: Any) -> Answered:
        emit = (lambda kind, text: self.emitted.append((kind, text))) if streamed else None
        return await self.client.ask(self.model, request or question(**fields), emit)

    def said(self, kind: str) -> str:
        return "".join(text for what, text in self.emitted if what == kind)


def question(text: str = "hello", **fields: Any) -> ModelRequest:
    messages = (Message("system", (Text("be brief"),)), Message("user", (Text(text),)))
    return ModelRequest(
        **({"model": "fast", "messages": messages, "tools": (LOOKUP,), "parameters": {"max_tokens": 500}} | fields)
    )


@pytest.fixture
async def asker() -> AsyncIterator[Callable[..., Asker]]:
    made: list[ModelClient] = []

    def make(kind: str, fake: FakeProvider, secrets: Any = None, **fields: Any) -> Asker:
        client = client_of(provider_of(kind, fake.url, **fields), secrets or Keys())
        made.append(client)
        return Asker(kind, client)

    yield make
    for client in made:
        await client.close()


@pytest.fixture
def ask_of() -> Callable[..., ModelRequest]:
    return question


@pytest.fixture
def keys() -> Callable[..., Keys]:
    return Keys


@pytest.fixture
def provider() -> Callable[..., Provider]:
    return provider_of
