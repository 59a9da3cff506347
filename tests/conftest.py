"""What tests of several folders share: projects written by hand, engines in memory on a manual clock, a place for side effects,
batches of a small run for journals."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

from clew.core.errors import JournalError
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
from clew.gate.ports.journal import Append, Head, Journal, Record
from clew.manifest.plan import load
from clew.runtime import audit
from clew.service.engine import AsyncEngine
from clew.service.settings import MEMORY, Settings
from clew.testing import ManualClock, write_project
from clew.testing.clock import START_MS
from clew.testing.graphs import edges_of

settings.register_profile("clew", deadline=None, derandomize=os.environ.get("CI") == "true")
settings.load_profile("clew")  # no timers in tests; in CI the same examples on every run

if os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ.pop("COVERAGE_PROCESS_START", None)  # this worker is measured by now; the processes of its tests are not


class World(ModuleType):
    """What handlers of a test import as ``world``: the list ``did`` of side effects, and whatever the test puts there."""

    did: list[Any]

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"the test put no {name!r} into the world")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    module = World("world")
    module.did = []
    monkeypatch.setitem(sys.modules, "world", module)
    return module


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """``project(nodes, edges, handlers, **sections)``: nodes are dicts, edges the chains of ``clew.testing.graph_of``."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def make(
        nodes: list[dict[str, Any]], edges: str, handlers: str = "", *, name: str = "project", **sections: Any
    ) -> Path:
        workflow = {
            "id": name,
            "nodes": [_node(n) for n in nodes],
            "edges": _edges(edges),
            **sections.pop("workflow", {}),
        }
        return write_project(tmp_path / name, {"workflow": workflow, **sections}, handlers)

    return make


@pytest.fixture
async def engine(clock: ManualClock) -> AsyncIterator[Callable[..., AsyncEngine]]:
    """``engine(directory)``: an engine in memory on the manual clock; closed with the test."""
    opened: list[AsyncEngine] = []

    def busy() -> bool:
        return any(
            host._arms.bodies for one in opened if one._workspace for host in one.workspace.scheduler.hosts.values()
        )

    clock.busy = busy  # time stands still while a body is entered

    def make(directory: Path, **settings: Any) -> AsyncEngine:
        given = {"state": MEMORY, **settings}
        one = AsyncEngine(load(directory), directory, Settings(**given), clock=clock)
        opened.append(one)
        return one

    yield make
    for one in opened:
        await one.close()


@pytest.fixture
def solo(project: Callable[..., Path], engine: Callable[..., AsyncEngine]) -> Callable[..., AsyncEngine]:
    """``solo(handlers, **fields)``: an engine on ``start -> a -> done``, whose node ``a`` has handler ``a`` and these fields."""

    def make(handlers: str, *, sections: dict[str, Any] | None = None, **fields: Any) -> AsyncEngine:
        nodes = [
            {"id": "start", "role": "start"},
            {"id": "a", "role": "linear", "handler": "a", **fields},
            {"id": "done", "role": "exit"},
        ]
        return engine(project(nodes, "start>a>done", handlers, **(sections or {})))

    return make


@pytest.fixture
def crash() -> Callable[..., Any]:
    """``with crash(engine, lambda fact: ...)``: the journal refuses the first batch with such a fact, and all after it.

    What had been done by then is lost to the run, as when its process dies just before the write.
    """

    @contextmanager
    def failing(engine: AsyncEngine, when: Callable[[Any], bool]) -> Iterator[None]:
        journal = engine.workspace.journal
        append, dead = journal.append, []

        async def refuse(batch: Append) -> Head:
            if dead or any(when(event.fact) for event in batch.events):
                dead.append(batch)
                raise JournalError("no space left on device")
            return await append(batch)

        journal.append = refuse
        try:
            yield
        finally:
            journal.append = append
        assert dead, "nothing was refused"

    return failing


class Story:
    """Batches of a run, so that a test says only what matters to it."""

    def start(self, run: str = "r1", *, state: str = "running", payload: Any = None, **fields: Any) -> Append:
        tenant = fields.pop("tenant", "local")
        fact = RunStarted(run=run, workflow="w", plan="p", start="s", principal=Principal(tenant=tenant), **fields)
        event = Event(fact, {"input": 1} if payload is None else payload, START_MS)
        return Append(run=run, expected=0, events=[event], epoch=1, state=state)  # type: ignore[arg-type]

    def node(self, expected: int, run: str = "r1", *, epoch: int = 1, output: Any = None, **fields: Any) -> Append:
        """Two events: a body entered and completed."""
        at = START_MS + expected
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
        events = [Event(*(fact if isinstance(fact, tuple) else (fact, None)), START_MS + expected) for fact in facts]
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


@pytest.fixture(autouse=True)
def _audit_forgets() -> None:
    audit._reported.clear()


def _node(node: dict[str, Any]) -> dict[str, Any]:
    short = {"kind": "deterministic", **node}
    if "handler" in short and ":" not in short["handler"]:
        short["handler"] = f"handlers:{short['handler']}"
    return short


def _edges(text: str) -> list[dict[str, Any]]:
    edges: list[dict[str, Any]] = []
    for edge in edges_of(text):
        one: dict[str, Any] = {"from": edge.source, "to": edge.target}
        if edge.label:
            one["label"] = edge.label
        if edge.on_failure:
            one["on"] = "failure"
        edges.append(one)
    return edges


ALLOWED_SKIPS = (
    "root may write everywhere", "root reads everything", "no cgroup was delegated", "no Docker engine runs here",
    "the engine has no other runtime registered",
)  # fmt: skip
"""Reasons that name no part which the set-up could bring: the kernel's or the machine's owner decides."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """In CI everything that tests need is there: a skip for a missing part is a failure."""
    report: pytest.TestReport = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(allowed in reason for allowed in ALLOWED_SKIPS):
            report.outcome = "failed"
            report.longrepr = f"skipped in CI, where nothing may be missing: {reason}"
    return report
