"""``clew run``."""

from contextlib import aclosing
from pathlib import Path
from typing import Any

import click

from clew.cli import shapes
from clew.cli.command import command as declare
from clew.cli.foreground import Foreground, answer, debugger_of, drive_with
from clew.cli.inputs import build, input_options, milliseconds
from clew.cli.session import Session, pass_session
from clew.core.errors import Conflict, UsageError
from clew.core.states import ENDED
from clew.runtime.host import Host
from clew.service import runs
from clew.service.engine import open_project

_MODES = ("implement", "analysis_only", "review", "dry_run", "safe_mode")


@declare(
    "run",
    examples=[
        ("clew run . --input-file input.json", "run the project here"),
        ("clew run . --set ticket.id=17 --set urgent=true", "build the input from single values"),
        ("clew run . --input '{}' --break join --step", "pause before nodes"),
        ("clew run . --input '{}' --json | jq .output", "for scripts"),
    ],
    shape=shapes.Outcome,
)
@click.argument("project", default=".", type=click.Path(path_type=Path))
@input_options
@click.option("--start", metavar="NODE", help="The start to begin at; else the default one.")
@click.option("--mode", type=click.Choice(_MODES), default="implement", show_default=True, help="What the run may do.")
@click.option("--timeout", metavar="TIME", help="End the run for good after this long: 30s, 5m, 24h.")
@click.option("--idempotency-key", metavar="KEY", default="", help="Work that is done once: again gives the same run.")
@click.option("--session", "session_name", metavar="NAME", default="", help="The session that the run belongs to.")
@click.option("--step", is_flag=True, help="Pause before every node.")
@click.option("--break", "breaks", metavar="NODE", multiple=True, help="Pause before this node; may be repeated.")
@click.option("--watch/--no-watch", default=None, help="Progress on stderr (default: unless it would be noise).")
@click.option("--stream/--no-stream", default=True, help="On a terminal, show what models say while they speak.")
@pass_session
def command(
    session: Session, project: Path, text: str | None, input_file: str | None, sets: tuple[str, ...], **options: Any
) -> int:
    """Run a project to its end, or until a human is needed.

    PROJECT is a directory with manifests. The input comes from --input or --input-file, then every --set; values are JSON
    where they are JSON, else text. Ctrl-C puts the run down in order, and clew resume goes on with it.
    """
    request = runs.RunRequest(
        input=build(text, input_file, sets),
        start=options["start"],
        mode=options["mode"],
        session=options["session_name"],
        timeout_ms=milliseconds(options["timeout"], "--timeout"),
        idempotency=options["idempotency_key"],
    )
    engine = open_project(project, session.state)
    graph = engine.plan.graph
    unknown = sorted(set(options["breaks"]) - {node.id for node in graph.nodes})
    if unknown:
        raise UsageError(f"--break: there is no node {', '.join(unknown)}")
    debugger = debugger_of(options["step"], options["breaks"])

    async def work(foreground: Foreground) -> shapes.Outcome:
        found: list[str] = []

        async def begin() -> Host:
            started = await runs.start(engine.workspace, engine.plan, engine.directory, request, debugger)
            if isinstance(started, Host):
                return started
            found.append(started)
            raise _DoneBefore

        try:
            return await foreground.drive(begin, graph)
        except _DoneBefore:
            return await _earlier(session, foreground, found[0])

    outcome = drive_with(session, engine, work, watch=options["watch"], stream=options["stream"])
    return answer(session, outcome)


class _DoneBefore(Exception):
    """The idempotency key names a run."""


async def _earlier(session: Session, foreground: Foreground, run: str) -> shapes.Outcome:
    """The run that was started under this key: its result; waited for while somebody drives it, taken up if nobody does."""
    engine = foreground.engine
    row = await engine.workspace.journal.row(run)
    if row.state in ENDED:
        session.say(f"this work was done by run {run}")
        return await foreground.outcome(run)
    try:
        return await foreground.drive(lambda: runs.resume(engine.workspace, run), engine.plan.graph, known=run)
    except Conflict as conflict:
        if conflict.code != "driven":
            raise
    session.say(f"another process drives run {run}; waiting for it")
    async with aclosing(engine.follow(run, row.head.seq)) as records:
        async for _ in records:
            pass
    return await foreground.outcome(run)
