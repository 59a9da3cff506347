"""Drives runs: starts, resumes, queues and ends hosts; brings them answers and their children's results.

What waits holds no slot: only runs taken from the queue count against ``max_concurrency``, and only until they park.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from clew.core.commands import StartChild
from clew.core.errors import ClewError, Conflict, NotFound, Stopped, UsageError
from clew.core.events import Event, Principal, RunFinished, RunStarted
from clew.core.identity import digest
from clew.core.states import ENDED
from clew.gate.ports.journal import Append, Journal, Message, MessageKind, RunRow
from clew.runtime.host import Debugger, Host, Surroundings, Watcher

logger = logging.getLogger("clew.scheduler")

POLL_S = 0.1
"""How often the inbox is looked at while runs are under way: answers and cancels of other processes."""

MAX_DEPTH = 16
"""Child runs of child runs."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be created."""

    run: str
    workflow: str
    input: Any
    start: str
    mode: str = "implement"
    seed: int = 0
    principal: Principal = Principal()
    overrides: dict[str, Any] = {}
    deployment: dict[str, Any] = {}
    deadline: int | None = None
    idempotency: str = ""
    parent: str = ""


ChildWorld = Callable[[Surroundings, str], Awaitable[tuple[Surroundings, str]]]
"""(parent's surroundings, workflow) -> the child's surroundings and start; raises NotFound, ManifestError."""


class Scheduler:
    """All runs that this engine drives."""

    def __init__(self, journal: Journal, child_world: ChildWorld) -> None:
        self._journal = journal
        self._child_world = child_world
        self.hosts: dict[str, Host] = {}
        self.watchers: list[Watcher] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._poller: asyncio.Task[None] | None = None

    # -- runs --------------------------------------------------------------------------------------------------

    async def start(self, order: Order, world: Surroundings, debugger: Debugger | None = None) -> Host:
        """Create a run and drive it."""
        return await self._drive(Host(world, [started(order, world)], 1, debugger), saved=0)

    async def enqueue(self, order: Order, world: Surroundings) -> None:
        """Create a run that nobody drives yet."""
        first = started(order, world)
        await self._journal.append(Append(run=order.run, expected=0, events=[first], epoch=0, state="queued"))

    async def adopt(self, run: str, world: Surroundings, debugger: Debugger | None = None) -> Host:
        """Take over an existing run that has not ended. Raises Conflict when another process drives it, or it has ended."""
        if run in self.hosts:
            return self.hosts[run]
        row = await self._journal.row(run)
        if row.state in ENDED:
            raise Conflict(f"run {run} has ended ({row.state})")
        epoch = await self._journal.claim(run)
        try:
            records = await self._journal.read(run)
            if any(r.erased for r in records):
                raise Conflict(f"run {run} cannot go on: payloads it needs were erased")
            host = Host(world, [r.event for r in records], epoch, debugger)
        except BaseException:
            await self._journal.release(run)
            raise
        return await self._drive(host)

    async def _drive(self, host: Host, *, saved: int | None = None) -> Host:
        host.watchers = self.watchers
        host.on_child = self._child_wanted
        self.hosts[host.run] = host
        try:
            await host.begin(saved=saved)
        except BaseException:
            self.hosts.pop(host.run, None)
            with suppress(ClewError):
                await self._journal.release(host.run)
            if host.error is not None:
                raise host.error from None
            raise
        self._spawn(self._attend(host))
        if self._poller is None or self._poller.done():
            self._poller = asyncio.get_running_loop().create_task(self._poll())
        return host

    async def _attend(self, host: Host) -> None:
        """Clean up behind a run, and tell its parent."""
        await host.ended.wait()
        self.hosts.pop(host.run, None)
        await host.close()
        try:
            await self._journal.release(host.run)
        except ClewError as error:
            logger.warning("run %s: %s", host.run, error)
        if host.origin.parent and host.error is None:
            await self._tell_parent(host)

    async def let_go(self, host: Host, reason: str = "") -> None:
        """Stop driving a run that goes on later, here or elsewhere."""
        self.hosts.pop(host.run, None)
        await host.close(reason)
        await self._journal.release(host.run)

    async def close(self) -> None:
        """Give up every run in order."""
        if self._poller:
            self._poller.cancel()
        for host in list(self.hosts.values()):
            await self.let_go(host, "engine closed")
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, *([self._poller] if self._poller else []), return_exceptions=True)

    # -- the inbox ---------------------------------------------------------------------------------------------

    async def _poll(self) -> None:
        while self.hosts:
            try:
                for message in await self._journal.messages(list(self.hosts)):
                    await self.deliver(message)
            except ClewError as error:  # a journal that cannot be read now may be read again later
                logger.warning("the inbox could not be read: %s", error)
            await asyncio.sleep(POLL_S)

    async def deliver(self, message: Message) -> None:
        """Carry out what somebody else put into the inbox of a run that is driven here."""
        host = self.hosts.get(message.run)
        if host is None:
            return
        try:
            if not await self.tell(host, message.kind, message.key, message.body, (message.id,)):
                said = {"kind": message.kind, "key": message.key}
                await host.note("message_ignored", said, str(message.body.get("by", "")), (message.id,))
        except Stopped:
            return  # the run ended first; the message goes with it

    async def tell(
        self, host: Host, kind: MessageKind, key: str, body: dict[str, Any], consumed: tuple[int, ...] = ()
    ) -> bool:
        """Have a run that is driven here take an answer, or be cancelled, paused or let go on. False: it had no effect."""
        by = str(body.get("by", ""))
        if kind == "answer":
            return await host.answer(key, body, consumed=consumed)
        if kind == "cancel":
            return await host.stop("cancelled", str(body.get("reason", "")), by, consumed)
        if kind == "pause":
            return await host.pause("asked", consumed)
        return await host.unpause(by, consumed)

    # -- children ----------------------------------------------------------------------------------------------

    def _child_wanted(self, parent: Host, wait: StartChild) -> None:
        self._spawn(self._child(parent, wait))

    async def _child(self, parent: Host, wait: StartChild) -> None:
        """Start the child of a wait, or take up the one that exists; its end answers the wait."""
        request: dict[str, Any] = wait.request
        run = child_id(parent.run, wait.key)
        try:
            if run.count(".") > MAX_DEPTH:
                raise UsageError(f"child runs nested deeper than {MAX_DEPTH}")
            world, start = await self._child_world(parent.world, str(request["workflow"]))
            row = await self._row(run)
            if row is None:
                order = Order(
                    run=run, workflow=world.project.plan.workflow, input=request.get("input"), start=start,
                    mode=parent.mode, seed=parent.seed, principal=parent.principal, parent=f"{parent.run}:{wait.key}",
                )  # fmt: skip
                await self.start(order, world)
            elif row.state in ENDED:
                await self._answer_parent(parent, wait.key, run)
            else:
                await self.adopt(run, world)
        except ClewError as error:
            await parent.answer(wait.key, None, error={"code": error.code, "message": str(error), "details": None})

    async def _row(self, run: str) -> RunRow | None:
        try:
            return await self._journal.row(run)
        except NotFound:
            return None

    async def _tell_parent(self, host: Host) -> None:
        run, _, key = host.origin.parent.partition(":")
        parent = self.hosts.get(run)
        if parent is not None:
            await self._answer_parent(parent, key, host.run)

    async def _answer_parent(self, parent: Host, key: str, child: str) -> None:
        records = await self._journal.read(child)
        last = records[-1].event
        fact = last.fact
        payload: dict[str, Any] = last.payload or {}
        if isinstance(fact, RunFinished) and fact.status in ("success", "partial"):
            await parent.answer(key, {"run": child, "status": fact.status, "output": payload.get("output")})
            return
        inner: dict[str, Any] = payload.get("error") or {}
        message = f"child run {child} {getattr(fact, 'state', 'failed')}: {inner.get('message', '')}"
        details = {"run": child, "error": inner, "output": payload.get("output")}
        await parent.answer(key, None, error={"code": "child_failed", "message": message, "details": details})

    # -- queue -------------------------------------------------------------------------------------------------

    async def run_queued(self, runs: Sequence[tuple[str, Surroundings]], max_concurrency: int) -> list[Host]:
        """Drive queued runs in the given order, ``max_concurrency`` at a time; a parked one gives its place to the next."""
        places = asyncio.Semaphore(max_concurrency)

        async def one(run: str, world: Surroundings) -> Host:
            async with places:
                host = await self.adopt(run, world)
                await host.settled()
                return host

        return list(await asyncio.gather(*(one(*run) for run in runs)))

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def child_id(run: str, key: str) -> str:
    """Derived, so that a parent that is entered again finds its child: ``<run>.<8 hex of the key's digest>``."""
    return f"{run}.{digest(key)[:8]}"


def started(order: Order, world: Surroundings) -> Event:
    """The first fact of a run."""
    project = world.project
    fact = RunStarted(
        run=order.run, workflow=order.workflow, plan=project.address, start=order.start, mode=order.mode, seed=order.seed,
        engine=world.engine, principal=order.principal, idempotency=order.idempotency, deadline=order.deadline, parent=order.parent,
    )  # fmt: skip
    payload: dict[str, Any] = {"input": order.input, "project": str(project.directory)}
    if order.overrides:
        payload["overrides"] = order.overrides
    if order.deployment:
        payload["deployment"] = order.deployment
    return Event(fact, payload, world.clock.now())
