"""Start, queue, resume, answer and end runs."""

import secrets
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from clew.context import scopes
from clew.core.errors import Conflict, NotFound, Stopped, UsageError
from clew.core.events import Event, Noted, Principal, RunFinished, RunStarted
from clew.core.identity import digest_bytes
from clew.core.states import ENDED
from clew.gate.ports.journal import Append, MessageKind, RunFilter, RunRow
from clew.manifest.compiled import Plan
from clew.manifest.plan import load
from clew.policies.modes import TAKEN
from clew.runtime.handlers import source_of
from clew.runtime.host import Debugger, Host, Surroundings
from clew.runtime.order import Order
from clew.service.wiring import Workspace, start_of

IMPORTED = "imported"
"""Name of the note that ends an imported run."""
QUEUED = "queued"
"""Name of the note that says, from its first moment, that a run went through the queue."""
TASK = "task"
"""Name of the note that says which task a run was made for. Payload ``{"id": str, "parentId": str | None, "agent": str}``."""
QUEUE_FULL = "queue_full"
"""Name of the note, in the run at the head of the queue, that another was refused. Payload ``{"limit": int, "workflow": str}``."""


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be run. ``timeout_ms`` ends the run for good; ``idempotency`` names work that is to be done only once;
    ``task``: what the note TASK is to say; ``principal``: on whose behalf, where not on that of the settings."""

    input: Any = None
    start: str | None = None
    mode: str = "implement"
    session: str = ""
    overrides: dict[str, Any] = {}
    timeout_ms: int | None = None
    idempotency: str = ""
    deterministic: bool = True
    task: dict[str, Any] | None = None
    principal: Principal | None = None


class Waiting(msgspec.Struct, frozen=True):
    """An open question to a human."""

    run: str
    key: str
    task: str
    node: str
    name: str
    request: Any
    digest: str
    due: int | None


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a run stands. ``status`` is None while it has not ended, and for a cancelled run; ``waiting``: what humans are asked."""

    run_id: str
    state: str
    status: str | None
    output: Any = None
    error: dict[str, Any] | None = None
    cost: str = "0"
    unpriced: int = 0
    """Calls whose price is not known: ``cost`` does not hold them."""
    waiting: tuple[Waiting, ...] = ()
    paused: str = ""


def new_id(clock_ms: int) -> str:
    """A run id that sorts by time: ``r`` and 8 hex digits of seconds, then 6 random ones. Recorded, never derived again."""
    return f"r{clock_ms // 1000:08x}{secrets.token_hex(3)}"


async def start(
    workspace: Workspace, plan: Plan, directory: Path, request: RunRequest, debugger: Debugger | None = None
) -> Host | str:
    """Start a run. Where ``request.idempotency`` was used before, the run's id instead. Raises UsageError, Conflict."""
    world = await workspace.world(plan, directory)
    if request.idempotency:
        earlier = await _same_work(workspace, request)
        if earlier:
            return earlier
    notes = _notes(workspace, request, ())
    return await workspace.scheduler.start(_order(workspace, world, request), world, debugger, notes)


async def enqueue(workspace: Workspace, plan: Plan, directory: Path, request: RunRequest) -> str:
    """Put a run into the queue; returns its id. Raises Conflict(queue_full)."""
    world = await workspace.world(plan, directory)
    if request.idempotency:
        earlier = await _same_work(workspace, request)
        if earlier:
            return earlier
    limit = scheduler_setting(plan, "max_queue_size", 1000)
    queued = await workspace.journal.runs(RunFilter(states=("queued",), limit=limit))
    if len(queued) >= limit:
        await _note_refusal(workspace, queued[-1], {"limit": limit, "workflow": plan.workflow})
        raise Conflict(
            f"the queue is full ({limit} runs)", code=QUEUE_FULL, hint="clew queue --run, or raise max_queue_size"
        )
    order = _order(workspace, world, request)
    await workspace.scheduler.enqueue(order, world, _notes(workspace, request, (QUEUED,)))
    return order.run


async def _note_refusal(workspace: Workspace, head: RunRow, payload: dict[str, Any]) -> None:
    """Once in each run that comes to stand at the head, so that whoever tries again and again fills no journal."""
    records = await workspace.journal.read(head.run)
    if not any(isinstance(r.event.fact, Noted) and r.event.fact.name == QUEUE_FULL for r in records):
        with suppress(Conflict):  # it is being taken out of the queue
            await note(workspace, head.run, QUEUE_FULL, workspace.settings.user, payload)


async def run_queued(
    workspace: Workspace,
    max_concurrency: int | None = None,
    on_refused: Callable[[str, UsageError], None] | None = None,
) -> list[str]:
    """Drive everything queued, to its end or until it waits for a human: oldest first, projects in turn; returns the ids.

    ``on_refused`` is told of runs that cannot be driven (their project is gone); without it the first such error is raised at
    the end. They stay queued.
    """
    rows = await workspace.journal.runs(RunFilter(states=("queued",), limit=100_000))
    rows.reverse()  # the journal's order, not the ids': several may be of one millisecond
    refused: list[UsageError] = []

    def refuse(run: str, error: UsageError) -> None:
        on_refused(run, error) if on_refused else refused.append(error)

    queue: list[tuple[str, Surroundings]] = []
    for row in rows:
        try:
            queue.append((row.run, await world_of(workspace, row.run)))
        except UsageError as error:
            refuse(row.run, error)
    hosts: list[Host] = []
    if queue:
        most = max_concurrency or scheduler_setting(queue[0][1].project.plan, "max_concurrency", 1)
        hosts = await workspace.scheduler.run_queued(queue, most, refuse)
    if refused:
        raise refused[0]
    return [host.run for host in hosts]


async def resume(workspace: Workspace, run: str, *, accept: bool = False, debugger: Debugger | None = None) -> Host:
    """Go on with an interrupted, waiting or paused run, by its recorded plan.

    Raises Conflict when its handlers' source has changed and ``accept`` is off, or when another process drives it.
    """
    if run in workspace.scheduler.hosts:
        return workspace.scheduler.hosts[run]
    world = await world_of(workspace, run)
    changes = changed_handlers(world.project.plan, world.project.directory)
    if changes and not accept:
        raise Conflict(
            f"run {run}: source changed since it was started: {', '.join(changes)}",
            code="source_changed",
            hint="go on with the new source by --accept, or fork the run",
        )
    host = await workspace.scheduler.adopt(run, world, debugger)
    if changes:
        with passed_on(host):
            await host.note("source_accepted", {"files": changes})
    return host


async def resumable(workspace: Workspace) -> list[RunRow]:
    """Runs that have not ended, oldest first; a living process may drive them.

    Not the queued ones, nor child runs (their parents see to them), nor runs that were imported: what they did was done elsewhere,
    and may be going on there. Those are resumed by name.
    """
    rows = await workspace.journal.runs(RunFilter(states=("running", "waiting"), limit=100_000))
    own = [r for r in reversed(rows) if not r.parent]
    return [r for r in own if not await _imported(workspace, r)]


async def _imported(workspace: Workspace, row: RunRow) -> bool:
    last = (await workspace.journal.read(row.run, row.head.seq - 1))[-1].event.fact
    return isinstance(last, Noted) and last.name == IMPORTED


async def end_orphans(workspace: Workspace) -> None:
    """Cancel child runs whose parents have ended without them: the process died between the two."""
    rows = await workspace.journal.runs(RunFilter(states=("running", "waiting"), limit=100_000))
    for row in rows:
        if row.parent and (await workspace.journal.row(row.parent.partition(":")[0])).state in ENDED:
            host = await cancel(workspace, row.run, "its parent has ended", row.parent.partition(":")[0])
            if host is not None:
                await host.ended.wait()


async def tell(workspace: Workspace, run: str, kind: MessageKind, key: str, body: dict[str, Any]) -> Host | None:
    """Have something done to a run: here, if nobody else drives it (the host is returned), else by its driver's inbox."""
    row = await workspace.journal.row(run)
    if row.state in ENDED:
        raise Conflict(f"run {run} has ended ({row.state})")
    host = workspace.scheduler.hosts.get(run)
    if host is None:
        try:
            host = await workspace.scheduler.adopt(run, await world_of(workspace, run))
        except Conflict as conflict:
            if conflict.code == "driven":
                await workspace.journal.put_message(run, kind, key, body)
                return None
            raise
    with passed_on(host):
        await workspace.scheduler.tell(host, kind, key, body)
    return host


@contextmanager
def passed_on(host: Host) -> Generator[None]:
    """A host that stops meanwhile stops the caller by an error: its own, or Conflict where the run is over."""
    try:
        yield
    except Stopped:
        raise host.error or Conflict(f"run {host.run} ended or was given up meanwhile", code="ended") from None


async def cancel(workspace: Workspace, run: str, reason: str, by: str) -> Host | None:
    """End a run; its running bodies are stopped. Raises Conflict where it has ended."""
    return await tell(workspace, run, "cancel", "", {"reason": reason, "by": by})


async def overdue(workspace: Workspace, run: str) -> bool:
    """Whether the run's deadline has passed."""
    origin = (await workspace.journal.read(run, 0, 1))[0].event.fact
    deadline = origin.deadline if isinstance(origin, RunStarted) else None
    return deadline is not None and deadline <= workspace.clock.now()


async def note(workspace: Workspace, run: str, name: str, by: str, payload: Any = None) -> None:
    """Write a remark into a run's journal, also after its end. It changes nothing."""
    row = await workspace.journal.row(run)
    epoch = await workspace.journal.claim(run)
    try:
        event = Event(Noted(name=name, by=by), payload, workspace.clock.now())
        await workspace.journal.append(
            Append(run=run, expected=row.head.seq, events=[event], epoch=epoch, state=row.state)
        )
    finally:
        await workspace.journal.release(run)


async def result(workspace: Workspace, run: str) -> RunResult:
    """How a run stands now, from its journal."""
    row = await workspace.journal.row(run)
    unpriced = sum(group["unpriced"] for group in await workspace.journal.rows("costs", {"run": run}))
    stands = RunResult(run_id=run, state=row.state, status=row.status, cost=row.cost, unpriced=unpriced)
    if row.state not in ENDED:
        return msgspec.structs.replace(stands, waiting=tuple(await waiting(workspace, run)))
    last = next((r for r in reversed(await workspace.journal.read(run)) if isinstance(r.event.fact, RunFinished)), None)
    payload: dict[str, Any] = (last.event.payload if last else None) or {}
    return msgspec.structs.replace(stands, output=payload.get("output"), error=payload.get("error"))


async def waiting(workspace: Workspace, run: str | None = None) -> list[Waiting]:
    """Open questions to humans, oldest first: of all runs, or of one and the child runs that it waits for."""
    if run is None:
        rows = await workspace.journal.rows("approvals", {"state": "pending"})
    else:
        below = await workspace.journal.runs(RunFilter(prefix=f"{run}.", limit=1000))
        names = [run, *(r.run for r in below if r.state not in ENDED)]
        rows = [
            r for name in names for r in await workspace.journal.rows("approvals", {"state": "pending", "run": name})
        ]
    found: list[Waiting] = []
    for row in sorted(rows, key=lambda r: (r["asked"], r["run"], r["seq"])):
        record = (await workspace.journal.read(row["run"], row["seq"] - 1, row["seq"]))[0]
        request = record.event.payload
        found.append(
            Waiting(row["run"], row["key"], row["task"], row["node"], row["name"], request, row["digest"], row["due"])
        )
    return found


async def world_of(workspace: Workspace, run: str) -> Surroundings:
    """The surroundings of a recorded run: its recorded plan, in the directory it was started from."""
    records = await workspace.journal.read(run, 0, 1)
    origin = records[0].event.fact
    if not isinstance(origin, RunStarted):
        raise NotFound(f"run {run} has no beginning")
    payload: dict[str, Any] = records[0].event.payload or {}
    directory = Path(payload.get("project", "."))
    if not _exists(directory):
        raise NotFound(f"run {run}: its project directory {directory} is gone", hint="put it back, or export the run")
    return await workspace.recorded_world(origin.plan, directory)


def _exists(directory: Path) -> bool:
    return directory.is_dir()


async def find(workspace: Workspace, prefix: str | None) -> str:
    """The run that ``prefix`` begins the id of; None: the newest. Raises NotFound, or UsageError when several do."""
    rows = await workspace.journal.runs(RunFilter(prefix=prefix or "", limit=20))
    exact = [r for r in rows if r.run == prefix]
    if exact:
        return exact[0].run
    top = [r for r in rows if "." not in r.run] or rows
    if not top:
        raise NotFound(f"no run {prefix}" if prefix else "no runs yet", hint="clew runs lists them")
    if prefix and len(top) > 1:
        raise UsageError(f"{prefix!r} begins several runs: {', '.join(r.run for r in top)}")
    return top[0].run


def changed_handlers(plan: Plan, directory: Path) -> list[str]:
    """Handler files whose source is not what the plan recorded."""
    sources = {ref.partition(":")[0] for ref in plan.handlers}
    changed: list[str] = []
    for module in sorted(sources):
        path = source_of(directory, module.split("."))
        recorded = {sha for ref, sha in plan.handlers.items() if ref.partition(":")[0] == module}
        if path is not None and digest_bytes(path.read_bytes()) not in recorded:
            changed.append(str(path.relative_to(directory)))
    return changed


def scheduler_setting(plan: Plan, name: str, default: int) -> int:
    """One number of ``scheduler.yaml``."""
    return int(plan.sections.get("scheduler", {}).get(name) or default)


def load_project(path: Path) -> tuple[Plan, Path]:
    """A project and its directory. Raises ManifestError with every problem."""
    return load(path), path.resolve() if path.is_dir() else path.resolve().parent


def _order(workspace: Workspace, world: Surroundings, request: RunRequest) -> Order:
    plan = world.project.plan
    if request.mode not in TAKEN:
        raise UsageError(f"no mode {request.mode!r}; modes are {', '.join(TAKEN)}")
    now = workspace.clock.now()
    return Order(
        run=new_id(now),
        workflow=plan.workflow,
        input=request.input,
        start=start_of(plan, request.start),
        mode=request.mode,
        seed=0 if request.deterministic else secrets.randbits(48),
        principal=_principal(workspace, request),
        overrides=request.overrides,
        deployment=plan.sections.get("deployment", {}),
        deadline=now + request.timeout_ms if request.timeout_ms else None,
        idempotency=request.idempotency,
    )


def _principal(workspace: Workspace, request: RunRequest) -> Principal:
    """Raises UsageError for what can be no session."""
    settings = workspace.settings
    if request.session:
        scopes.parse(f"session:{request.session}")
    return request.principal or Principal(tenant=settings.tenant, user=settings.user, session=request.session)


def _notes(workspace: Workspace, request: RunRequest, names: tuple[str, ...]) -> list[Event]:
    """What a run's journal says of it from its first moment."""
    by, now = _principal(workspace, request).user, workspace.clock.now()
    notes = [Event(Noted(name=name, by=by), None, now) for name in names]
    return [*notes, Event(Noted(name=TASK, by=by), request.task, now)] if request.task is not None else notes


async def _same_work(workspace: Workspace, request: RunRequest) -> str | None:
    """The run that was started under this idempotency key. Raises Conflict where its input was another one."""
    tenant = _principal(workspace, request).tenant
    rows = await workspace.journal.runs(RunFilter(idempotency=request.idempotency, tenant=tenant, limit=1))
    if not rows:
        return None
    first = (await workspace.journal.read(rows[0].run, 0, 1))[0]
    payload: dict[str, Any] = first.event.payload or {}
    if payload.get("input") != request.input:
        raise Conflict(f"idempotency key {request.idempotency!r} was used with another input, by run {rows[0].run}")
    return rows[0].run
