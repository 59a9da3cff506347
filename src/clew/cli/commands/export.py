"""``clew export``."""

from pathlib import Path

import click

from clew.cli import present, shapes
from clew.cli.command import command as declare
from clew.cli.command import run_argument
from clew.cli.opening import looking_back
from clew.cli.session import Session, pass_session
from clew.cli.terminal import Paper, plural
from clew.service.bundles import SUFFIX, export_run
from clew.service.engine import AsyncEngine


@declare(
    "export",
    examples=[
        ("clew export r6a0f", f"to <run>{SUFFIX} in this directory"),
        ("clew export r6a0f -o case.clew.gz --redacted", "without contents: to verify and read, not to replay"),
    ],
    shape=shapes.BundleDoc,
)
@run_argument
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="FILE", help="The file to write.")
@click.option("--redacted", is_flag=True, help="Leave every payload out.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
@pass_session
def command(session: Session, run: str | None, out: Path | None, redacted: bool, force: bool) -> int:
    """Write a run to one file.

    The file holds the run's events, chain, contents and plan; without --redacted it holds secrets as the run does, and only you
    can read it.
    """

    async def work(engine: AsyncEngine) -> shapes.BundleDoc:
        name = await engine.find(run)
        path = out or Path(f"{name}{SUFFIX}")
        bundle = await export_run(engine.workspace, name, path, redacted=redacted, overwrite=force)
        return shapes.BundleDoc(run=name, file=str(path), events=len(bundle.events), redacted=redacted)

    document = looking_back(session, work)
    if session.json:
        present.emit(session, document)
    else:
        paper = Paper()
        kind = ", redacted" if redacted else ""
        paper.put(
            paper.glyph("success"), f" {document.file}: run {document.run}, {plural(document.events, 'event')}{kind}"
        )
    return 0
