"""``clew milestones``."""

import msgspec
from rich.text import Text

from clew.cli import present
from clew.cli.command import command as declare
from clew.cli.command import run_argument
from clew.cli.opening import looking_back
from clew.cli.session import Session, pass_session
from clew.cli.terminal import Paper, clock, duration
from clew.service.engine import AsyncEngine
from clew.service.milestones import Milestone, milestones

_GLYPHS = {"planned": "queued", "started": "running", "done": "completed", "dropped": "cancelled"}
_MOST_GOAL = 200


class MilestoneList(msgspec.Struct, frozen=True, kw_only=True):
    """In the order in which they were planned."""

    run: str
    milestones: list[Milestone]


@declare(
    "milestones",
    examples=[
        ("clew milestones", "of the newest run"),
        ("clew milestones r6a0f --json", "for scripts"),
    ],
    shape=MilestoneList,
)
@run_argument
@pass_session
def command(session: Session, run: str | None) -> int:
    """Show what a run's planner planned, how far it is, and what is late."""

    async def work(engine: AsyncEngine) -> tuple[MilestoneList, int]:
        name, workspace = await engine.find(run), engine.workspace
        now = workspace.clock.now()
        found = await milestones(workspace.journal, name, now)
        mask = workspace.redactor.value
        lines = [msgspec.convert(mask(msgspec.to_builtins(one)), Milestone) for one in found]
        return MilestoneList(run=name, milestones=lines), now

    document, now = looking_back(session, work)
    if session.json:
        present.emit(session, document)
        return 0
    if not document.milestones:
        session.say(f"run {document.run} planned no milestones")
        return 0
    paper, goal = Paper(), ""
    for one in document.milestones:
        if one.goal != goal:
            goal = one.goal
            paper.put((" ".join(goal.split())[:_MOST_GOAL], "bold"))
        paper.put(" ", paper.glyph(_GLYPHS[one.state]), f" {one.id}  {one.title}", *_remark(one, now))
        if one.note:
            paper.put((one.note, "dim"), indent=4)
    return 0


def _remark(one: Milestone, now: int) -> list[Text | tuple[str, str]]:
    """When it is due or ended, and by how much it is late."""
    parts: list[Text | tuple[str, str]] = []
    if one.state in ("done", "dropped") and one.ended is not None:
        parts.append((f"  {one.state} {clock(one.ended)}", "dim"))
    else:
        parts.append((f"  {one.state}" + (f", due {clock(one.due)}" if one.due is not None else ""), "dim"))
    if one.late and one.due is not None:
        parts.append((f"  late by {duration((one.ended or now) - one.due)}", "red"))
    return parts
