"""``clew queue``."""

from pathlib import Path
from typing import Any

import click

from clew.cli import present, shapes
from clew.cli.command import command as declare
from clew.cli.command import group
from clew.cli.foreground import Foreground, drive_with
from clew.cli.inputs import build, input_options, milliseconds
from clew.cli.opening import looking_back
from clew.cli.runlist import print_runs
from clew.cli.session import Session, pass_session
from clew.cli.summary import exit_code, print_outcome, worst
from clew.cli.terminal import Paper
from clew.core.errors import NotFound
from clew.core.events import DriverStarted, Event, RunFinished
from clew.gate.ports.journal import RunFilter
from clew.service import runs
from clew.service.engine import AsyncEngine, open_project, open_state

_ALL = 100_000


@group(
    "queue",
    subcommands="[add …]",
    examples=[
        ("clew queue add . --set ticket.id=17", "put a run into the queue"),
        ("clew queue", "what is queued, oldest first"),
        ("clew queue --run --max 4", "drive everything queued, four runs at a time"),
    ],
    shape=shapes.RunList | shapes.Outcomes,
)
@click.option("--run", "drive", is_flag=True, help="Drive everything queued, oldest first.")
@click.option("--max", "most", type=click.IntRange(1), metavar="N", help="Runs at once (scheduler.max_concurrency).")
@click.pass_context
def command(ctx: click.Context, drive: bool, most: int | None) -> int:
    """List, fill or drive the queue of runs.

    A run that waits for a human holds no place. With --json: the list, or with --run the outcomes.
    """
    session = ctx.ensure_object(Session)
    if ctx.invoked_subcommand is not None:
        return 0
    return _drive(session, most) if drive else _list(session)


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

    run = drive_with(session, engine, work)
    if session.json:
        present.emit(session, shapes.Done(run=run, done="queued"))
    else:
        paper = Paper()
        paper.put(paper.glyph("queued"), f" run {run} is queued")
    return 0


command.add_command(add)


def _list(session: Session) -> int:
    async def work(engine: AsyncEngine) -> list[shapes.RunLine]:
        rows = await engine.runs(RunFilter(states=("queued",), limit=_ALL))
        return [present.run_line(row) for row in sorted(rows, key=lambda r: (r.created, r.run))]

    try:
        queued = looking_back(session, work)
    except NotFound:
        queued = []
    if session.json:
        present.emit(session, shapes.RunList(runs=queued, more=False))
    elif queued:
        print_runs(Paper(), queued)
    else:
        session.say("the queue is empty")
    return 0


def _drive(session: Session, most: int | None) -> int:
    engine = open_state(session.state)

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
        names = await runs.run_queued(engine.workspace, most)
        return [await foreground.outcome(name) for name in names]

    outcomes = drive_with(session, engine, work)
    if session.json:
        present.emit(session, shapes.Outcomes(runs=outcomes))
        return worst([exit_code(o) for o in outcomes])
    if not outcomes:
        session.say("the queue is empty")
    paper = Paper()
    for outcome in outcomes:
        print_outcome(session, paper, outcome)
    return worst([exit_code(o) for o in outcomes])
