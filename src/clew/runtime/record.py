"""What the gate knows of a run: its recorded effects, by key, and what interceptors folded from them."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from clew.core.events import EffectFinished, EffectStarted, Event, Noted, RunStarted
from clew.gate.interceptor import Interceptor

FORKED = "forked"
"""Name of the note that ends the part of a fork that was copied from its parent."""

PAID = "paid"
"""Field of a copied outcome's payload: ``cost`` and ``usage`` as the parent has them; those of the fact are the fork's own."""


class History:
    """Effects of one run, live or read back. ``origin`` is its RunStarted.

    Effects that a fork copied are binding only until their body asks for something else: what was copied of that body from
    there on is forgotten, and what it asked before stays. Read back, the same is seen from a key that is recorded again.
    """

    def __init__(self, events: Iterable[Event], interceptors: Sequence[Interceptor] = ()) -> None:
        self._started: dict[str, Event] = {}
        self._finished: dict[str, Event] = {}
        self._copied: dict[str, None] = {}
        """In the order of their outcomes."""
        self._folds = {i.name: i.fold for i in interceptors}
        self._states: dict[str, Any] = {}
        self.origin: RunStarted | None = None
        self.input: Any = None
        for event in events:
            self.add(event)

    def add(self, event: Event) -> None:
        fact = event.fact
        if isinstance(fact, EffectFinished):
            if fact.key in self._copied and fact.key in self._finished:
                self.revise(fact.key)
            self._copied.pop(fact.key, None)
            self._finished[fact.key] = event
        elif isinstance(fact, EffectStarted):
            self._started[fact.key] = event
        else:
            self._note(fact, event)
            return
        self._fold(event)

    def _fold(self, event: Event) -> None:
        for name, fold in self._folds.items():
            self._states[name] = fold(self._states.get(name), event)

    def _note(self, fact: Any, event: Event) -> None:
        if isinstance(fact, RunStarted):
            self.origin = fact
            payload: dict[str, Any] = event.payload or {}
            self.input = payload.get("input")
        elif isinstance(fact, Noted) and fact.name == FORKED:
            self._copied = dict.fromkeys((*self._finished, *self._started))

    def revise(self, key: str) -> bool:
        """Forget what a fork copied of the body of ``key``, from ``key`` on; False where the record is the run's own."""
        if key not in self._copied:
            return False
        body = "/".join(key.split("/", 2)[:2])
        copied = [k for k in self._copied if k.startswith(body + "/")]
        for other in copied[copied.index(key) :]:
            del self._copied[other]
            self._finished.pop(other, None)
            self._started.pop(other, None)
        self._states = {}
        for event in sorted((*self._started.values(), *self._finished.values()), key=lambda event: event.at):
            self._fold(event)
        return True

    def finished(self, key: str) -> Event | None:
        """As the body was given it; what a fork copied, with what the parent paid."""
        event = self._finished.get(key)
        payload: dict[str, Any] = (event.payload if event else None) or {}
        if event is None or PAID not in payload:
            return event
        paid: dict[str, Any] = payload[PAID]
        return Event(msgspec.structs.replace(event.fact, cost=paid["cost"], usage=paid["usage"]), payload, event.at)

    def started(self, key: str) -> Event | None:
        return self._started.get(key)

    def state(self, interceptor: str) -> Any:
        return self._states.get(interceptor)
