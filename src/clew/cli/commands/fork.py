"""``clew fork``."""

import sys
from pathlib import Path
from typing import Any

import click

from clew.cli import present, shapes
from clew.cli.command import command as declare
from clew.cli.command import run_argument
from clew.cli.foreground import Foreground, drive_with
from clew.cli.inputs import pairs
from clew.cli.session import Session, pass_session
from clew.cli.summary import exit_code, print_outcome
from clew.cli.terminal import Paper, plural
from clew.core.errors import UsageError
from clew.service import fork as forking
from clew.service import runs
from clew.service.engine import open_state

_SHOWN = 12
"""Lines of each part of the preflight."""


@declare(
    "fork",
    examples=[
        ("clew fork r6a0f --at 12 --set total=3", "from event 12 on, with another output there"),
        ("clew fork r6a0f --at 1 --set urgent=true", "from the beginning, with another input"),
        ("clew fork r6a0f --at 12 --project . --dry-run", "what other manifests would keep and redo"),
        ("clew fork r6a1c --promote", "the fork stands in its parent's place"),
    ],
    shape=shapes.ForkDoc,
)
@run_argument
@click.option("--at", type=click.IntRange(1), metavar="SEQ", help="The last event to take over.")
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="PATH=VALUE",
    help="Change what event SEQ holds; an empty path is the whole.",
)
@click.option(
    "--project", type=click.Path(path_type=Path), metavar="DIR", help="Go on with these manifests and handlers."
)
@click.option("--dry-run", is_flag=True, help="Show the preflight, make nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--no-run", is_flag=True, help="Make the fork without running it; clew resume runs it.")
@click.option("--promote", is_flag=True, help="Record that this fork stands in its parent's place.")
@click.option("--discard", is_flag=True, help="Record that this fork is not wanted; it is cancelled if it runs.")
@click.option("--watch/--no-watch", default=None, help="Progress on stderr (default: unless it would be noise).")
@pass_session
def command(session: Session, run: str | None, at: int | None, sets: tuple[str, ...], **options: Any) -> int:
    """Branch a run off at an event, with other values or manifests.

    Finished nodes before the cut are kept, unfinished ones take what they had done from the journal up to the first request
    that differs. A preflight says what is kept and what is performed anew.
    """
    if options["promote"] or options["discard"]:
        return _settle(session, run, promote=options["promote"], discard=options["discard"])
    if at is None:
        raise UsageError("say where to fork: --at SEQ", hint="clew show RUN --events lists the numbers")
    values = pairs(sets, "--set")
    project: Path | None = options["project"]
    engine = open_state(session.state)

    async def work(foreground: Foreground) -> shapes.ForkDoc:
        name = await engine.find(run)
        plan, directory = runs.load_project(project) if project else (None, None)
        request = forking.ForkRequest(run=name, at=at, sets=values, plan=plan, directory=directory)
        prepared = await engine.prepare_fork(request)
        preflight = _doc(prepared.preflight)
        if not session.json and (options["dry_run"] or not session.quiet):
            _print(Paper(stderr=not options["dry_run"]), preflight)
        if options["dry_run"]:
            return shapes.ForkDoc(preflight=preflight, run=None, outcome=None)
        if not options["yes"] and not options["no_run"]:
            _confirm(preflight)
        fork = await forking.create(engine.workspace, prepared)
        if options["no_run"]:
            return shapes.ForkDoc(preflight=preflight, run=fork, outcome=None)
        outcome = await foreground.drive(
            lambda: engine.workspace.scheduler.adopt(fork, prepared.world),
            prepared.world.project.plan.graph,
            known=fork,
        )
        return shapes.ForkDoc(preflight=preflight, run=fork, outcome=outcome)

    document = drive_with(session, engine, work, watch=options["watch"])
    if session.json:
        present.emit(session, document)
    elif document.outcome is not None:
        print_outcome(session, Paper(), document.outcome)
        session.say(f"  compare    {session.hint('diff', document.preflight.parent, document.run or '')}")
    elif document.run:
        paper = Paper()
        paper.put(paper.glyph("queued"), f" fork {document.run} is made")
        session.say(f"run it with: {session.hint('resume', document.run)}")
    return exit_code(document.outcome) if document.outcome else 0


def _settle(session: Session, run: str | None, *, promote: bool, discard: bool) -> int:
    if promote and discard:
        raise UsageError("--promote and --discard exclude each other")
    if run is None:
        raise UsageError("name the fork")
    engine = open_state(session.state)

    async def work(foreground: Foreground) -> shapes.Done:
        name = await engine.find(run)
        act = forking.promote if promote else forking.discard
        await act(engine.workspace, name, engine.settings.user)
        return shapes.Done(run=name, done="promoted" if promote else "discarded")

    done = drive_with(session, engine, work)
    if session.json:
        present.emit(session, done)
    else:
        paper = Paper()
        paper.put(paper.glyph("success"), f" fork {done.run}: {done.done}")
    return 0


def _confirm(preflight: shapes.Preflight) -> None:
    if not sys.stdin.isatty():
        raise UsageError("a fork performs effects again: say --yes", hint="--dry-run shows which")
    if not click.confirm("Run this fork?", default=True, err=True):
        raise UsageError("nothing was forked")


def _doc(preflight: forking.Preflight) -> shapes.Preflight:
    return shapes.Preflight(
        parent=preflight.parent,
        at=preflight.at,
        kept=list(preflight.kept_nodes),
        replayed=list(preflight.reused_effects),
        entered_again=list(preflight.entered_again),
        performed_anew=list(preflight.performed_anew),
        changes=list(preflight.changes),
    )


def _print(paper: Paper, preflight: shapes.Preflight) -> None:
    paper.put((f"fork of {preflight.parent} at event {preflight.at}", "bold"))
    parts = (
        ("kept", "green", preflight.kept, "node"),
        ("replayed from the journal", "green", preflight.replayed, "effect"),
        ("entered again", "cyan", preflight.entered_again, "node"),
        ("performed anew, as far as the fork gets there", "yellow", preflight.performed_anew, "effect"),
        ("manifest changes", "magenta", preflight.changes, "change"),
    )
    for title, style, lines, word in parts:
        if not lines:
            continue
        paper.put((title, style), (f"  {plural(len(lines), word)}", "dim"), indent=2)
        for line in lines[:_SHOWN]:
            paper.put(line, indent=4)
        if len(lines) > _SHOWN:
            paper.put((f"and {len(lines) - _SHOWN:,} more", "dim"), indent=4)
