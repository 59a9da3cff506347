"""The door: look up, check, perform, record. Every effect of every body passes ``Door.perform``."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, cast

import msgspec

from clew.core.codec import plain
from clew.core.errors import Failure, NonDeterminism, Suspended, described
from clew.core.events import EffectFinished, EffectStarted, Event, Principal
from clew.gate.effect import WAITS, Driver, Drivers, Effect, Outcome, denied, failed
from clew.gate.interceptor import Interceptor, Proceed

ASK_SUFFIX = "/ask"

Local = Callable[[Effect], Awaitable[Any]]


class RunRecord(Protocol):
    """The door's view of one run's journal."""

    run: str
    mode: str
    principal: Principal

    def finished(self, key: str) -> Event | None: ...

    def started(self, key: str) -> Event | None: ...

    def state(self, interceptor: str) -> Any: ...

    async def record(self, event: Event) -> None:
        """Durable when it returns. Raises Stopped when the run's journal has failed."""
        ...

    def revise(self, effect: Effect) -> bool:
        """In a fork, a body may go another way than the parent's: what was copied of it is forgotten from here on.

        False: the record under the key is the run's own, and binding.
        """
        ...

    def cut(self, task: str) -> bool:
        """The body of this task was stopped for good (time-out, cancel), not merely unloaded with its process."""
        ...

    def now(self) -> int: ...


class _Call:
    """What one passage hands to its interceptors."""

    def __init__(self, door: "Door", record: RunRecord) -> None:
        self.run, self.mode, self.principal = record.run, record.mode, record.principal
        self._door, self._record = door, record
        self.notes: dict[str, Any] = {}

    async def ask(self, effect: Effect, request: dict[str, Any]) -> dict[str, Any]:
        human = Effect(
            key=effect.key + ASK_SUFFIX, kind="human", name=effect.name, request=request, task=effect.task, node=effect.node
        )  # fmt: skip
        return (await self._door.perform(human)).value()

    def note(self, name: str, value: Any) -> None:
        self.notes[name] = value

    def state(self, name: str) -> Any:
        return self._record.state(name)


class Door:
    """``interceptors`` outermost first. One per driven run."""

    def __init__(self, record: RunRecord, interceptors: Sequence[Interceptor], drivers: Drivers) -> None:
        self._record = record
        self._interceptors = tuple(interceptors)
        self._drivers = drivers

    async def perform(self, effect: Effect, local: Local | None = None) -> Outcome:
        """The outcome of ``effect``, from the journal where it is recorded, else performed now and recorded.

        ``local`` performs it in place of a driver: the body's own function. Raises Suspended for a wait that is open,
        NonDeterminism where the journal holds another request under the key.
        """
        recorded = self._record.finished(effect.key)
        if recorded is not None and self._same(effect, recorded):
            return outcome_of(recorded)
        begun = self._record.started(effect.key)
        if begun is not None and not self._same(effect, begun):
            begun = None
        if effect.kind in WAITS:
            return await self._wait(effect, begun)
        call = _Call(self, self._record)
        started = self._record.now()
        if begun is not None and not effect.repeat_safe:
            doubt = await self._in_doubt(effect, call)
            if doubt is not None:
                return await self._finish(effect, doubt, started, begun=True)
        try:
            outcome = await self._passage(effect, call, local, begun=begun is not None)
        except asyncio.CancelledError:
            if self._record.cut(effect.task):  # stopped for good: what was in flight is recorded, nobody is told
                gone = failed(Failure("stopped while it was in flight", code="interrupted"))
                await self._finish(effect, gone, started, begun=self._record.started(effect.key) is not None)
            raise
        if call.notes:
            outcome = msgspec.structs.replace(outcome, notes={**outcome.notes, **call.notes})
        return await self._finish(effect, outcome, started, begun=self._record.started(effect.key) is not None)

    async def _passage(self, effect: Effect, call: _Call, local: Local | None, *, begun: bool) -> Outcome:
        """Through the interceptors to the driver. What is not safe to repeat leaves its intent just before the driver."""

        async def drive(final: Effect) -> Outcome:
            if not (final.repeat_safe or begun):
                await self._record.record(self._intent(effect))
            outcome = await self._drive(final, local)
            if final.request == effect.request:
                return outcome
            return msgspec.structs.replace(outcome, performed=final.request)

        proceed: Proceed = drive
        for interceptor in reversed(self._interceptors):
            proceed = _bind(interceptor, call, proceed)
        return await proceed(effect)

    async def _drive(self, effect: Effect, local: Local | None) -> Outcome:
        driver = self._drivers.get(effect.kind)
        if local is None and driver is None:
            return denied("no_driver", f"nothing here performs {effect.kind!r} effects ({effect.name})")
        try:
            answer: Any = await (local(effect) if local else cast("Driver", driver).perform(effect))
            return answer if isinstance(answer, Outcome) else Outcome(output=plain(answer))
        except Failure as failure:
            return failed(failure)
        except (
            Exception,
            SystemExit,
        ) as error:  # a bug in a driver must end as a recorded outcome, not as a lost effect
            return failed(Failure(f"{effect.name}: {described(error)}", code="driver_error"))

    async def _wait(self, effect: Effect, begun: Event | None) -> Outcome:
        if begun is None:
            await self._record.record(self._intent(effect))
        raise Suspended(effect.key)

    async def _in_doubt(self, effect: Effect, call: _Call) -> Outcome | None:
        """The process died between intent and outcome. None: do it again."""
        if effect.on_in_doubt == "retry":
            return None
        if effect.on_in_doubt == "ask":
            question = f"{effect.name} may or may not have been done before the process died. Do it again?"
            answer = await call.ask(effect, {"question": question, "args": effect.request, "reason": "in_doubt"})
            if answer.get("decision") == "approve":
                return None
        message = f"{effect.name} was begun and its outcome is not known; it is not declared safe to repeat"
        return failed(Failure(message, code="in_doubt", hint="declare repeat_safe, or on_in_doubt: ask | retry"))

    async def _finish(self, effect: Effect, outcome: Outcome, started: int, *, begun: bool) -> Outcome:
        now = self._record.now()
        event = finished_event(effect, outcome, begun=begun, ms=max(0, now - started), at=now)
        await self._record.record(event)
        return outcome_of(event)

    def _intent(self, effect: Effect) -> Event:
        fact = EffectStarted(
            key=effect.key,
            kind=effect.kind,
            name=effect.name,
            digest=effect.digest,
            task=effect.task,
            node=effect.node,
            wait=effect.kind in WAITS,
            due=effect.due,
        )
        return Event(fact, effect.request, self._record.now())

    def _same(self, effect: Effect, recorded: Event) -> bool:
        """Whether the record is of this request; raises NonDeterminism where it should be and is not."""
        fact = cast("EffectStarted | EffectFinished", recorded.fact)
        if fact.digest and fact.digest != effect.digest:
            if self._record.revise(effect):
                return False
            begun = self._record.started(effect.key)
            payload: Any = recorded.payload or {}
            was: Any = begun.payload if begun is not None else payload.get("request", "")
            raise NonDeterminism(
                f"{effect.key}: recorded {fact.kind} {fact.name} {_brief(was)}, "
                f"now {effect.kind} {effect.name} {_brief(effect.request)}",
                hint="between effects a body must depend on its input, ctx and recorded outcomes only",
            )
        return True


def finished_event(effect: Effect, outcome: Outcome, *, begun: bool, ms: int, at: int) -> Event:
    """The fact that records ``outcome``; the request goes with it unless an intent holds it."""
    payload: dict[str, Any] = {"output": outcome.output} if outcome.error is None else {"error": outcome.error}
    if not begun:
        payload["request"] = effect.request
    if outcome.performed is not None:
        payload["performed"] = outcome.performed
    if outcome.notes:
        payload["notes"] = outcome.notes
    fact = EffectFinished(
        key=effect.key,
        kind=effect.kind,
        name=effect.name,
        digest=effect.digest,
        task=effect.task,
        node=effect.node,
        status=outcome.status,
        tries=outcome.tries,
        ms=ms,
        cost=outcome.cost,
        usage=outcome.usage,
        agent=effect.agent,
        by=outcome.by,
    )
    return Event(fact, payload, at)


def outcome_of(event: Event) -> Outcome:
    """What a recorded ``EffectFinished`` says; live and replayed bodies are given exactly this."""
    fact = cast("EffectFinished", event.fact)
    payload: dict[str, Any] = event.payload or {}
    return Outcome(
        status=fact.status,
        output=payload.get("output"),
        error=payload.get("error"),
        performed=payload.get("performed"),
        tries=fact.tries,
        ms=fact.ms,
        cost=fact.cost,
        usage=fact.usage,
        notes=payload.get("notes", {}),
        by=fact.by,
    )


def _bind(interceptor: Interceptor, call: _Call, proceed: Proceed) -> Proceed:
    return lambda effect: interceptor.around(effect, call, proceed)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "…"
