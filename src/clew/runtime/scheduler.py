"""Drives runs: starts, resumes, queues and ends hosts; brings them answers and their children's results.

What waits holds no slot: only runs taken from the queue count against ``max_concurrency``, and only while they work.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from clew.core.errors import ClewError, Conflict, Stopped, UsageError
from clew.core.events import Event, RunFinished, RunStarted, StopRequested
from clew.core.states import ENDED
from clew.gate.ports.journal import Append, Journal, Message, MessageKind
from clew.runtime.children import Children, ChildWorld
from clew.runtime.host import Debugger, Host, Surroundings, Watcher
from clew.runtime.order import Order, started
from clew.runtime.turns import Places, Queued, Turns
from clew.runtime.watchdog import Watchdog

logger = logging.getLogger("clew.scheduler")

POLL_S = 0.1
"""How often the inbox is looked at while runs are under way: answers and cancels of other processes."""


class Scheduler:
    """All runs that this engine drives."""

    def __init__(self, journal: Journal, child_world: ChildWorld) -> None:
        self._journal = journal
        self.children = Children(self, journal, child_world)
        self.hosts: dict[str, Host] = {}
        self.watchers: list[Watcher] = []
        self.on_adopted: Callable[[str, Sequence[Event]], None] | None = None
        """Told what a run has recorded before it is taken over: watchers see only what comes after."""
        self._watchdog = Watchdog()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._poller: asyncio.Task[None] | None = None

    # -- runs --------------------------------------------------------------------------------------------------

    async def start(
        self, order: Order, world: Surroundings, debugger: Debugger | None = None, notes: Sequence[Event] = ()
    ) -> Host:
        """Create a run and drive it. ``notes`` are what is to be known of it from its first moment."""
        return await self._drive(Host(world, [started(order, world), *notes], 1, debugger), saved=0)

    async def enqueue(self, order: Order, world: Surroundings, notes: Sequence[Event] = ()) -> None:
        """Create a run that nobody drives yet."""
        events = [started(order, world), *notes]
        await self._journal.append(Append(run=order.run, expected=0, events=events, epoch=0, state="queued"))

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
            events = [r.event for r in records]
            if any(isinstance(event.fact, RunFinished) for event in events):  # another process was faster
                raise Conflict(f"run {run} has ended")
            host = Host(world, [*events, *_overdue(events, world)], epoch, debugger)
        except BaseException:
            await self._journal.release(run)
            raise
        if self.on_adopted is not None:
            self.on_adopted(run, events)
        return await self._drive(host, saved=len(events))

    async def _drive(self, host: Host, *, saved: int) -> Host:
        host.watchers = self.watchers
        self._watchdog.watch()
        self.children.attach(host)
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
        self.spawn(self._attend(host))
        if self._poller is None or self._poller.done():
            self._poller = asyncio.get_running_loop().create_task(self._poll())
        return host

    async def _attend(self, host: Host) -> None:
        """Clean up behind a run, and tell its parent."""
        await host.ended.wait()
        held = self.hosts.get(host.run) is host  # else it was let go, and may be driven by another host by now
        if held:
            del self.hosts[host.run]
        await host.close()
        try:
            if held:
                await self._journal.release(host.run)
        except ClewError as error:
            logger.warning("run %s: %s", host.run, error)
        if host.origin.parent:
            await self.children.ended(host)

    async def let_go(self, host: Host, reason: str = "") -> None:
        """Stop driving a run that goes on later, here or elsewhere."""
        self.hosts.pop(host.run, None)
        await host.close(reason)
        await self._journal.release(host.run)

    async def close(self) -> None:
        """Give up every run in order."""
        while self._tasks or self.hosts:
            tasks = list(self._tasks)
            for task in tasks:  # first of all: what would start further child runs
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            hosts = list(self.hosts.values())
            leaving = (self.let_go(host, "engine closed") for host in hosts)
            for host, error in zip(hosts, await asyncio.gather(*leaving, return_exceptions=True), strict=True):
                if error is not None:  # its lock goes with this process: others can take the run
                    logger.warning("run %s: %s", host.run, error)
        if self._poller:
            self._poller.cancel()
            await asyncio.gather(self._poller, return_exceptions=True)
        self._watchdog.close()

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

    # -- queue -------------------------------------------------------------------------------------------------

    async def run_queued(
        self, queue: Sequence[Queued], max_concurrency: int, refused: Callable[[str, UsageError], None]
    ) -> list[Host]:
        """Drive queued runs, ``max_concurrency`` at a time and fair between projects, until each has ended or is parked.

        ``refused`` is told of those that cannot be driven. What another process has taken meanwhile is passed over.
        """
        turns, places = Turns(queue), Places(self.hosts, max_concurrency)
        driven: list[asyncio.Task[Host | None]] = []
        self.watchers.append(places)
        try:
            while turns:
                await places.free()
                run, world = turns.next(places.at_work())
                places.take(run, world.project.directory)
                driven.append(self.spawn(self._in_place(run, world, places, refused)))
            hosts = await asyncio.gather(*driven)
        finally:
            self.watchers.remove(places)
            for task in driven:
                task.cancel()
        return [host for host in hosts if host is not None]

    async def _in_place(
        self, run: str, world: Surroundings, places: Places, refused: Callable[[str, UsageError], None]
    ) -> Host | None:
        try:
            host = await self._from_queue(run, world)
            if host is not None:
                await host.settled()
        except UsageError as error:
            refused(run, error)
            return None
        finally:
            places.leave(run)
        return host

    async def _from_queue(self, run: str, world: Surroundings) -> Host | None:
        """The host of a queued run; None where it is not in the queue any more."""
        while (await self._journal.row(run)).state == "queued":
            try:
                return await self.adopt(run, world)
            except Conflict as conflict:
                if conflict.code != "driven" and (await self._journal.row(run)).state == "queued":
                    raise
            await asyncio.sleep(POLL_S)  # somebody begins it, or writes a remark into it
        return None

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Do ``work`` beside everything else; it is cancelled when the scheduler closes."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _overdue(events: Sequence[Event], world: Surroundings) -> list[Event]:
    """A run whose deadline has passed is ended when it is taken over; its bodies are not entered once more."""
    deadline, now = events[0].fact.deadline if isinstance(events[0].fact, RunStarted) else None, world.clock.now()
    if deadline is None or now < deadline or any(isinstance(event.fact, StopRequested) for event in events):
        return []
    return [Event(StopRequested(code="deadline_exceeded"), {"reason": "the run's deadline has passed"}, now)]
