"""What the gate knows of a run: its recorded effects, by key, and what interceptors folded from them."""

from collections.abc import Iterable, Sequence
from typing import Any

from clew.core.events import EffectFinished, EffectStarted, Event, RunStarted
from clew.gate.interceptor import Interceptor


class History:
    """Effects of one run, live or read back. ``origin`` is its RunStarted."""

    def __init__(self, events: Iterable[Event], interceptors: Sequence[Interceptor] = ()) -> None:
        self._started: dict[str, Event] = {}
        self._finished: dict[str, Event] = {}
        self._folds = {i.name: i.fold for i in interceptors}
        self._states: dict[str, Any] = {}
        self.origin: RunStarted | None = None
        self.input: Any = None
        for event in events:
            self.add(event)

    def add(self, event: Event) -> None:
        fact = event.fact
        if isinstance(fact, EffectFinished):
            self._finished[fact.key] = event
        elif isinstance(fact, EffectStarted):
            self._started[fact.key] = event
        else:
            if isinstance(fact, RunStarted):
                self.origin = fact
                payload: dict[str, Any] = event.payload or {}
                self.input = payload.get("input")
            return
        for name, fold in self._folds.items():
            self._states[name] = fold(self._states.get(name), event)

    def finished(self, key: str) -> Event | None:
        return self._finished.get(key)

    def started(self, key: str) -> Event | None:
        return self._started.get(key)

    def state(self, interceptor: str) -> Any:
        return self._states.get(interceptor)
