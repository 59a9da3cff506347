"""The client of one provider, before and around its library: the credential, the deadline, the connection made when needed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from clew.core.errors import Failure
from clew.gate.ports.embedding import Embedded, EmbeddingRequest
from clew.gate.ports.model import Answered, Emit, ModelRequest
from clew.gate.ports.secrets import Secrets
from clew.models.catalog import Provider, ProviderType

KEYED: frozenset[ProviderType] = frozenset({"openai", "azure", "anthropic", "gemini"})
"""Types whose own service asks for a key; a ``base_url`` may lead to a server that does not."""


class Closing(Protocol):
    async def close(self) -> None: ...


class Connection(Closing, Protocol):
    """A provider's library, loaded: what the modules of the families make."""

    async def ask(self, model: str, request: ModelRequest, emit: Emit | None, key: str | None) -> Answered: ...


class VectorConnection(Closing, Protocol):
    """The same for embeddings."""

    async def embed(self, model: str, request: EmbeddingRequest, key: str | None) -> Embedded: ...


C = TypeVar("C", bound=Closing)
T = TypeVar("T")


class ProviderClient(Generic[C]):
    """What clients have in common. ``connect`` loads the library (1-3 s): it is called once, in a thread."""

    def __init__(self, provider: Provider, secrets: Secrets, connect: Callable[[], C]) -> None:
        self._provider, self._secrets, self._connect = provider, secrets, connect
        self._connection: C | None = None
        self._connecting = asyncio.Lock()

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _connected(self) -> C:
        async with self._connecting:
            if self._connection is None:
                self._connection = await asyncio.to_thread(self._connect)
            return self._connection

    async def _in_time(self, model: str, seconds: float, answer: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            message = f"provider {self._provider.id}: no answer from {model} within {seconds:g} s"
            raise Failure(message, code="provider_timeout") from None

    def _key(self) -> str | None:
        """Looked up for each request: a key that was changed is used at once."""
        if self._provider.credential is None:
            if self._provider.type in KEYED and self._provider.base_url is None:
                raise Failure(
                    f"provider {self._provider.id} has no credential",
                    code="no_credential",
                    hint="name one: `credential:` of the provider, declared under `provider_credentials`",
                )
            return None
        key = self._secrets.value(self._provider.credential)
        if not key or not all("!" <= sign <= "~" for sign in key):
            raise Failure(
                f"provider {self._provider.id}: credential {self._provider.credential!r} cannot be sent",
                code="no_credential",
                hint="a key is printable ASCII without spaces or line ends",
            )
        return key


class AdapterClient(ProviderClient[Connection]):
    """Implements ``ModelClient``."""

    async def ask(self, model: str, request: ModelRequest, emit: Emit | None = None) -> Answered:
        """Raises Failure with a code of ``FAULTS``; ``provider_timeout`` when the whole answer is not there in time."""
        key = self._key()
        connection = await self._connected()
        return await self._in_time(model, self._seconds(request), connection.ask(model, request, emit, key))

    def _seconds(self, request: ModelRequest) -> float:
        """A request may shorten the provider's time, not lengthen it."""
        longest = self._provider.timeout_ms / 1000
        asked = request.parameters.get("timeout")
        if isinstance(asked, int | float) and not isinstance(asked, bool) and asked > 0:
            return min(longest, float(asked))
        return longest


class AdapterEmbedder(ProviderClient[VectorConnection]):
    """Implements ``EmbeddingClient``."""

    async def embed(self, model: str, request: EmbeddingRequest) -> Embedded:
        """Raises Failure with a code of ``FAULTS``; ``provider_timeout`` when the answer is not there in time."""
        key = self._key()
        connection = await self._connected()
        return await self._in_time(model, self._provider.timeout_ms / 1000, connection.embed(model, request, key))
