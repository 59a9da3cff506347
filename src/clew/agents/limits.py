"""Bounds of one agent body, counted from recorded outcomes alone, so that every entry counts the same."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from clew.core.errors import Failure
from clew.gate.effect import Outcome
from clew.manifest.compiled import Limits

STEPS = 20
"""Model turns, where the agent does not say."""
_CHARACTERS = 4
"""Of a token, where nobody counted."""


class Spent:
    """What a body has used. Limits are held before each further request; an answer that is there and paid for counts."""

    def __init__(self, agent: str, limits: Limits) -> None:
        self._agent, self._limits = agent, limits
        self.most_steps = limits.steps or STEPS
        self._most_cost = None if limits.cost is None else Decimal(limits.cost)
        self.steps = self.tokens = self.ms = 0
        self.cost = Decimal(0)

    def turn(self, request: dict[str, Any], outcome: Outcome) -> None:
        """Raises Failure(price_unknown) where a limit of cost cannot be held."""
        self.steps += 1
        usage = outcome.usage or {}
        used = max(0, usage.get("input_tokens", 0)) + max(0, usage.get("output_tokens", 0))
        if not used and self._limits.tokens is not None:  # nobody counted: a limit is held all the same
            used = len(msgspec.json.encode([request, outcome.output])) // _CHARACTERS
        self.tokens += used
        self.ms += outcome.ms
        if outcome.cost:
            self.cost += Decimal(outcome.cost)
        elif self._most_cost is not None and outcome.error is None:
            raise Failure(
                f"agent {self._agent!r} has a limit of cost, and the price of {outcome.by or 'its model'} is not known",
                code="price_unknown", details=self.view(), hint="declare prices with the provider, or take the limit away",
            )  # fmt: skip

    def together(self, outcomes: Sequence[Outcome]) -> None:
        """Tool calls that ran at the same time."""
        self.ms += max((o.ms for o in outcomes), default=0)
        self.cost += sum((Decimal(o.cost) for o in outcomes if o.cost), Decimal(0))

    def check(self) -> None:
        """Raises Failure: limit_tokens, limit_cost or limit_time, with what was reached."""
        limits = self._limits
        if limits.tokens is not None and self.tokens >= limits.tokens:
            raise self.exceeded("tokens", f"{self.tokens:,} of {limits.tokens:,} tokens")
        if self._most_cost is not None and self.cost >= self._most_cost and self.cost:
            raise self.exceeded("cost", f"${self.cost} of ${self._most_cost}")
        if limits.time_ms is not None and self.ms >= limits.time_ms:
            raise self.exceeded("time", f"{self.ms:,} of {limits.time_ms:,} ms")

    def exceeded(self, what: str, reached: str, why: str = "") -> Failure:
        message = f"agent {self._agent!r} reached its limit: {reached}, without an output" + (
            f" ({why})" if why else ""
        )
        return Failure(message, code=f"limit_{what}", details=self.view())

    def room(self) -> int | None:
        """Tokens left; None: no limit."""
        return None if self._limits.tokens is None else max(1, self._limits.tokens - self.tokens)

    def seconds(self) -> float | None:
        """Time left; None: no limit."""
        return None if self._limits.time_ms is None else max(1, self._limits.time_ms - self.ms) / 1000

    def view(self) -> dict[str, Any]:
        return {"steps": self.steps, "tokens": self.tokens, "cost": str(self.cost), "ms": self.ms}
