"""Builders for journal tests: batches of a small run, a clock that is turned by hand, a journal on a temporary path."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from clew.core.events import (
    EffectFinished,
    EffectStarted,
    Event,
    NodeCompleted,
    NodeStarted,
    Principal,
    RunFinished,
    RunStarted,
)
from clew.gate.ports.journal import Append, Journal, Record
from clew.stores.projections import shipped
from clew.stores.sqlite.journal import SqliteJournal

T0 = 1_732_272_000_000


class ManualClock:
    def __init__(self) -> None:
        self.time = T0
        self.calls: list[tuple[int, Callable[[], None]]] = []

    def now(self) -> int:
        return self.time

    def at(self, due: int, call: Callable[[], None]) -> Any:
        entry = (due, call)
        self.calls.append(entry)
        clock = self

        class Timer:
            def cancel(self) -> None:
                if entry in clock.calls:
                    clock.calls.remove(entry)

        return Timer()

    def turn(self, ms: int) -> None:
        self.time += ms
        due = [entry for entry in self.calls if entry[0] <= self.time]
        for entry in due:
            self.calls.remove(entry)
            entry[1]()


class Story:
    """Batches of a run, so that a test says only what matters to it."""

    def start(self, run: str = "r1", *, state: str = "running", payload: Any = None, **fields: Any) -> Append:
        tenant = fields.pop("tenant", "local")
        fact = RunStarted(run=run, workflow="w", plan="p", start="s", principal=Principal(tenant=tenant), **fields)
        event = Event(fact, {"input": 1} if payload is None else payload, T0)
        return Append(run=run, expected=0, events=[event], epoch=1, state=state)  # type: ignore[arg-type]

    def node(self, expected: int, run: str = "r1", *, epoch: int = 1, output: Any = None, **fields: Any) -> Append:
        """Two events: a body entered and completed."""
        at = T0 + expected
        events = [
            Event(NodeStarted(task="0", node=f"n{expected}", attempt=1), None, at),
            Event(
                NodeCompleted(task="0", node=f"n{expected}", attempt=1),
                {"n": expected} if output is None else output,
                at,
            ),
        ]
        return Append(
            run=run, expected=expected, events=events, epoch=epoch, state=fields.pop("state", "running"), **fields
        )

    def facts(
        self, expected: int, *facts: Any, run: str = "r1", epoch: int = 1, state: str = "running", **fields: Any
    ) -> Append:
        """One event per fact or ``(fact, payload)``."""
        events = [Event(*(fact if isinstance(fact, tuple) else (fact, None)), T0 + expected) for fact in facts]
        return Append(run=run, expected=expected, events=events, epoch=epoch, state=state, **fields)  # type: ignore[arg-type]

    def finish(self, expected: int, run: str = "r1", *, epoch: int = 1, state: str = "completed") -> Append:
        status = None if state == "cancelled" else "success" if state == "completed" else "failure"
        fact = RunFinished(state=state, status=status)  # type: ignore[arg-type]
        return self.facts(expected, (fact, {"output": "done"}), run=run, epoch=epoch, state=state)

    def ask(self, key: str, kind: str = "human", **fields: Any) -> tuple[Any, Any]:
        body = key.split("#")[0]
        task, node = body.split("/")
        fact = EffectStarted(key=key, kind=kind, name="ask", digest="d", task=task, node=node, wait=True, **fields)
        return fact, {"question": "?"}

    def done(self, key: str, payload: Any, kind: str = "human", **fields: Any) -> tuple[Any, Any]:
        body = key.split("#")[0]
        task, node = body.split("/")
        name = fields.pop("name", "ask")
        return EffectFinished(key=key, kind=kind, name=name, digest="d", task=task, node=node, **fields), payload

    async def whole(self, journal: Journal, run: str = "r1", nodes: int = 3, *, released: bool = True) -> int:
        """A finished run; returns how many events it has."""
        head = (await journal.append(self.start(run))).seq
        for _ in range(nodes):
            head = (await journal.append(self.node(head, run))).seq
        head = (await journal.append(self.finish(head, run))).seq
        if released:
            await journal.release(run)
        return head


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


@pytest.fixture
async def opened(path: Path, clock: ManualClock) -> AsyncIterator[Callable[..., SqliteJournal]]:
    """Opens journals that are closed at the end of the test."""
    made: list[SqliteJournal] = []

    def make(where: Path = path, **given: Any) -> SqliteJournal:
        made.append(SqliteJournal.open(where, **{"projections": shipped(), "clock": clock, **given}))
        return made[-1]

    yield make
    for journal in made:
        await journal.close()


@pytest.fixture
def journal(opened: Callable[..., SqliteJournal]) -> SqliteJournal:
    return opened()


@pytest.fixture
def settle() -> Callable[[], Any]:
    """Lets every task that can go on do so."""

    async def go() -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    return go


@pytest.fixture
def collect() -> Callable[..., Any]:
    async def go(records: AsyncIterator[Record], into: list[int]) -> list[int]:
        async for record in records:
            into.append(record.seq)
        return into

    return go
