"""Which deployments may be asked now: a circuit breaker and the provider's rate limits, for each deployment.

``closed``: asked freely. After ``failures`` in a row, ``open``: left alone for ``cool_down_ms``; then ``half open``: one call at
a time may probe it, and its outcome closes the circuit or opens it again (M. Nygard, "Release It!", 2007). What a call says
that began before the circuit opened is old news and moves nothing. Rate limits stand beside it: none left until the reset, or
Retry-After. All of it is plain data on one event loop; nothing here waits.

A cool-down spares callers a deployment that is likely to fail while another can answer. Where no other is left it would only
make all of them wait, so a *last resort* may be probed sooner: after ``EARLY_MS``, twice that when the probe fails, and so on up to
the whole cool-down. (Envoy's panic threshold answers the same case, by asking everybody; one probe at a time is gentler.)
"""

from typing import Literal

from clew.gate.ports.model import FAULTS, RateLimit

Standing = Literal["ready", "rate_limited", "cooling_down", "probed"]

LOOK_MS = 200
"""How soon to look again at a deployment that another call is probing."""

LIMITED_MS = 1000
"""How long a deployment is left alone that refused for its rate without saying until when."""

EARLY_MS = 500
"""How soon a last resort is probed after its circuit opened."""

_LONGEST_MS = 3_600_000
"""No word of a provider puts a deployment aside for longer."""


class Circuit:
    """One deployment. ``failures`` in a row open it for ``cool_down_ms``. Times are ms since the epoch."""

    def __init__(self, failures: int, cool_down_ms: int) -> None:
        self._most, self._cool_down_ms = failures, cool_down_ms
        self._failed = 0
        self._opened = 0
        """Times in a row that the circuit opened; 0: it is closed."""
        self._early = self._open_until = 0
        self._limited_until = 0
        self._probe: int | None = None
        self._calls = 0
        self._opened_at = 0
        """The last call that had begun when the circuit opened."""

    def standing(self, now: int, *, last: bool = False) -> tuple[Standing, int]:
        """How it stands, and when asking it may be possible: ``now`` where it is ready. ``last``: as a last resort."""
        cooling = self._early if last else self._open_until
        if self._limited_until > max(now, cooling):
            return "rate_limited", self._limited_until
        if cooling > now:
            return "cooling_down", cooling
        return ("probed", now + LOOK_MS) if self._probe is not None else ("ready", now)

    def begin(self) -> int:
        """A call begins; what is returned says so when it ends. Only where it is ready."""
        self._calls += 1
        if self._opened:
            self._probe = self._calls
        return self._calls

    def answered(self, call: int, now: int, limit: RateLimit | None = None) -> None:
        """The deployment works."""
        if limit is not None:
            self._limit(now, _reset(limit))
        if call > self._opened_at:
            self._failed = self._opened = self._early = self._open_until = 0
            self._probe = None

    def failed(self, call: int, now: int, code: str, retry_after_ms: object = None) -> None:
        """The call failed with ``code``. One that says nothing about the deployment only gives a probe back."""
        if code == "rate_limited":
            asked = retry_after_ms if isinstance(retry_after_ms, int) and retry_after_ms > 0 else LIMITED_MS
            self._limit(now, asked)
            self.abandoned(call)
        elif not FAULTS.get(code):
            self.abandoned(call)
        elif call > self._opened_at:
            self._failed += 1
            if self._failed >= self._most:
                self._open(now)

    def abandoned(self, call: int) -> None:
        """The call ended without a verdict: cancelled, or never sent."""
        if self._probe == call:
            self._probe = None

    def _open(self, now: int) -> None:
        self._open_until = now + self._cool_down_ms
        self._early = now + min(self._cool_down_ms, EARLY_MS << min(self._opened, 16))
        self._opened += 1
        self._opened_at, self._probe = self._calls, None

    def _limit(self, now: int, ms: int) -> None:
        self._limited_until = max(self._limited_until, now + min(ms, _LONGEST_MS))


def _reset(limit: RateLimit) -> int:
    """Milliseconds until something is left; 0 where something is."""
    waits = (
        (limit.remaining_requests, limit.reset_requests_ms),
        (limit.remaining_tokens, limit.reset_tokens_ms),
    )
    return max(
        (LIMITED_MS if reset is None else max(reset, 0) for left, reset in waits if left is not None and left <= 0),
        default=0,
    )
