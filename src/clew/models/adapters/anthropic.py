"""Anthropic Messages."""

from anthropic import AsyncAnthropic
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.providers.anthropic import AnthropicProvider

from clew.models.adapters.connection import ModelConnection
from clew.models.adapters.wire import PLACEHOLDER, http_client
from clew.models.catalog import Provider

BASE_URL = "https://api.anthropic.com"


def connect(provider: Provider) -> ModelConnection:
    http = http_client("x-api-key", timeout_ms=provider.timeout_ms)
    sdk = AsyncAnthropic(api_key=PLACEHOLDER, base_url=provider.base_url or BASE_URL, http_client=http, max_retries=0)
    _ = sdk.beta.messages  # loaded late by the library: here, not on the event loop
    service = AnthropicProvider(anthropic_client=sdk)
    return ModelConnection(provider.id, http, lambda name: AnthropicModel(name, provider=service))
