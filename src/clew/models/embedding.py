"""Embedding by a provider's model: performs ``embedding`` effects. Asked, waited for and priced as models are.

There is no falling back to another model: vectors of two models cannot be compared.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from clew.core.codec import plain
from clew.core.errors import Failure, UsageError
from clew.gate.effect import Effect, Outcome, failed
from clew.gate.ports.clock import Clock
from clew.gate.ports.embedding import Embedded, EmbeddingAnswer, EmbeddingClient, EmbeddingRequest, packed
from clew.models.catalog import Catalog, Provider
from clew.models.chain import Call, Chain
from clew.models.price import Price, priced, priced_note

MOST_TEXTS = 2048


class Embeddings:
    """The driver of ``embedding`` effects. ``clients`` makes the client of a provider, once. ``close`` it.

    An outcome's ``notes["gateway"]`` holds ``model``, ``tries``, ``passed_over``, ``chosen`` and ``price`` as a model's does.
    """

    def __init__(
        self, catalog: Catalog, clients: Callable[[Provider], EmbeddingClient], *, clock: Clock, price: Price
    ) -> None:
        self._catalog, self._make, self._clock, self._price = catalog, clients, clock, price
        self._chain = Chain(catalog, clock)
        self._clients: dict[str, EmbeddingClient] = {}

    async def perform(self, effect: Effect) -> Outcome:
        """The vectors, or the failure with all that was tried. Raises Failure: ``invalid_request``, ``unknown_model``."""
        try:
            request = msgspec.convert(effect.request, EmbeddingRequest)
            self._catalog.deployment(request.model)
        except msgspec.ValidationError as error:
            raise Failure(f"{effect.name}: this is no embedding request: {error}", code="invalid_request") from None
        except UsageError as error:
            raise Failure(error.message, code="unknown_model") from None
        if not 1 <= len(request.texts) <= MOST_TEXTS or not all(text.strip() for text in request.texts):
            message = f"{effect.name}: 1 to {MOST_TEXTS} texts are embedded together, and none of them empty"
            raise Failure(message, code="invalid_request")
        call = Call(effect.outward_key, f"embedding model {request.model!r}", (request.model,))

        async def ask(name: str) -> Embedded:
            provider, model = self._catalog.deployment(name)
            return await self._client(provider).embed(model, request)

        return self._outcome(call, request.model, await self._chain.first(call, ask))

    async def close(self) -> None:
        clients, self._clients = list(self._clients.values()), {}
        await asyncio.gather(*(client.close() for client in clients))

    def _client(self, provider: Provider) -> EmbeddingClient:
        if provider.id not in self._clients:
            self._clients[provider.id] = self._make(provider)
        return self._clients[provider.id]

    def _outcome(self, call: Call, name: str, embedded: Embedded | None) -> Outcome:
        notes: dict[str, Any] = {"model": name, "tries": call.tries}
        if call.passed_over:
            notes["passed_over"] = call.passed_over
        if embedded is None:
            return failed(call.failure(), tries=len(call.tries), notes={"gateway": notes})
        found = priced(self._price, self._catalog.deployment(name), embedded.usage, self._clock.now())
        answer = EmbeddingAnswer(
            vectors=tuple(packed(vector) for vector in embedded.vectors),
            dims=len(embedded.vectors[0]) // 4,
            model=embedded.model,
        )
        return Outcome(
            output=plain(answer),
            usage=msgspec.structs.asdict(embedded.usage),
            cost=found.cost,
            by=name,
            tries=len(call.tries),
            notes={"gateway": notes | {"chosen": name, "price": priced_note(name, found)}},
        )
