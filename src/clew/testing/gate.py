"""A run's record in memory and a driver by script: enough to pass effects through a ``Door`` in a test."""

from collections.abc import Callable, Sequence
from typing import Any

from clew.core.events import EffectFinished, EffectStarted, Event, Principal
from clew.gate.effect import Effect
from clew.gate.interceptor import Interceptor


class MemoryRecord:
    """The door's view of a run. ``events`` is what was recorded; ``stopped`` is what ``cut`` says of every task."""

    def __init__(self, *, mode: str = "implement", interceptors: Sequence[Interceptor] = ()) -> None:
        self.run = "r"
        self.mode = mode
        self.principal = Principal()
        self.events: list[Event] = []
        self.time = 0
        self.stopped = False
        self.forked: set[str] = set()
        """Keys that a fork copied: another request under one of them revises it."""
        self._started: dict[str, Event] = {}
        self._finished: dict[str, Event] = {}
        self._interceptors = tuple(interceptors)
        self._states: dict[str, Any] = {}

    async def record(self, event: Event) -> None:
        fact = event.fact
        self.events.append(event)
        if isinstance(fact, EffectStarted):
            self._started[fact.key] = event
        elif isinstance(fact, EffectFinished):
            self._finished[fact.key] = event
        for one in self._interceptors:
            self._states[one.name] = one.fold(self._states.get(one.name), event)

    def finished(self, key: str) -> Event | None:
        return self._finished.get(key)

    def started(self, key: str) -> Event | None:
        return self._started.get(key)

    def state(self, interceptor: str) -> Any:
        return self._states.get(interceptor)

    def revise(self, effect: Effect) -> bool:
        if effect.key not in self.forked:
            return False
        self.forked.discard(effect.key)
        self._started.pop(effect.key, None)
        self._finished.pop(effect.key, None)
        return True

    def cut(self, task: str) -> bool:
        del task
        return self.stopped

    def now(self) -> int:
        return self.time

    def forget_outcome(self, key: str) -> None:
        """As after a crash between intent and outcome."""
        self.events.remove(self._finished.pop(key))


class ScriptedDriver:
    """Answers effects from a list, in order; an exception is raised, a function is called with the effect.

    ``seen`` are the effects it was given. Raises IndexError when it is asked more often than it has answers.
    """

    def __init__(self, *answers: Any) -> None:
        self.seen: list[Effect] = []
        self._answers = list(answers)

    async def perform(self, effect: Effect) -> Any:
        self.seen.append(effect)
        answer: Any = self._answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        function: Callable[[Effect], Any] | None = answer if callable(answer) else None
        return function(effect) if function else answer
