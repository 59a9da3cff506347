"""Task modes (requirement W14): what a run may not do, whatever its nodes ask for."""

from typing import Any

from clew.core.events import Event
from clew.gate.effect import Effect, Need, Outcome, denied
from clew.gate.interceptor import Call, Proceed

TAKEN: dict[str, frozenset[Need]] = {
    "implement": frozenset(),
    "analysis_only": frozenset({"mutate"}),
    "review": frozenset({"mutate"}),
    "dry_run": frozenset({"mutate"}),
    "safe_mode": frozenset({"mutate", "network", "shell"}),
}
"""Mode -> capabilities it takes away."""


class Modes:
    """Denies effects that need what the run's mode takes away. A denial fails the call, never changes the graph."""

    name = "mode"

    async def around(self, effect: Effect, call: Call, proceed: Proceed) -> Outcome:
        taken = sorted(TAKEN[call.mode].intersection(effect.needs))
        if taken:
            return denied(
                "denied", f"{effect.kind} {effect.name!r} needs {', '.join(taken)}; mode {call.mode} forbids it"
            )
        return await proceed(effect)

    def fold(self, state: Any, event: Event) -> Any:
        return state
