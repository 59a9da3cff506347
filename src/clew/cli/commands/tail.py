"""``clew tail``."""

from contextlib import aclosing

import click

from clew.cli import present, shapes
from clew.cli.command import command as declare
from clew.cli.command import run_argument
from clew.cli.events import line_of
from clew.cli.foreground import Foreground, drive_with
from clew.cli.session import Session, pass_session
from clew.cli.terminal import Paper
from clew.core.states import ENDED
from clew.service.engine import open_state


@declare(
    "tail",
    examples=[("clew tail r6a0f", "until the run ends"), ("clew tail --json | jq -c .type", "for scripts")],
    shape=shapes.EventDoc,
    lines=True,
)
@run_argument
@click.option("--after", type=click.IntRange(0), default=0, metavar="SEQ", help="Only events after this one.")
@click.option("--payloads", is_flag=True, help="Show what the events hold.")
@pass_session
def command(session: Session, run: str | None, after: int, payloads: bool) -> int:
    """Follow a run's events as they come, also from another process.

    Ends with the run. A run that waits may go on in whatever process; this one only looks.
    """
    engine = open_state(session.state)
    paper = Paper()

    async def work(foreground: Foreground) -> None:
        name = await engine.find(run)
        row = await engine.workspace.journal.row(name)
        if row.state not in ENDED and not row.owner:
            session.say(f"no process drives run {name} now ({row.state}); Ctrl-C ends this")
        async with aclosing(engine.follow(name, after)) as records:
            async for record in records:
                document = present.event(engine.workspace, record, payload=True)
                if session.json:
                    present.emit_line(session, document)
                else:
                    line_of(paper, document, payload=payloads)
                if session.closed or paper.quiet:
                    return

    drive_with(session, engine, work)
    return 0
