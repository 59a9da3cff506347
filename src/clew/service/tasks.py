"""Tasks in envelopes (requirement W12): doing the work once, the answer to it, and handing on the new tasks that come out of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from clew.core import envelopes
from clew.core.envelopes import AgentError, AgentResult, AgentTask, Delta, Metrics, ResultPayload, TaskError
from clew.core.errors import ClewError, Conflict, UsageError
from clew.core.events import Noted, RunFinished, RunStarted
from clew.core.identity import canonical
from clew.core.states import ENDED
from clew.gate.ports.clock import Clock
from clew.gate.ports.journal import Record, RunFilter
from clew.manifest.compiled import Plan
from clew.runtime.host import Host
from clew.service import runs
from clew.service.agents import plan_for, project_for
from clew.service.costs import costs
from clew.service.runs import RunRequest, RunResult
from clew.service.wiring import Workspace

logger = logging.getLogger("clew.tasks")

POLL_MS = 100
"""How often a run that another process drives is looked at."""
DEEPEST = 16
"""Tasks that came out of tasks that came out of tasks …"""

REFUSED = "task_refused"
"""Name of the note that a new task of a run's result was not queued. Payload ``{"task": str, "code": str, "message": str}``."""

_OF_RESULTS = ("delta", "artifacts", "newTasks", "new_tasks", "doc", "diff", "summary")

T = TypeVar("T")
Answer = AgentResult | AgentError


async def perform(
    workspace: Workspace, plan: Plan, directory: Path, task: AgentTask, on_begun: Callable[[str], None] | None = None
) -> Answer:
    """Do the work of a task, or join whoever does it under the same idempotency key; the answer. ``on_begun`` hears the run's id.

    Raises NotFound(unknown_agent), and Conflict where the key was used for other work: there is no task then.
    """
    run, ours = await _begin(workspace, plan, directory, task)
    if on_begun is not None:
        on_begun(run)
    limit = None if ours else task.constraints.timeout_ms  # a run that is ours has its deadline
    await within(workspace.clock, limit, _settle(workspace, run))
    await hand_on(workspace, run)
    return await answer(workspace, run, task)


async def _begin(workspace: Workspace, plan: Plan, directory: Path, task: AgentTask) -> tuple[str, bool]:
    """The run that does the work, and whether it was begun just now."""
    chosen, limits = plan_for(plan, task.agent), task.constraints
    request = RunRequest(
        input=task.payload, timeout_ms=limits.timeout_ms, deterministic=limits.deterministic,
        idempotency=limits.idempotency_key or "", task=_note(task.id, task.parent_id, task.agent),
    )  # fmt: skip
    try:
        host = await runs.start(workspace, chosen, directory, request)
    except Conflict as conflict:
        if conflict.code != "idempotency":  # else another process was the first, in this very moment
            raise
        host = await runs.start(workspace, chosen, directory, request)
    if isinstance(host, Host):
        return host.run, True
    if (await workspace.journal.row(host)).workflow != chosen.workflow:
        raise Conflict(f"idempotency key {request.idempotency!r} was used for another agent, by run {host}")
    return await latest(workspace, host), False


async def latest(workspace: Workspace, run: str) -> str:
    """The run that does the work of ``run`` now: a dead letter may have been put into the queue again."""
    tenant = (await workspace.journal.row(run)).tenant
    while again := await workspace.journal.runs(RunFilter(idempotency=requeued(run), tenant=tenant, limit=1)):
        run = again[0].run
    return run


def requeued(run: str) -> str:
    """The idempotency key of the run that does a dead letter's work again."""
    return f"requeued:{run}"


async def _settle(workspace: Workspace, run: str) -> None:
    """Until the run has ended or waits for somebody outside; driven here where no living process does it."""
    while True:
        row = await workspace.journal.row(run)
        if row.state in ENDED:
            return
        host = workspace.scheduler.hosts.get(run)
        if host is None and not row.owner:
            try:
                host = await runs.resume(workspace, run)
            except Conflict as conflict:
                if conflict.code != "driven":
                    raise
        if host is not None:
            await host.settled()
            if host.error is not None:
                raise host.error
            if host.machine.state not in ENDED:
                await workspace.scheduler.let_go(host, "waits for somebody outside")
            return
        await _pause(workspace.clock, POLL_MS)


async def _pause(clock: Clock, ms: int) -> None:
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    timer = clock.at(clock.now() + ms, lambda: None if over.done() else over.set_result(None))
    try:
        await over
    finally:
        timer.cancel()


async def within(clock: Clock, ms: int | None, work: Awaitable[T]) -> T | None:
    """The result of ``work``; None where it takes longer than ``ms``."""
    doing = asyncio.ensure_future(work)
    waited: set[asyncio.Future[Any]] = {doing} if ms is None else {doing, asyncio.ensure_future(_pause(clock, ms))}
    try:
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waited:
            one.cancel()
        await asyncio.gather(*waited, return_exceptions=True)
    return None if doing.cancelled() else doing.result()


# -- answers -----------------------------------------------------------------------------------------------------------


async def answer(workspace: Workspace, run: str, task: AgentTask) -> Answer:
    """How the run stands, as the answer to ``task``."""
    found = await runs.result(workspace, run)
    if found.state != "completed":
        driven = bool((await workspace.journal.row(run)).owner)
        return AgentError(id=run, parent_id=task.id, agent=task.agent, error=_error(workspace, found, driven=driven))
    records = await workspace.journal.read(run)
    ended = next(r.event.at for r in reversed(records) if isinstance(r.event.fact, RunFinished))
    spent = (await costs(workspace.journal, (), run=run)).total
    return AgentResult(
        id=run, parent_id=task.id, agent=task.agent, payload=payload_of(workspace.redactor.value(found.output)),
        metrics=Metrics(tokens_used=spent.input_tokens + spent.output_tokens, time_ms=max(0, ended - records[0].event.at)),
    )  # fmt: skip


def _error(workspace: Workspace, found: RunResult, *, driven: bool) -> TaskError:
    if found.state in ENDED:
        error = cast("dict[str, Any]", workspace.redactor.value(found.error or {}))
        return TaskError(
            code=str(error.get("code") or found.state), message=str(error.get("message") or ""), details=error.get("details")
        )  # fmt: skip
    asked = [{"run": w.run, "key": w.key, "node": w.node} for w in found.waiting]
    details: dict[str, Any] = {"run": found.run_id, "asks": asked}
    if driven and not asked:
        return TaskError(code="timeout", message="it is still being worked on", details=details)
    what = "it waits for a human: clew approve answers" if asked else "it is paused: clew resume goes on with it"
    return TaskError(code="waiting", message=f"{what}; a task with the same key then has the result", details=details)


def failed(task: AgentTask, run: str, error: ClewError) -> AgentError:
    """The answer to a task that became a run, where something else than its work failed."""
    return AgentError(
        id=run, parent_id=task.id, agent=task.agent, error=TaskError(code=error.code, message=str(error))
    )  # fmt: skip


def payload_of(output: Any) -> ResultPayload:
    """A run's output as the payload of a result: what it says of delta, artifacts and new tasks, else its text as a summary."""
    if isinstance(output, Mapping):
        given = dict(cast("Mapping[str, Any]", output))
        rest = {key: value for key, value in given.items() if key not in _OF_RESULTS}
        if len(rest) < len(given):
            given.setdefault("delta", {key: given[key] for key in ("doc", "diff", "summary") if key in given})
            try:
                payload = envelopes.result_payload(given)
            except UsageError:  # these are other things of the same names
                return ResultPayload(delta=Delta(summary=_text(given)))
            if rest and not payload.delta.summary:
                delta = msgspec.structs.replace(payload.delta, summary=_text(rest))
                return msgspec.structs.replace(payload, delta=delta)
            return payload
    return ResultPayload(delta=Delta(summary=_text(output)))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else canonical(value).decode()


# -- new tasks ---------------------------------------------------------------------------------------------------------


async def hand_on(workspace: Workspace, run: str) -> None:
    """Queue the new tasks that a task's result asks for, each once however often this is done.

    One that cannot be a task is noted in the run's journal and not tried again; one that a full queue refuses is.
    """
    records = await workspace.journal.read(run)
    origin, note = records[0].event.fact, task_note(records)
    if note is None or not isinstance(origin, RunStarted):
        return
    found = await runs.result(workspace, run)
    wanted = payload_of(found.output).new_tasks if found.state == "completed" else []
    refused = {(_noted(r) or {}).get("task") for r in records if is_note(r, REFUSED)}
    for number, new in enumerate(wanted, 1):
        key = f"new:{run}:{number}"
        if await workspace.journal.runs(RunFilter(idempotency=key, tenant=origin.principal.tenant, limit=1)):
            continue
        ident, depth = f"{note['id']}.{number}", int(note.get("depth", 0)) + 1
        if ident in refused:
            continue
        try:
            if depth > DEEPEST:
                raise UsageError(f"task {ident}: tasks come out of tasks {DEEPEST} times at most", code="too_deep")
            world = await runs.world_of(workspace, run)
            plan, directory = project_for(world.project.directory)
            request = RunRequest(
                input=new.payload, mode=origin.mode, principal=origin.principal, idempotency=key,
                task={**_note(ident, str(note["id"]), new.agent), "depth": depth},
            )  # fmt: skip
            await runs.enqueue(workspace, plan_for(plan, new.agent), directory, request)
        except UsageError as error:
            logger.warning("run %s: its new task %s is not queued: %s", run, ident, error)
            if error.code != runs.QUEUE_FULL:
                said = {"task": ident, "code": error.code, "message": str(error)}
                with suppress(Conflict):  # whoever writes into it now hands on its tasks too
                    await runs.note(workspace, run, REFUSED, origin.principal.user, said)


def task_note(records: list[Record]) -> dict[str, Any] | None:
    """What a run says of the task that it was made for; None for one that was made for none, and for forks."""
    origin = records[0].event.fact
    if not isinstance(origin, RunStarted) or origin.fork_of is not None:
        return None
    return next((_noted(r) for r in records[1:3] if is_note(r, runs.TASK)), None)


def is_note(record: Record, name: str) -> bool:
    return isinstance(record.event.fact, Noted) and record.event.fact.name == name


def _noted(record: Record) -> dict[str, Any] | None:
    return record.event.payload


def _note(ident: str, parent: str | None, agent: str) -> dict[str, Any]:
    return {"id": ident, "parentId": parent, "agent": agent}
