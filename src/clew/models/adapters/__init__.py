"""Clients of model providers: one class for all (``client.AdapterClient``), one module a family for what differs.

Belongs here: what a provider's protocol asks for - credentials put into the request on its way out (``wire``), messages in its
form and back (``messages``), its faults in our codes (``faults``), its limits (``limits``), the parameters it takes (``settings``).
Never here: retries, fallback, health, price (the gateway's), or an import of a provider's library at the top of this file or of
``client``: these libraries cost seconds, and a project pays for those that it uses, when it uses them, off the event loop.
"""

import gc
from functools import partial
from importlib import import_module
from typing import Any

from clew.core.errors import Failure
from clew.gate.ports.embedding import EmbeddingClient
from clew.gate.ports.model import ModelClient
from clew.gate.ports.secrets import Secrets
from clew.models.adapters.client import AdapterClient, AdapterEmbedder
from clew.models.catalog import Provider, ProviderType

ADAPTERS: dict[ProviderType, tuple[str, str]] = {
    "openai": ("clew.models.adapters.openai:connect", "openai"),
    "azure": ("clew.models.adapters.openai:connect", "openai"),
    "ollama": ("clew.models.adapters.openai:connect", "openai"),
    "openai_compatible": ("clew.models.adapters.openai:connect", "openai"),
    "anthropic": ("clew.models.adapters.anthropic:connect", "anthropic"),
    "gemini": ("clew.models.adapters.gemini:connect", "gemini"),
}
"""Provider type -> ``module:function`` that connects to it, and the extra that brings its library."""

EMBEDDERS: dict[ProviderType, tuple[str, str]] = dict.fromkeys(
    ("openai", "azure", "ollama", "openai_compatible", "gemini"), ("clew.models.adapters.embedding:connect", "models")
)
"""The same for embeddings; Anthropic has none."""


def client_of(provider: Provider, secrets: Secrets) -> ModelClient:
    """The client of one provider. Cheap: libraries are loaded by the first request, which raises Failure(``no_adapter``)
    when they are not installed."""
    if provider.type == "offline":
        offline: type[ModelClient] = import_module("clew.models.offline").OfflineClient
        return offline()
    return AdapterClient(provider, secrets, partial(_connect, provider, ADAPTERS))


def embedder_of(provider: Provider, secrets: Secrets) -> EmbeddingClient:
    """The client of one provider's embedding models, as cheap; ``no_adapter`` also for a provider that has none."""
    if provider.type == "offline":
        offline: type[EmbeddingClient] = import_module("clew.models.offline.embedding").OfflineEmbedder
        return offline()
    return AdapterEmbedder(provider, secrets, partial(_connect, provider, EMBEDDERS))


def _connect(provider: Provider, table: dict[ProviderType, tuple[str, str]]) -> Any:
    if provider.type not in table:
        raise Failure(f"provider {provider.id}: {provider.type} has no embeddings", code="no_adapter")
    where, extra = table[provider.type]
    module, _, name = where.partition(":")
    try:
        found = import_module(module)
    except ImportError as missing:
        raise Failure(
            f"provider {provider.id}: {missing.name or 'a library'} is not installed",
            code="no_adapter",
            hint=f"pip install 'clew[{extra}]'",
        ) from None
    connection = getattr(found, name)(provider)
    gc.freeze()  # 200,000 objects for ever: a full collection that walks them holds up every stream for 0.1-0.3 s
    return connection
