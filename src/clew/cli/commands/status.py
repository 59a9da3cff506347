"""``clew status``."""

import msgspec

from clew.cli import present
from clew.cli.command import command as declare
from clew.cli.opening import looking_back
from clew.cli.session import Session, pass_session
from clew.cli.terminal import Paper
from clew.core.errors import NotFound
from clew.service.engine import AsyncEngine
from clew.service.queue import Standing, standing

NOTHING = Standing(queued=0, running=0, interrupted=0, waiting=0, dead=0, workers=0)


class StatusDoc(msgspec.Struct, frozen=True, kw_only=True):
    """How the state directory stands: how many runs, without child runs, are in which state."""

    ok: bool
    """It could be read."""
    queued: int
    workers: int
    """Living processes that drive runs."""
    stopped: bool
    """No process drives a run."""
    running: int
    """Runs that a living process drives."""
    interrupted: int
    """Runs that had begun and that no living process drives: ``clew resume`` goes on with them."""
    waiting: int
    """Runs that wait: for a human, a time, a child run."""
    dead: int
    """Dead letters: queued runs that failed and were not put into the queue again."""


@declare(
    "status",
    examples=[
        ("clew status", "what is queued, running, waiting, given up"),
        ("clew status --json | jq .queued", "for scripts"),
    ],
    shape=StatusDoc,
)
@pass_session
def command(session: Session) -> int:
    """Say how many runs are queued, running, waiting and given up, and who works on them."""
    found = look(session)
    if session.json:
        document = StatusDoc(ok=True, stopped=not found.workers, **msgspec.structs.asdict(found))
        present.emit(session, document)
        return 0
    paper = Paper()
    for name, number, advice in (
        ("queued", found.queued, session.hint("queue", "--run")),
        ("running", found.running, ""),
        ("interrupted", found.interrupted, session.hint("resume")),
        ("waiting", found.waiting, session.hint("runs", "--state-of", "waiting")),
        ("dead letters", found.dead, session.hint("queue", "--dead")),
        ("workers", found.workers, ""),
    ):
        shown = (f"   {advice}", "dim") if number and advice else ""
        paper.put(f"{name:<13}", (f"{number:>5,}", "bold" if number else "dim"), shown)
    return 0


def look(session: Session) -> Standing:
    """How the queue stands; all noughts where nothing is kept."""

    async def work(engine: AsyncEngine) -> Standing:
        return await standing(engine.workspace)

    try:
        return looking_back(session, work)
    except NotFound:
        return NOTHING
