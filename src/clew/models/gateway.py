"""The gateway: performs ``model`` effects. Which deployment is asked, in what order and how often is decided here and recorded.

``routing`` gives the chain of deployments, ``chain`` asks them in order, and ``health`` says which of them may be asked now. Where
nobody answers, the effect fails and names every try.
"""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from math import inf
from typing import Any

import msgspec

from clew.core.codec import plain
from clew.core.errors import Failure
from clew.gate.effect import Effect, Outcome, failed
from clew.gate.ports.clock import Clock
from clew.gate.ports.model import Answered, ModelClient, ModelRequest, Usage
from clew.gate.ports.stream import Streams
from clew.models.catalog import Catalog, Provider
from clew.models.chain import Call, Chain
from clew.models.price import Price, priced, priced_note
from clew.models.routing import Decision, decide
from clew.models.voice import Voice

_SAMPLE = Usage(input_tokens=1000, output_tokens=1000)
"""What deployments' prices are compared by."""


class Gateway:
    """The driver of ``model`` effects. ``clients`` makes the client of a provider, once. ``close`` it.

    An outcome's ``notes["gateway"]``: ``model``, ``why``, ``complexity`` and ``kind`` where a rule asked for them, ``tries``
    (``deployment``, ``code`` - ``ok`` for an answer -, ``ms``, and ``waited_ms`` where there was a wait before it), ``passed_over``
    (deployment → why it was not asked when its turn came), ``chosen`` and ``price``.
    """

    def __init__(
        self,
        catalog: Catalog,
        clients: Callable[[Provider], ModelClient],
        *,
        clock: Clock,
        streams: Streams,
        price: Price,
    ) -> None:
        self._catalog, self._make, self._clock, self._streams, self._price = catalog, clients, clock, streams, price
        self._chain = Chain(catalog, clock)
        self._clients: dict[str, ModelClient] = {}
        self._prices: dict[str, Decimal | None] = {}

    async def perform(self, effect: Effect) -> Outcome:
        """The answer, or the failure with all that was tried. Raises Failure where there is nobody to ask: ``invalid_request``,
        ``unknown_model``, ``model_cycle``, ``no_route``."""
        try:
            request = msgspec.convert(effect.request, ModelRequest)
        except msgspec.ValidationError as error:
            raise Failure(f"{effect.name}: this is no model request: {error}", code="invalid_request") from None
        decision = decide(self._catalog, effect, request, self._dear)
        until = self._until(request)
        call = Call(effect.outward_key, f"model {request.model!r}", decision.chain, until)
        voice = Voice(self._streams, effect)

        async def ask(name: str) -> Answered:
            provider, model = self._catalog.deployment(name)
            return await self._client(provider).ask(model, self._in_time(request, until), voice.begin())

        try:
            answered = await self._chain.first(call, ask)
            voice.kept = answered is not None
        finally:
            voice.end()
        return self._outcome(call, request.model, decision, answered)

    async def close(self) -> None:
        clients, self._clients = list(self._clients.values()), {}
        await asyncio.gather(*(client.close() for client in clients))

    def _until(self, request: ModelRequest) -> int | None:
        """When the parameter ``within`` is over: seconds, for all tries together."""
        within = request.parameters.get("within")
        if not isinstance(within, int | float) or isinstance(within, bool) or not 0 < within < inf:
            return None
        return self._clock.now() + int(within * 1000)

    def _in_time(self, request: ModelRequest, until: int | None) -> ModelRequest:
        """One try, which is over when all of them are."""
        if until is None:
            return request
        left, longest = max(1, until - self._clock.now()) / 1000, request.parameters.get("timeout")
        timeout = min(left, longest) if isinstance(longest, int | float) and longest > 0 else left
        return msgspec.structs.replace(request, parameters={**request.parameters, "timeout": timeout})

    def _client(self, provider: Provider) -> ModelClient:
        if provider.id not in self._clients:
            self._clients[provider.id] = self._make(provider)
        return self._clients[provider.id]

    # -- what is recorded --------------------------------------------------------------------------------------

    def _outcome(self, call: Call, model: str, decision: Decision, answered: Answered | None) -> Outcome:
        notes: dict[str, Any] = {"model": model, "why": list(decision.why), "tries": call.tries}
        if decision.verdict is not None:
            notes |= {"complexity": decision.verdict.complexity, "kind": decision.verdict.kind}
        if call.passed_over:
            notes["passed_over"] = call.passed_over
        if answered is None:
            return failed(call.failure(), tries=len(call.tries), notes={"gateway": notes})
        chosen: str = call.tries[-1]["deployment"]
        found = priced(self._price, self._catalog.deployment(chosen), answered.usage, self._clock.now())
        return Outcome(
            output=plain(answered.answer),
            usage=msgspec.structs.asdict(answered.usage),
            cost=found.cost,
            by=chosen,
            tries=len(call.tries),
            notes={"gateway": notes | {"chosen": chosen, "price": priced_note(chosen, found)}},
        )

    def _dear(self, name: str) -> Decimal | None:
        """What the same sample of tokens costs, of each deployment."""
        if name not in self._prices:
            cost = priced(self._price, self._catalog.deployment(name), _SAMPLE, self._clock.now()).cost
            self._prices[name] = Decimal(cost) if cost else None
        return self._prices[name]
