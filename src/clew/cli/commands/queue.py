"""``clew queue``."""

from pathlib import Path
from typing import Any

import click
import msgspec

from clew.cli import present, shapes
from clew.cli.command import command as declare
from clew.cli.command import group
from clew.cli.commands.status import NOTHING, StatusDoc
from clew.cli.failures import WRONG_USE
from clew.cli.foreground import Foreground, drive_with
from clew.cli.inputs import build, input_options, milliseconds
from clew.cli.opening import looking_back
from clew.cli.runlist import print_runs
from clew.cli.session import Session, pass_session
from clew.cli.summary import exit_code, print_outcome, worst
from clew.cli.terminal import Paper, clock
from clew.core.errors import NotFound, UsageError
from clew.core.events import DriverStarted, Event, RunFinished
from clew.gate.ports.journal import RunFilter, RunRow
from clew.service import queue, runs
from clew.service.engine import AsyncEngine, open_project, open_state
from clew.service.tasks import task_note

_ALL = 100_000


class TaskDoc(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The task that a run is made for. ``parentId``: the task that it came out of."""

    id: str
    parent_id: str | None
    agent: str


class QueuedLine(shapes.RunLine, frozen=True, kw_only=True):
    """A queued run."""

    task: TaskDoc | None
    """None for one that was queued by hand."""


class QueueDoc(StatusDoc, frozen=True, kw_only=True):
    """How the queue stands, and what is in it, oldest first."""

    runs: list[QueuedLine]
    more: bool = False


class LetterDoc(msgspec.Struct, frozen=True, kw_only=True):
    """A queued run that failed; ``error``: ``{code, message, details}``."""

    run: shapes.RunLine
    error: Any


class LetterList(msgspec.Struct, frozen=True, kw_only=True):
    """Dead letters, oldest first."""

    letters: list[LetterDoc]


@group(
    "queue",
    subcommands="[add …]",
    examples=[
        ("clew queue add . --set ticket.id=17", "put a run into the queue"),
        ("clew queue", "what is queued, oldest first"),
        ("clew queue --run --max 4", "drive everything queued, four runs at a time"),
        ("clew queue --dead", "what failed for good"),
        ("clew queue --requeue r66a1b2c3", "do the work of a dead letter again"),
    ],
    shape=QueueDoc | shapes.Outcomes | LetterList | shapes.Done,
)
@click.option("--run", "drive", is_flag=True, help="Drive everything queued, oldest first.")
@click.option("--max", "most", type=click.IntRange(1), metavar="N", help="Runs at once (scheduler.max_concurrency).")
@click.option("--dead", is_flag=True, help="List dead letters: queued runs that failed.")
@click.option("--requeue", metavar="RUN", help="Put a dead letter's work into the queue again, as a new run.")
@click.pass_context
def command(ctx: click.Context, drive: bool, most: int | None, dead: bool, requeue: str | None) -> int:
    """List, fill or drive the queue of runs.

    Runs are taken oldest first, projects in turn. What waits for a human, a time or another attempt holds no place. With
    --json: how the queue stands, with --run the outcomes.
    """
    session = ctx.ensure_object(Session)
    if sum((drive, dead, requeue is not None)) > 1:
        raise UsageError("--run, --dead and --requeue exclude each other")
    if ctx.invoked_subcommand is not None:
        return 0
    if requeue is not None:
        return _requeue(session, requeue)
    return _drive(session, most) if drive else _letters(session) if dead else _list(session)


@declare(
    "add",
    examples=[("clew queue add . --input-file input.json", "queue the project here")],
    shape=shapes.Done,
)
@click.argument("project", default=".", type=click.Path(path_type=Path))
@input_options
@click.option("--start", metavar="NODE", help="The start to begin at; else the default one.")
@click.option("--mode", metavar="MODE", default="implement", show_default=True, help="What the run may do.")
@click.option("--timeout", metavar="TIME", help="End the run for good after this long, from now: 30s, 5m, 24h.")
@click.option("--idempotency-key", metavar="KEY", default="", help="Work that is done once: again gives the same run.")
@pass_session
def add(
    session: Session, project: Path, text: str | None, input_file: str | None, sets: tuple[str, ...], **options: Any
) -> int:
    """Put a run into the queue."""
    request = runs.RunRequest(
        input=build(text, input_file, sets),
        start=options["start"],
        mode=options["mode"],
        timeout_ms=milliseconds(options["timeout"], "--timeout"),
        idempotency=options["idempotency_key"],
    )
    engine = open_project(project, session.state)

    async def work(foreground: Foreground) -> str:
        return await runs.enqueue(engine.workspace, engine.plan, engine.directory, request)

    _say_queued(session, drive_with(session, engine, work))
    return 0


command.add_command(add)


def _list(session: Session) -> int:
    async def work(engine: AsyncEngine) -> tuple[queue.Standing, list[QueuedLine]]:
        rows = await engine.runs(RunFilter(states=("queued",), limit=_ALL))
        return await queue.standing(engine.workspace), [await _queued(engine, row) for row in reversed(rows)]

    try:
        found, queued = looking_back(session, work)
    except NotFound:
        found, queued = NOTHING, []
    if session.json:
        counts = msgspec.structs.asdict(found)
        present.emit(session, QueueDoc(ok=True, stopped=not found.workers, runs=queued, **counts))
    elif queued:
        print_runs(Paper(), [*queued])
    else:
        session.say("the queue is empty")
    return 0


async def _queued(engine: AsyncEngine, row: RunRow) -> QueuedLine:
    note = task_note(await engine.workspace.journal.read(row.run, 0, 3))
    task = None if note is None else TaskDoc(id=note["id"], parent_id=note["parentId"], agent=note["agent"])
    return QueuedLine(task=task, **msgspec.structs.asdict(present.run_line(row)))


def _letters(session: Session) -> int:
    async def work(engine: AsyncEngine) -> list[LetterDoc]:
        mask = engine.workspace.redactor.value
        found = await queue.letters(engine.workspace)
        return [LetterDoc(run=present.run_line(one.row), error=mask(one.error)) for one in found]

    try:
        letters = looking_back(session, work)
    except NotFound:
        letters = []
    if session.json:
        present.emit(session, LetterList(letters=letters))
        return 0
    if not letters:
        session.say("there are no dead letters")
    paper = Paper()
    for letter in letters:
        run = letter.run
        said = f"{letter.error.get('code', '')}: {letter.error.get('message', '')}"
        paper.put(paper.glyph("failed"), " ", (run.workflow, "bold"), f"  {run.run}  {clock(run.updated)}  {said}")
        paper.command(session.hint("queue", "--requeue", run.run), indent=2)
    return 0


def _requeue(session: Session, prefix: str) -> int:
    async def work(engine: AsyncEngine) -> str:
        return await queue.requeue(engine.workspace, await engine.find(prefix))

    _say_queued(session, looking_back(session, work))
    return 0


def _say_queued(session: Session, run: str) -> None:
    if session.json:
        present.emit(session, shapes.Done(run=run, done="queued"))
        return
    paper = Paper()
    paper.put(paper.glyph("queued"), f" run {run} is queued")


def _drive(session: Session, most: int | None) -> int:
    engine = open_state(session.state)
    refused: list[shapes.Refused] = []

    def refuse(run: str, error: UsageError) -> None:
        refused.append(shapes.Refused(run=run, code=error.code, message=error.message, hint=error.hint))

    async def work(foreground: Foreground) -> list[shapes.Outcome]:
        def watch(run: str, seq: int, event: Event) -> None:
            if "." in run:
                return
            if isinstance(event.fact, DriverStarted):
                foreground.begun.append(run)
                session.say(f"run {run} starts")
            elif isinstance(event.fact, RunFinished):
                foreground.begun.remove(run)
                session.say(f"run {run} ends: {event.fact.status or event.fact.state}")

        engine.workspace.scheduler.watchers.append(watch)
        names = await queue.drive(engine.workspace, most, refuse)
        return [await foreground.outcome(name) for name in names]

    outcomes = drive_with(session, engine, work)
    code = worst([*(exit_code(o) for o in outcomes), *(WRONG_USE for _ in refused)])
    if session.json:
        present.emit(session, shapes.Outcomes(runs=outcomes, refused=refused))
        return code
    for one in refused:
        session.say(f"run {one.run}: {one.message}")
    if not outcomes and not refused:
        session.say("the queue is empty")
    paper = Paper()
    for outcome in outcomes:
        print_outcome(session, paper, outcome)
    return code
