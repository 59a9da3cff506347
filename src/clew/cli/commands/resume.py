"""``clew resume``."""

import click

from clew.cli import present, shapes
from clew.cli.command import command as declare
from clew.cli.command import run_argument
from clew.cli.failures import WRONG_USE
from clew.cli.foreground import Foreground, debugger_of, drive_with
from clew.cli.session import Session, pass_session, tell
from clew.cli.summary import exit_code, print_outcome, worst
from clew.cli.terminal import Paper
from clew.core.errors import ClewError
from clew.runtime.host import Debugger, Host
from clew.service import runs
from clew.service.engine import open_state


@declare(
    "resume",
    examples=[
        ("clew resume", "every run whose process died, and those that a timer is due for"),
        ("clew resume r6a0f", "one run; one that is paused goes on"),
        ("clew resume r6a0f --accept", "with handlers that were changed since"),
    ],
    shape=shapes.Outcomes,
)
@run_argument
@click.option("--accept", is_flag=True, help="Go on although the source of its handlers has changed.")
@click.option("--step", is_flag=True, help="Pause before every node.")
@click.option("--break", "breaks", metavar="NODE", multiple=True, help="Pause before this node; may be repeated.")
@click.option("--watch/--no-watch", default=None, help="Progress on stderr (default: unless it would be noise).")
@pass_session
def command(
    session: Session, run: str | None, accept: bool, step: bool, breaks: tuple[str, ...], watch: bool | None
) -> int:
    """Go on with an interrupted, paused or waiting run, or with all interrupted ones.

    Completed effects are answered from the journal, never repeated. Without RUN: all runs that have not ended and that no
    living process drives, except those that only wait for a human or for whoever paused them.
    """
    engine = open_state(session.state)
    refused: list[shapes.Refused] = []

    async def work(foreground: Foreground) -> list[shapes.Outcome]:
        names = [await engine.find(run)] if run else await _applicable(foreground)
        if not names:
            session.say("nothing to resume")
        outcomes: list[shapes.Outcome] = []
        for name in names:
            try:
                outcomes.append(await _one(foreground, name, accept, debugger_of(step, breaks)))
            except ClewError as error:
                if run:
                    raise
                if error.code == "driven":  # by a living process
                    continue
                refused.append(shapes.Refused(run=name, code=error.code, message=error.message, hint=error.hint))
        return outcomes

    outcomes = drive_with(session, engine, work, watch=watch)
    if session.json:
        present.emit(session, shapes.Outcomes(runs=outcomes, refused=refused))
    else:
        paper = Paper()
        for outcome in outcomes:
            print_outcome(session, paper, outcome)
        for no in refused:
            tell(f"error: run {no.run}: {no.message}" + (f"\n  hint: {no.hint}" if no.hint else ""))
    return worst([exit_code(o) for o in outcomes] + [WRONG_USE] * bool(refused))


async def _one(foreground: Foreground, run: str, accept: bool, debugger: Debugger | None) -> shapes.Outcome:
    workspace = foreground.engine.workspace
    row = await workspace.journal.row(run)
    plan = await workspace.recorded_plan(row.plan)

    async def begin() -> Host:
        host = await runs.resume(workspace, run, accept=accept, debugger=debugger)
        if host.machine.paused:
            with runs.passed_on(host):
                await host.unpause(foreground.engine.settings.user)
        return host

    return await foreground.drive(begin, plan.graph, known=run)


async def _applicable(foreground: Foreground) -> list[str]:
    """Leaves alone what only waits for somebody: taking it up would change nothing but its journal."""
    engine = foreground.engine
    chosen: list[str] = []
    for row in await runs.resumable(engine.workspace):
        try:
            view = await engine.inspect(row.run)
        except ClewError:
            chosen.append(row.run)  # what is wrong with it is said when it is taken up
            continue
        open_waits = {key for task in view.tasks for key in task["waits"]}
        asked = {w.key for w in await engine.waiting(row.run)} if row.state == "waiting" else set[str]()
        if not view.paused and not (open_waits and open_waits <= asked):
            chosen.append(row.run)
    return chosen
