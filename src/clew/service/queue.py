"""The queue as a whole (requirement W13): how it stands, driving it, and the dead letters: queued runs that failed for good."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import msgspec

from clew.core.errors import Conflict, UsageError
from clew.core.events import RunStarted
from clew.gate.ports.journal import Record, RunFilter, RunRow
from clew.service import runs, tasks
from clew.service.agents import plan_for, project_for
from clew.service.runs import RunRequest
from clew.service.wiring import Workspace

_PAGE = 500
_ALL = 100_000
_LOOKED_BACK = 1_000
"""Finished runs, the newest, that are looked at for new tasks that a process died before queueing."""


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A run that went through the queue and failed; ``error`` is why."""

    row: RunRow
    error: dict[str, Any]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How many top-level runs are in which state. ``running``: driven by a living process; ``interrupted``: by none, though they
    had begun; ``workers``: living processes that drive runs."""

    queued: int
    running: int
    interrupted: int
    waiting: int
    dead: int
    workers: int


async def standing(workspace: Workspace) -> Standing:
    """How the queue and whoever works on it stand."""
    rows = await workspace.journal.runs(RunFilter(states=("queued", "running", "waiting"), parent="", limit=_ALL))
    running = [row for row in rows if row.state == "running"]
    driven = sum(bool(row.owner) for row in running)
    return Standing(
        queued=sum(row.state == "queued" for row in rows),
        running=driven,
        interrupted=len(running) - driven,
        waiting=sum(row.state == "waiting" for row in rows),
        dead=sum([1 async for _ in _dead(workspace)]),
        workers=len({row.owner for row in rows if row.owner and row.state != "queued"}),
    )


async def drive(
    workspace: Workspace,
    most: int | None = None,
    on_refused: Callable[[str, UsageError], None] | None = None,
) -> list[str]:
    """Drive everything that is queued now, and queue the new tasks that come out of it; returns the ids of the runs driven."""
    for row in await workspace.journal.runs(RunFilter(states=("completed",), parent="", limit=_LOOKED_BACK)):
        if tasks.task_note(await workspace.journal.read(row.run, 0, 3)) is not None:
            await tasks.hand_on(workspace, row.run)
    driven = await runs.run_queued(workspace, most, on_refused)
    for run in driven:
        await tasks.hand_on(workspace, run)
    return driven


async def letters(workspace: Workspace) -> list[Letter]:
    """Dead letters, oldest first."""
    found: list[Letter] = []
    async with aclosing(_dead(workspace)) as rows:
        async for row in rows:
            result = await runs.result(workspace, row.run)
            found.append(Letter(row=row, error=result.error or {}))
    return found[::-1]


async def requeue(workspace: Workspace, run: str) -> str:
    """Do a dead letter's work again: a new run at the end of the queue, by the project as it is now; returns its id.

    Raises Conflict for what is no dead letter, and where its input was erased or the queue is full.
    """
    again = await tasks.latest(workspace, run)
    if again != run:
        raise Conflict(f"run {run} was put into the queue again already, as {again}")
    row = await workspace.journal.row(run)
    records = await workspace.journal.read(run, 0, 3)
    first, origin = records[0], records[0].event.fact
    if row.state != "failed" or not _from_queue(records) or not isinstance(origin, RunStarted):
        raise Conflict(f"run {run} is no dead letter", hint="clew queue --dead lists them")
    if first.erased:
        raise Conflict(f"run {run}: its input was erased")
    payload: dict[str, Any] = first.event.payload
    world = await runs.world_of(workspace, run)
    note = tasks.task_note(records)
    plan, directory = project_for(world.project.directory)
    request = RunRequest(
        input=payload.get("input"), start=origin.start, mode=origin.mode, overrides=payload.get("overrides", {}),
        timeout_ms=origin.deadline - first.event.at if origin.deadline is not None else None,
        idempotency=tasks.requeued(run), deterministic=origin.seed == 0, principal=origin.principal, task=note,
    )  # fmt: skip
    return await runs.enqueue(workspace, plan_for(plan, note["agent"]) if note else plan, directory, request)


async def _dead(workspace: Workspace) -> AsyncGenerator[RunRow]:
    """Failed runs that went through the queue and were not put into it again, newest first."""
    before = ""
    while page := await workspace.journal.runs(RunFilter(states=("failed",), parent="", before=before, limit=_PAGE)):
        before = page[-1].run
        for row in page:
            if not _from_queue(await workspace.journal.read(row.run, 0, 2)):
                continue
            again = RunFilter(idempotency=tasks.requeued(row.run), tenant=row.tenant, limit=1)
            if not await workspace.journal.runs(again):
                yield row


def _from_queue(records: list[Record]) -> bool:
    origin = records[0].event.fact
    forked = isinstance(origin, RunStarted) and origin.fork_of is not None
    return not forked and len(records) > 1 and tasks.is_note(records[1], runs.QUEUED)
