"""Asking deployments in order until one answers: the same for every kind of effect that providers perform.

A round asks each that is ready, in order, until one answers; after a round comes a wait that doubles (equal jitter, from the
effect's key: M. Brooker, "Exponential Backoff and Jitter", 2015). A deployment is asked ``ROUNDS`` times at most, and once only
where asking again cannot help. Where none is ready, the one that is soonest is waited for, ``PATIENCE_MS`` in all.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar, cast

from clew.core.errors import Failure, described
from clew.core.identity import digest
from clew.gate.ports.clock import Clock
from clew.gate.ports.model import FAULTS, RateLimit
from clew.models.catalog import Catalog
from clew.models.health import Circuit

ROUNDS = 3
PATIENCE_MS = 60_000
"""Waiting in all for one effect, without the time that deployments take to answer."""

BACKOFF_MS = 500
_SPREAD_MS = 250
"""Calls that wait for the same moment come back spread over this."""


class Limited(Protocol):
    """An answer that may say what the provider's limits are."""

    @property
    def limit(self) -> RateLimit | None: ...


A = TypeVar("A", bound=Limited)


class Chain:
    """The deployments of a catalog, with what is known of their health."""

    def __init__(self, catalog: Catalog, clock: Clock) -> None:
        self._catalog, self._clock = catalog, clock
        self._circuits: dict[str, Circuit] = {}

    async def first(self, call: "Call", ask: Callable[[str], Awaitable[A]]) -> A | None:
        """The first answer; None where nobody may be asked any more. ``ask`` is one try of one deployment; it raises Failure."""
        rounds = 0
        while True:
            asked = len(call.tries)
            last = not self._ready(call.left())
            for name in call.left():
                if call.over(self._clock.now()):
                    return None
                circuit = self._circuit(name)
                standing, _ = circuit.standing(self._clock.now(), last=last)
                if standing != "ready":
                    call.passed_over.setdefault(name, standing)
                    continue
                answered = await self._ask(call, name, circuit, ask)
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
            if call.waited + wait > PATIENCE_MS or call.over(now + wait):
                call.gave_up_at = wait
                return None
            await self._pause(wait)
            call.wait(wait)

    def _ready(self, names: list[str]) -> bool:
        now = self._clock.now()
        return any(self._circuit(name).standing(now)[0] == "ready" for name in names)

    async def _ask(self, call: "Call", name: str, circuit: Circuit, ask: Callable[[str], Awaitable[A]]) -> A | None:
        """One try, noted. Raises only what cancels it."""
        ticket, begun = circuit.begin(), self._clock.now()
        try:
            answered = await ask(name)
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

    def _circuit(self, name: str) -> Circuit:
        if name not in self._circuits:
            provider, _ = self._catalog.deployment(name)
            self._circuits[name] = Circuit(provider.failures, provider.cool_down_ms)
        return self._circuits[name]


class Call:
    """One effect on its way along its chain. ``key``: its outward key; ``what`` is asked, as failures name it; ``until``: nobody
    is asked from then on, in ms since the epoch."""

    def __init__(self, key: str, what: str, chain: tuple[str, ...], until: int | None = None) -> None:
        self.key, self._what, self._until = key, what, until
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

    def over(self, now: int) -> bool:
        return self._until is not None and now >= self._until

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
        message = f"no answer from {self._what} after {tries}: {'; '.join(said)}"
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
