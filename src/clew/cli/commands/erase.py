"""``clew erase``."""

import sys

import click

from clew.cli import present, shapes
from clew.cli.command import command as declare
from clew.cli.command import run_argument
from clew.cli.opening import looking_back
from clew.cli.session import Session, pass_session
from clew.cli.terminal import Paper, plural
from clew.core.errors import UsageError
from clew.service.engine import AsyncEngine


@declare(
    "erase",
    examples=[
        ("clew erase r6a0f", "ask, then forget everything that went in and came out"),
        ("clew erase r6a0f --event 12 --event 14 --yes", "only what these events hold"),
    ],
    shape=shapes.ErasedDoc,
)
@run_argument
@click.option(
    "--event", "events", type=click.IntRange(1), multiple=True, metavar="SEQ", help="Only this event; may be repeated."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def command(session: Session, run: str | None, events: tuple[int, ...], yes: bool) -> int:
    """Forget a run's payloads; its chain stays whole.

    What happened, when, and what it cost can still be seen and verified; replay, fork and resume of the run are over. This
    cannot be undone.
    """
    if run is None:
        raise UsageError("name the run to erase", hint="clew runs lists them")

    async def name_of(engine: AsyncEngine) -> str:
        return await engine.find(run)

    name = looking_back(session, name_of)
    if not yes:
        _confirm(name, events)

    async def work(engine: AsyncEngine) -> int:
        return await engine.workspace.journal.erase(name, events or None)

    document = shapes.ErasedDoc(run=name, payloads=looking_back(session, work))
    if session.json:
        present.emit(session, document)
    else:
        paper = Paper()
        paper.put(paper.glyph("success"), f" run {name}: {plural(document.payloads, 'payload')} erased")
    return 0


def _confirm(run: str, events: tuple[int, ...]) -> None:
    if not sys.stdin.isatty():
        raise UsageError("erasing cannot be undone: say --yes", hint="or run it at a terminal, where it asks")
    what = f"the payloads of {plural(len(events), 'event')}" if events else "all payloads"
    if not click.confirm(f"Erase {what} of run {run} for ever?", err=True):
        raise UsageError("nothing was erased")
