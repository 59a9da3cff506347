"""``clew context merge``: by rules alone, or with an agent of the project for the conflicts, in a run."""

from pathlib import Path
from typing import Any, cast

import click

from clew.cli import present, shapes
from clew.cli.command import command as declare
from clew.cli.failures import FAILED, SUCCESS, printable
from clew.cli.foreground import Foreground, drive_with
from clew.cli.remembering import here, meta_option, metadata_of, project_of, said, scope_option
from clew.cli.session import Session, pass_session
from clew.cli.summary import exit_code
from clew.cli.telling import line
from clew.cli.terminal import money, plural
from clew.core.errors import Failure, UsageError
from clew.core.states import ENDED
from clew.gate.ports.context import Put
from clew.runtime.host import Host
from clew.runtime.merging import CONFLICT
from clew.service import merging, runs
from clew.service.engine import open_project
from clew.service.remembered import MergeAnswer

_MOST = 20
"""Conflicts that are told one by one."""


@declare(
    "merge",
    examples=[
        ("clew context merge note-1 --base 3 --text 'my version'", "though it is at version 5 by now"),
        ("clew context merge note-1 --base 3 --agent clerk < mine.txt", "an agent settles what is in conflict"),
    ],
    shape=MergeAnswer,
)
@click.argument("id_", metavar="ID")
@click.option("--base", type=int, required=True, metavar="VERSION", help="The version that yours was made from.")
@click.option("--text", help="Your text; without it, stdin.")
@meta_option("Metadata that you changed; the rest is as in that version.")
@click.option("--agent", metavar="NAME", help="The project's agent that settles conflicts, in a run.")
@scope_option
@pass_session
def merge(session: Session, id_: str, base: int, agent: str | None, **where: Any) -> int:
    """Merge your text with what others made of the same version.

    Text is merged by lines, JSON by keys. With conflicts nothing is written: the text is printed with markers where they are,
    and those of JSON, of metadata and of a document that was removed are told one by one. With --agent that agent is asked to
    settle them first, in a run: clew runs lists it, its cost is in clew costs, and clew resume goes on with it after a crash.
    What it cannot settle stays a conflict.
    """
    with here(session, where, "change") as scoped:
        theirs = scoped.made_of(base, id_, said(where["text"]), metadata_of(where["meta"]))
        if agent is None:
            return _told(session, id_, scoped.merge(base, theirs))
        scoped.unmerged(base, theirs)  # no run where there is no such base
    outcome = _driven(session, base, theirs, agent, where)
    return _told(session, id_, _answer(session, outcome, base, theirs, where), outcome)


def _answer(session: Session, outcome: shapes.Outcome, base: int, theirs: Put, where: dict[str, Any]) -> MergeAnswer:
    """What the run came to. Raises Failure where it ended by anything but a merge or a conflict."""
    if outcome.status == "success":
        return MergeAnswer(merged=True, conflicts=[], run=outcome.run, **outcome.output)
    if outcome.state not in ENDED:
        why = f"the run is {outcome.state}: {session.hint('resume', outcome.run)} goes on with it"
        return MergeAnswer(merged=False, version=0, conflicts=[], text="", why=why, run=outcome.run)
    error = cast("dict[str, Any]", outcome.error or {})
    if error.get("code") != CONFLICT:
        message, shown = f"run {outcome.run} {outcome.state}: {error.get('message')}", session.hint("show", outcome.run)
        raise Failure(message, code=str(error.get("code") or outcome.state), hint=f"{shown} looks at it")
    found: dict[str, Any] = error["details"]
    with here(session, where) as scoped:
        marked = scoped.unmerged(base, theirs)
    return MergeAnswer(
        merged=False, version=found["version"], conflicts=found["conflicts"], text=marked, by=found["by"], why=found["why"],
        run=outcome.run,
    )  # fmt: skip


def _driven(session: Session, base: int, theirs: Put, agent: str, where: dict[str, Any]) -> shapes.Outcome:
    """How the run stands that asks the agent. Raises Interrupted."""
    project = project_of(where)
    if project is None:
        raise UsageError("whose agent?", hint="run this in a project's directory, or say --project DIR")
    engine = open_project(Path(project), session.state)
    plan = merging.plan_for(engine.plan, agent)
    given: dict[str, Any] = {"id": theirs.id, "text": theirs.text, "base": base, "agent": agent}
    if where["meta"]:
        given["metadata"] = theirs.metadata
    request = merging.request_for(engine.plan, where["scope"] or "project", given)

    async def begin() -> Host:
        return cast("Host", await runs.start(engine.workspace, plan, engine.directory, request))

    async def work(foreground: Foreground) -> shapes.Outcome:
        return await foreground.drive(begin, plan.graph)

    return drive_with(session, engine, work)


def _told(session: Session, id_: str, answer: MergeAnswer, outcome: shapes.Outcome | None = None) -> int:
    if session.json:
        present.emit(session, answer)
    elif answer.merged:
        state = f"is merged, at version {answer.version}" if answer.version else "was removed, and stays so"
        session.say(f"{printable(id_)} {state}")
        for one in answer.settled:
            session.say(f"settled by {answer.by}: {printable(one['why'] or 'no reason given')}")
    elif answer.conflicts:
        session.write(printable(answer.text) + "\n")
        unmarked = [one for one in answer.conflicts if one["part"] != "text"]
        for one in unmarked[:_MOST]:
            session.say(_conflict(one))
        if len(unmarked) > _MOST:
            session.say(f"and {len(unmarked) - _MOST:,} more: --json has all")
        session.say(f"{plural(len(answer.conflicts), 'conflict')}; nothing was written")
    if not session.json and answer.why:
        session.say(printable(f"{answer.by}: {answer.why}" if answer.by else answer.why))
    if outcome is None:
        return SUCCESS if answer.merged else FAILED
    if not session.json:
        session.say(f"run {outcome.run}, {money(outcome.cost, outcome.unpriced)}")
    return exit_code(outcome)


def _conflict(one: dict[str, Any]) -> str:
    """A conflict that no marker in the text can show."""
    if one["part"] == "document":
        return f"in conflict: ours was removed, theirs is changed to {line(one['theirs'])}"
    sides = (f"{side} {line(one[side]) or '(no such key)'}" for side in ("ours", "theirs", "base"))
    return f"in conflict: {one['part']} {line(one['pointer']) or '(all of it)'}: {', '.join(sides)}"
