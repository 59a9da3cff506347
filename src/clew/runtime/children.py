"""Child runs: started by a wait of their parent, found again by a derived id, answered for when they end, ended with it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, Protocol

from clew.core.commands import StartChild
from clew.core.errors import ClewError, Conflict, JournalError, NotFound, Stopped, UsageError
from clew.core.events import RunFinished
from clew.core.identity import digest
from clew.core.states import ENDED
from clew.gate.ports.journal import Journal, RunRow
from clew.runtime.host import Host, Surroundings
from clew.runtime.order import Order

MAX_DEPTH = 16
"""Child runs of child runs."""

ChildWorld = Callable[[Surroundings, str], Awaitable[tuple[Surroundings, str]]]
"""(parent's surroundings, workflow) -> the child's surroundings and start; raises NotFound, ManifestError."""


class Runs(Protocol):
    """What children need of the scheduler."""

    hosts: dict[str, Host]

    async def start(self, order: Order, world: Surroundings) -> Host: ...

    async def adopt(self, run: str, world: Surroundings) -> Host: ...

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]": ...


class Children:
    """Watches over the child runs of the runs that are driven here."""

    def __init__(self, runs: Runs, journal: Journal, world: ChildWorld) -> None:
        self._runs, self._journal, self._world = runs, journal, world
        self._ending: set[asyncio.Task[Any]] = set()

    def attach(self, host: Host) -> None:
        """Have a run's child waits seen to."""
        host.on_child = self._wanted
        host.on_child_gone = self._gone

    def _wanted(self, parent: Host, wait: StartChild) -> None:
        self._runs.spawn(self._take_up(parent, wait))

    def _gone(self, parent: Host, key: str) -> None:
        task = self._runs.spawn(self._end(parent, key))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def settled(self) -> None:
        """Until every child that nobody waits for any more has ended."""
        while self._ending:
            await asyncio.wait(self._ending)

    async def ended(self, host: Host) -> None:
        """A run ended, or stopped by an error: a parent that is driven here has its answer, or stops as well."""
        run, _, key = host.origin.parent.partition(":")
        parent = self._runs.hosts.get(run)
        if parent is None:
            return
        if host.error is not None:
            parent.fail(host.error)
        else:
            await self._answer(parent, key, host.run)

    async def _take_up(self, parent: Host, wait: StartChild) -> None:
        """Start the child of a wait, or take up the one that exists; its end answers the wait."""
        request: dict[str, Any] = wait.request
        run = child_id(parent.run, wait.key)
        try:
            if run.count(".") > MAX_DEPTH:
                raise UsageError(f"child runs nested deeper than {MAX_DEPTH}")
            world, start = await self._world(parent.world, str(request["workflow"]))
            row = await self._row(run)
            if row is None:
                order = Order(
                    run=run, workflow=world.project.plan.workflow, input=request.get("input"), start=start,
                    mode=parent.mode, seed=parent.seed, principal=parent.principal, parent=f"{parent.run}:{wait.key}",
                )  # fmt: skip
                child = await self._runs.start(order, world)
            elif row.state in ENDED:
                await self._answer(parent, wait.key, run)
                return
            else:
                child = await self._adopt_or_follow(parent, wait.key, run, world)
                if child is None:
                    return
            child.on_parked = partial(parent.child_parked, wait.key)
            child.on_parked(child.parked.is_set())
        except JournalError as error:
            parent.fail(error)
        except ClewError as error:
            await parent.answer(wait.key, None, error={"code": error.code, "message": str(error), "details": None})

    async def _adopt_or_follow(self, parent: Host, key: str, run: str, world: Surroundings) -> Host | None:
        """The child, driven here; None where another process drove it to its end meanwhile, and the wait is answered."""
        try:
            return await self._runs.adopt(run, world)
        except Conflict as conflict:
            if conflict.code != "driven":
                raise
        async with aclosing(self._journal.follow(run)) as records:
            async for _ in records:
                pass
        await self._answer(parent, key, run)
        return None

    async def _end(self, parent: Host, key: str) -> None:
        """Nobody waits for the child any more: it is cancelled, here or by its driver."""
        run = child_id(parent.run, key)
        row = await self._row(run)
        if row is None or row.state in ENDED:
            return
        reason, by = "its parent does not wait for it any more", f"run {parent.run}"
        host = self._runs.hosts.get(run)
        if host is None:
            try:
                world, _ = await self._world(parent.world, parent.child_workflow(key))
                host = await self._runs.adopt(run, world)
            except Conflict:
                with suppress(Conflict):  # it has ended
                    await self._journal.put_message(run, "cancel", "", {"reason": reason, "by": by})
                return
        with suppress(Stopped):
            await host.stop("cancelled", reason, by)
        await host.ended.wait()

    async def _row(self, run: str) -> RunRow | None:
        try:
            return await self._journal.row(run)
        except NotFound:
            return None

    async def _answer(self, parent: Host, key: str, child: str) -> None:
        last = (await self._journal.read(child))[-1].event
        fact = last.fact
        payload: dict[str, Any] = last.payload or {}
        if isinstance(fact, RunFinished) and fact.status in ("success", "partial"):
            await parent.answer(key, {"run": child, "status": fact.status, "output": payload.get("output")})
            return
        inner: dict[str, Any] = payload.get("error") or {}
        message = f"child run {child} {getattr(fact, 'state', 'failed')}: {inner.get('message', '')}"
        details = {"run": child, "error": inner, "output": payload.get("output")}
        await parent.answer(key, None, error={"code": "child_failed", "message": message, "details": details})


def child_id(run: str, key: str) -> str:
    """Derived, so that a parent that is entered again finds its child: ``<run>.<8 hex of the key's digest>``."""
    return f"{run}.{digest(key)[:8]}"
