"""OpenAI (Responses, or Chat with ``config: {api: chat}``), Azure, Ollama, and servers that speak OpenAI's Chat: vLLM, LiteLLM …"""

from typing import Any
from urllib.parse import urlsplit

from openai import AsyncAzureOpenAI, AsyncOpenAI
from pydantic_ai.models import Model
from pydantic_ai.models.ollama import OllamaModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel, OpenAIResponsesModelSettings
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers import Provider as Service
from pydantic_ai.providers.azure import AzureProvider
from pydantic_ai.providers.ollama import OllamaProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from clew.core.errors import Failure
from clew.models.adapters.connection import ModelConnection
from clew.models.adapters.wire import PLACEHOLDER, http_client
from clew.models.catalog import Provider

BASE_URLS = {"openai": "https://api.openai.com/v1", "ollama": "http://127.0.0.1:11434/v1"}
DEFAULT_API = {"openai": "responses", "azure": "chat", "ollama": "chat", "openai_compatible": "chat"}
STRICT_END = OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True)
DEFAULTS = OpenAIResponsesModelSettings(openai_store=False)
"""Nothing is kept at the provider: reasoning comes back sealed and goes with the next request."""


def connect(provider: Provider) -> ModelConnection:
    """Raises Failure(``invalid_request``) where the address is missing."""
    azure = provider.type == "azure"
    http = http_client(
        "api-key" if azure else "authorization", "" if azure else "Bearer ", timeout_ms=provider.timeout_ms
    )
    service = _service(provider, _sdk(provider, http))
    responses = provider.config.get("api", DEFAULT_API[provider.type]) == "responses"

    def make(name: str) -> Model[Any]:
        if responses:
            return OpenAIResponsesModel(name, provider=service)
        if provider.type == "ollama":
            return OllamaModel(name, provider=service)
        return OpenAIChatModel(name, provider=service, profile=STRICT_END)

    return ModelConnection(
        provider.id,
        http,
        make,
        defaults=DEFAULTS if responses else None,
        counts_streams=responses or provider.type in ("openai", "azure"),
    )


def _sdk(provider: Provider, http: Any) -> AsyncOpenAI:
    base_url = provider.base_url or BASE_URLS.get(provider.type)
    if base_url is None:
        raise Failure(f"provider {provider.id}: {provider.type} needs a base_url", code="invalid_request")
    common: dict[str, Any] = {"api_key": PLACEHOLDER, "http_client": http, "max_retries": 0}
    if provider.type == "azure" and provider.api_version is not None:
        return AsyncAzureOpenAI(azure_endpoint=base_url, api_version=provider.api_version, **common)
    if provider.type == "ollama" and urlsplit(base_url).path in ("", "/"):
        base_url = f"{base_url.rstrip('/')}/v1"
    return AsyncOpenAI(base_url=base_url, **common)


def _service(provider: Provider, sdk: AsyncOpenAI) -> Service[AsyncOpenAI]:
    if isinstance(sdk, AsyncAzureOpenAI):
        return AzureProvider(openai_client=sdk)
    if provider.type == "ollama":
        return OllamaProvider(openai_client=sdk)
    if provider.type == "openai_compatible":
        return OpenAICompatibleProvider(provider.id, openai_client=sdk)
    return OpenAIProvider(openai_client=sdk)
