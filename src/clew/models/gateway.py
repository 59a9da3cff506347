"""The gateway: performs ``model`` effects. Which deployment is asked, in what order and how often is decided here and recorded.

``routing`` gives the chain of deployments, ``health`` says which of them may be asked now. A round asks each that is ready, in
order, until one answers; after a round comes a wait that doubles (equal jitter, from the effect's key: M. Brooker, "Exponential
Backoff and Jitter", 2015). A deployment is asked ``ROUNDS`` times at most, and once only where asking again cannot help. Where
none is ready, the one that is soonest is waited for, ``PATIENCE_MS`` in all: then the effect fails and names every try.
"""

import asyncio
import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

import msgspec

from clew.core.codec import plain
from clew.core.errors import Failure, described
from clew.core.identity import digest
from clew.gate.effect import Effect, Outcome, failed
from clew.gate.ports.clock import Clock
from clew.gate.ports.model import FAULTS, Answered, ModelClient, ModelRequest, Usage
from clew.gate.ports.stream import Streams
from clew.models.catalog import Catalog, Provider
from clew.models.health import Circuit
from clew.models.price import Priced
from clew.models.routing import Decision, decide
from clew.models.voice import Voice

logger = logging.getLogger("clew.models")

ROUNDS = 3
PATIENCE_MS = 60_000
"""Waiting in all for one effect, without the time that deployments take to answer."""

BACKOFF_MS = 500
_SPREAD_MS = 250
"""Calls that wait for the same moment come back spread over this."""

_SAMPLE = Usage(input_tokens=1000, output_tokens=1000)
"""What deployments' prices are compared by."""

_warned: set[str] = set()
"""Deployments whose missing price was logged: once in a process."""


Price = Callable[[Provider, str, Usage, int], Priced]
"""Provider, its model, tokens, ms since the epoch."""


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
        self._clients: dict[str, ModelClient] = {}
        self._circuits: dict[str, Circuit] = {}
        self._prices: dict[str, Decimal | None] = {}

    async def perform(self, effect: Effect) -> Outcome:
        """The answer, or the failure with all that was tried. Raises Failure where there is nobody to ask: ``invalid_request``,
        ``unknown_model``, ``model_cycle``, ``no_route``."""
        try:
            request = msgspec.convert(effect.request, ModelRequest)
        except msgspec.ValidationError as error:
            raise Failure(f"{effect.name}: this is no model request: {error}", code="invalid_request") from None
        decision = decide(self._catalog, effect, request, self._dear)
        call, voice = _Call(effect, request, decision.chain), Voice(self._streams, effect)
        try:
            answered = await self._ask_chain(call, voice)
            voice.kept = answered is not None
        finally:
            voice.end()
        return self._outcome(call, decision, answered)

    async def close(self) -> None:
        clients, self._clients = list(self._clients.values()), {}
        await asyncio.gather(*(client.close() for client in clients))

    # -- asking ------------------------------------------------------------------------------------------------

    async def _ask_chain(self, call: "_Call", voice: Voice) -> Answered | None:
        """The first answer; None where nobody may be asked any more."""
        rounds = 0
        while True:
            asked = len(call.tries)
            last = not self._ready(call.left())
            for name in call.left():
                circuit = self._circuit(name)
                standing, _ = circuit.standing(self._clock.now(), last=last)
                if standing != "ready":
                    call.passed_over.setdefault(name, standing)
                    continue
                answered = await self._ask(call, name, circuit, voice)
                if answered is not None:
                    return answered
            left = call.left()
            if not left:
                return None
            now = self._clock.now()
            wait = min(self._circuit(name).standing(now, last=True)[1] for name in left) - now
            if len(call.tries) > asked:
                rounds += 1
                wait = max(wait, _backoff(call.key, rounds))
            else:
                wait += int(_fraction(call.key, len(call.tries)) * _SPREAD_MS)
            if call.waited + wait > PATIENCE_MS:
                call.gave_up_at = wait
                return None
            await self._pause(wait)
            call.wait(wait)

    def _ready(self, names: list[str]) -> bool:
        now = self._clock.now()
        return any(self._circuit(name).standing(now)[0] == "ready" for name in names)

    async def _ask(self, call: "_Call", name: str, circuit: Circuit, voice: Voice) -> Answered | None:
        """One try, noted. Raises only what cancels it."""
        provider, model = self._catalog.deployment(name)
        ticket, begun = circuit.begin(), self._clock.now()
        try:
            answered = await self._client(provider).ask(model, call.request, voice.begin())
        except Exception as error:  # a client's bug costs this deployment's answer, not the others'
            failure = error if isinstance(error, Failure) else _bug(error)
            now = self._clock.now()
            circuit.failed(ticket, now, failure.code, _details(failure).get("retry_after_ms"))
            call.note(name, failure, now - begun)
            return None
        except BaseException:
            circuit.abandoned(ticket)
            raise
        now = self._clock.now()
        circuit.answered(ticket, now, answered.limit)
        call.note(name, None, now - begun)
        return answered

    async def _pause(self, ms: int) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self._clock.at(self._clock.now() + ms, lambda: None if woken.done() else woken.set_result(None))
        try:
            await woken
        finally:
            timer.cancel()

    def _client(self, provider: Provider) -> ModelClient:
        if provider.id not in self._clients:
            self._clients[provider.id] = self._make(provider)
        return self._clients[provider.id]

    def _circuit(self, name: str) -> Circuit:
        if name not in self._circuits:
            provider, _ = self._catalog.deployment(name)
            self._circuits[name] = Circuit(provider.failures, provider.cool_down_ms)
        return self._circuits[name]

    # -- what is recorded --------------------------------------------------------------------------------------

    def _outcome(self, call: "_Call", decision: Decision, answered: Answered | None) -> Outcome:
        notes: dict[str, Any] = {"model": call.request.model, "why": list(decision.why), "tries": call.tries}
        if decision.verdict is not None:
            notes |= {"complexity": decision.verdict.complexity, "kind": decision.verdict.kind}
        if call.passed_over:
            notes["passed_over"] = call.passed_over
        if answered is None:
            return failed(call.failure(), tries=len(call.tries), notes={"gateway": notes})
        chosen: str = call.tries[-1]["deployment"]
        provider, model = self._catalog.deployment(chosen)
        priced = self._priced(provider, model, answered.usage)
        notes |= {"chosen": chosen, "price": {"cost": priced.cost, "source": priced.source}}
        if priced.warning:
            notes["price"]["warning"] = priced.warning
            if chosen not in _warned:
                _warned.add(chosen)
                logger.warning("%s: %s", chosen, priced.warning)
        return Outcome(
            output=plain(answered.answer),
            usage=msgspec.structs.asdict(answered.usage),
            cost=priced.cost,
            by=chosen,
            tries=len(call.tries),
            notes={"gateway": notes},
        )

    def _priced(self, provider: Provider, model: str, usage: Usage) -> Priced:
        """A fault in a price list must not lose an answer that was paid for."""
        try:
            return self._price(provider, model, usage, self._clock.now())
        except Exception as error:
            return Priced(
                cost="", source="", warning=f"the price of {model} could not be worked out: {described(error)}"
            )

    def _dear(self, name: str) -> Decimal | None:
        """What the same sample of tokens costs, of each deployment."""
        if name not in self._prices:
            cost = self._priced(*self._catalog.deployment(name), _SAMPLE).cost
            self._prices[name] = Decimal(cost) if cost else None
        return self._prices[name]


class _Call:
    """One effect on its way along its chain."""

    def __init__(self, effect: Effect, request: ModelRequest, chain: tuple[str, ...]) -> None:
        self.key, self.request = effect.outward_key, request
        self._left = dict.fromkeys(chain, ROUNDS)
        self._failures: dict[str, Failure] = {}
        self._waiting = 0
        self.tries: list[dict[str, Any]] = []
        self.passed_over: dict[str, str] = {}
        self.waited = 0
        self.gave_up_at: int | None = None
        """The wait that would have been too long."""

    def left(self) -> list[str]:
        """Deployments that may be asked, in order."""
        return [name for name, times in self._left.items() if times]

    def wait(self, ms: int) -> None:
        self.waited += ms
        self._waiting += ms

    def note(self, name: str, failure: Failure | None, ms: int) -> None:
        entry: dict[str, Any] = {"deployment": name, "code": failure.code if failure else "ok", "ms": ms}
        if self._waiting:
            entry["waited_ms"], self._waiting = self._waiting, 0
        self.tries.append(entry)
        if failure is not None:
            self._failures[name] = failure
            self._left[name] = self._left[name] - 1 if FAULTS.get(failure.code) else 0

    def failure(self) -> Failure:
        """Its code is the deployments' own where they agree on one that trying again does not change."""
        codes = [str(entry["code"]) for entry in self.tries]
        last = next(reversed(self._failures.values()), None)
        if last is not None and len(set(codes)) == 1 and not FAULTS.get(last.code) and self.gave_up_at is None:
            return Failure(
                last.message, code=last.code, details={**_details(last), "tries": self.tries}, hint=last.hint
            )
        said = [f"{name}: {failure.code} ({_brief(str(failure))})" for name, failure in self._failures.items()]
        said += [
            f"{name}: {why.replace('_', ' ')}" for name, why in self.passed_over.items() if name not in self._failures
        ]
        tries = f"{len(codes)} {'try' if len(codes) == 1 else 'tries'}"
        message = f"no answer from model {self.request.model!r} after {tries}: {'; '.join(said)}"
        if self.gave_up_at is not None:
            message += (
                f"; the next try would be {self.gave_up_at / 1000:g} s away, after {self.waited / 1000:g} s of waiting"
            )
        return Failure(message, code="model_unavailable", details={"tries": self.tries})


def _bug(error: Exception) -> Failure:
    return Failure(described(error), code="adapter_error")


def _details(failure: Failure) -> dict[str, Any]:
    details: Any = failure.details
    return cast("dict[str, Any]", details) if isinstance(details, dict) else {}


def _fraction(key: str, turn: int) -> float:
    """In [0, 1), from the key: chance that a replay and a repeated call share."""
    return int(digest([key, turn])[:8], 16) / 2**32


def _backoff(key: str, rounds: int) -> int:
    most = BACKOFF_MS * 2 ** (rounds - 1)
    return int(most / 2 + most / 2 * _fraction(key, rounds))


def _brief(text: str) -> str:
    return text if len(text) <= 300 else text[:300] + "…"
