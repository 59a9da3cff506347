"""``clew import``."""

from pathlib import Path

import click

from clew.cli import present, shapes
from clew.cli.command import command as declare
from clew.cli.opening import looking_back
from clew.cli.session import Session, pass_session
from clew.cli.terminal import Paper, plural
from clew.service.bundles import import_run
from clew.service.engine import AsyncEngine


@declare(
    "import",
    examples=[("clew import case.clew.gz --state elsewhere", "then clew show, clew replay")],
    shape=shapes.BundleDoc,
)
@click.argument("file", type=click.Path(path_type=Path))
@pass_session
def command(session: Session, file: Path) -> int:
    """Take in a run from a file that export wrote.

    Its chain is verified first; what does not hold is refused. A run that had not ended waits here until you resume it.
    """

    async def work(engine: AsyncEngine) -> shapes.BundleDoc:
        bundle = await import_run(engine.workspace, file)
        return shapes.BundleDoc(run=bundle.run, file=str(file), events=len(bundle.events), redacted=bundle.redacted)

    document = looking_back(session, work, create=True)
    if session.json:
        present.emit(session, document)
        return 0
    paper = Paper()
    kind = ", redacted" if document.redacted else ""
    paper.put(paper.glyph("success"), f" run {document.run}: {plural(document.events, 'event')}{kind}")
    session.say(f"look at it: {session.hint('show', document.run)}")
    return 0
