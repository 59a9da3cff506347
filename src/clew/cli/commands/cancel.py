"""``clew cancel``."""

import click

from clew.cli import present, shapes
from clew.cli.command import command as declare
from clew.cli.command import run_argument
from clew.cli.foreground import Foreground, drive_with
from clew.cli.session import Session, pass_session
from clew.cli.terminal import Paper
from clew.core.errors import UsageError
from clew.service import runs
from clew.service.engine import open_state


@declare(
    "cancel",
    examples=[("clew cancel r6a0f --why 'wrong input'", "end it; what it has done stays recorded")],
    shape=shapes.Done,
)
@run_argument
@click.option("--why", metavar="TEXT", default="", help="The reason, for the record.")
@pass_session
def command(session: Session, run: str | None, why: str) -> int:
    """End a run now.

    Running bodies are stopped. A run that another process drives is ended by that process.
    """
    if run is None:
        raise UsageError("name the run to cancel", hint="clew runs lists them")
    engine = open_state(session.state)

    async def work(foreground: Foreground) -> shapes.Done:
        name = await engine.find(run)
        host = await runs.cancel(engine.workspace, name, why, engine.settings.user)
        if host is not None:
            await host.ended.wait()
            if host.error is not None:
                raise host.error
        return shapes.Done(run=name, done="cancelled", told=host is None)

    done = drive_with(session, engine, work)
    if session.json:
        present.emit(session, done)
        return 0
    paper = Paper()
    said = "told the process that drives it to cancel" if done.told else "cancelled"
    paper.put(paper.glyph("cancelled"), f" run {done.run}: {said}")
    return 0
