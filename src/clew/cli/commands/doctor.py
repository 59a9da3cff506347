"""``clew doctor``."""

import asyncio

from clew.cli import present, shapes
from clew.cli.command import command as declare
from clew.cli.session import Session, pass_session
from clew.cli.terminal import Paper
from clew.service.doctor import examine, status_of
from clew.service.settings import read

_CODES = {"healthy": 0, "unhealthy": 1, "degraded": 2}
_GLYPHS = {"ok": "success", "degraded": "partial", "failed": "failure"}
_STATUS = {"healthy": "success", "degraded": "partial", "unhealthy": "failure"}


@declare(
    "doctor",
    examples=[("clew doctor", "0 healthy, 1 unhealthy, 2 degraded"), ("clew doctor --json", "as a health check")],
    shape=shapes.DoctorDoc,
)
@pass_session
def command(session: Session) -> int:
    """Check this machine and the state directory.

    Python, SQLite and its durability, disk space, the health of the state directory, the sandbox, dependencies. Exit codes are
    this command's own: 0 healthy, 1 unhealthy, 2 degraded.
    """
    checks = asyncio.run(examine(read(state=session.state)))
    status = status_of(checks)
    if session.json:
        lines = [shapes.CheckLine(name=c.name, verdict=c.verdict, message=c.message, hint=c.hint) for c in checks]
        present.emit(session, shapes.DoctorDoc(status=status, checks=lines))
        return _CODES[status]
    paper = Paper()
    width = max(len(check.name) for check in checks)
    for check in checks:
        paper.put(paper.glyph(_GLYPHS[check.verdict]), f" {check.name:<{width}}  ", check.message)
        if check.hint:
            paper.put((check.hint, "dim"), indent=width + 4)
    paper.put(paper.glyph(_STATUS[status]), (f" {status}", "bold"))
    return _CODES[status]
