"""Effects and outcomes: what crosses the gate."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec

from clew.core.errors import Failure
from clew.core.events import EffectStatus, Principal
from clew.core.identity import digest

Need = Literal["mutate", "network", "shell"]
"""Capabilities that a mode or a policy may take away."""

OnInDoubt = Literal["fail", "ask", "retry"]

WAITS = frozenset({"human", "timer", "child"})
"""Kinds that wait durably: answered by the host, not by a driver."""


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """A request to the world. ``key`` names it within the run: ``task/node#attempt/seq``; ``request`` is JSON.

    ``repeat_safe``: doing it twice does no harm, so it is simply done again when its outcome is not known.
    """

    key: str
    kind: str
    name: str
    request: Any
    task: str
    node: str
    run: str = ""
    repeat_safe: bool = False
    on_in_doubt: OnInDoubt = "fail"
    needs: tuple[Need, ...] = ()
    due: int | None = None
    """Waits only: when the wait ends by itself (ms since the epoch)."""
    agent: str = ""
    """The agent that asks, where the body is an agent's."""
    principal: Principal = Principal()
    """On whose behalf; the host says so."""
    handed: Any = None
    """What the driver is given besides the request. It comes from a recorded outcome, so it is neither recorded nor compared."""

    @property
    def outward_key(self) -> str:
        """An idempotency key for the world outside: unique over runs, the same when the effect is repeated."""
        return f"{self.run}:{self.key}"

    @property
    def digest(self) -> str:
        """What was asked for, as compared on replay."""
        return digest([self.kind, self.name, self.request])


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The recorded answer. ``error`` is ``{code, message, details?}``; ``performed``: the arguments, where they were changed."""

    status: EffectStatus = "ok"
    output: Any = None
    error: dict[str, Any] | None = None
    performed: Any = None
    tries: int = 1
    ms: int = 0
    cost: str = ""
    usage: dict[str, int] | None = None
    notes: dict[str, Any] = {}
    by: str = ""
    """Who did it, where the driver had a choice (a model's deployment)."""

    def value(self) -> Any:
        """The output; raises Failure for an error or a denial."""
        if self.error is None:
            return self.output
        error = self.error
        raise Failure(
            str(error.get("message", "")), code=str(error.get("code", "failed")), details=error.get("details")
        )


def failed(failure: Failure, **fields: Any) -> Outcome:
    """The outcome that records ``failure``."""
    error = {"code": failure.code, "message": str(failure), "details": failure.details}
    return Outcome(status="error", error=error, **fields)


def denied(code: str, why: str, **fields: Any) -> Outcome:
    return Outcome(status="denied", error={"code": code, "message": why, "details": None}, **fields)


class Driver(Protocol):
    """Performs one kind of effect. Raises Failure for what the caller may see and handle; any other exception is a bug
    in the driver and fails the effect with code ``driver_error``."""

    async def perform(self, effect: Effect) -> Any:
        """The output (JSON), or an ``Outcome`` where cost, usage or performed arguments are to be recorded."""
        ...


Drivers = Mapping[str, Driver]
"""Kind -> driver."""
