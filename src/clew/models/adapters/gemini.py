"""Gemini's generateContent."""

from pydantic_ai.models.google import GoogleModel
from pydantic_ai.providers.google import GoogleProvider

from clew.models.adapters.connection import ModelConnection
from clew.models.adapters.wire import PLACEHOLDER, http_client
from clew.models.catalog import Provider

BASE_URL = "https://generativelanguage.googleapis.com"


def connect(provider: Provider) -> ModelConnection:
    http = http_client("x-goog-api-key", timeout_ms=provider.timeout_ms)
    service = GoogleProvider(api_key=PLACEHOLDER, base_url=provider.base_url or BASE_URL, http_client=http)
    return ModelConnection(provider.id, http, lambda name: GoogleModel(name, provider=service))
