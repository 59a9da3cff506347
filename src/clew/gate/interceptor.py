"""Interceptors: ``(effect, proceed) -> outcome``, the one shape of every layer on the gate.

An interceptor keeps no private state: what it must know of the run (spend, failures, repeats) it folds from recorded
outcomes by ``fold``, live and on resume alike. To ask a human it performs a wait through ``call.ask``.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from clew.core.events import Event, Principal
from clew.gate.effect import Effect, Outcome

Proceed = Callable[[Effect], Awaitable[Outcome]]


class Call(Protocol):
    """What an interceptor may know and do besides the effect itself."""

    run: str
    mode: str
    principal: Principal

    async def ask(self, effect: Effect, request: dict[str, Any]) -> dict[str, Any]:
        """Ask a human about ``effect`` and wait durably; the answer is ``{decision, value?, by, why}``.

        The body is unloaded meanwhile (``Suspended`` passes through) and this returns when it is entered again.
        """
        ...

    def note(self, name: str, value: Any) -> None:
        """Have ``value`` recorded with the outcome under the interceptor's name."""
        ...

    def state(self, name: str) -> Any:
        """What this interceptor's ``fold`` has made of the run so far (None before the first)."""
        ...


class Interceptor(Protocol):
    name: str

    async def around(self, effect: Effect, call: Call, proceed: Proceed) -> Outcome: ...

    def fold(self, state: Any, event: Event) -> Any:
        """State after a recorded ``EffectStarted`` or ``EffectFinished`` of the run; start from None. Must be pure."""
        ...
