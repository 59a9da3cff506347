"""``clew runs``."""

from typing import Any

import click

from clew.cli import present, shapes
from clew.cli.command import command as declare
from clew.cli.opening import looking_back
from clew.cli.runlist import print_runs
from clew.cli.session import Session, pass_session
from clew.cli.terminal import Paper
from clew.core.errors import NotFound
from clew.gate.ports.journal import RunFilter
from clew.service.engine import AsyncEngine

_STATES = ("queued", "running", "waiting", "completed", "failed", "cancelled")


@declare(
    "runs",
    examples=[
        ("clew runs", "the newest runs"),
        ("clew runs --state-of waiting --state-of running", "what has not ended"),
        ("clew runs --workflow triage --limit 5 --json", "for scripts"),
    ],
    shape=shapes.RunList,
)
@click.argument("prefix", default="", metavar="[RUN]")
@click.option(
    "--state-of", "states", type=click.Choice(_STATES), multiple=True, help="Only runs in this state; may be repeated."
)
@click.option("--workflow", metavar="NAME", default="", help="Only runs of this workflow.")
@click.option("--children", is_flag=True, help="Child runs too.")
@click.option("--before", metavar="RUN", default="", help="Only runs older than this one: the next page.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="At most so many.")
@pass_session
def command(session: Session, prefix: str, states: tuple[Any, ...], limit: int, **options: Any) -> int:
    """List runs, newest first.

    RUN is the beginning of run ids to list.
    """
    where = RunFilter(
        states=states, workflow=options["workflow"], prefix=prefix, before=options["before"], limit=limit + 1,
        parent=None if options["children"] or "." in prefix else "",
    )  # fmt: skip

    async def work(engine: AsyncEngine) -> list[shapes.RunLine]:
        return [present.run_line(row) for row in await engine.runs(where)]

    try:
        found = looking_back(session, work)
    except NotFound:
        found = []
    document = shapes.RunList(runs=found[:limit], more=len(found) > limit)
    if session.json:
        present.emit(session, document)
        return 0
    if not found:
        session.say("no runs")
        return 0
    print_runs(Paper(), document.runs)
    if document.more:
        session.say(f"there are older ones: {session.hint('runs', '--before', document.runs[-1].run)}")
    return 0
