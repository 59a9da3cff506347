"""``clew new``."""

from pathlib import Path

import click

from clew.cli import present, shapes
from clew.cli.command import command as declare
from clew.cli.session import Session, pass_session
from clew.cli.terminal import Paper
from clew.manifest.scaffold import TEMPLATES, new_project


@declare(
    "new",
    examples=[("clew new invoices", "a small project that checks, runs and has a test")],
    shape=shapes.NewDoc,
)
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--template", type=click.Choice(sorted(TEMPLATES)), default="basic", show_default=True, help="What to write."
)
@pass_session
def command(session: Session, directory: Path, template: str) -> int:
    """Write a new project into a directory.

    Nothing that exists is overwritten.
    """
    files = [str(path) for path in new_project(directory, template)]
    if session.json:
        present.emit(session, shapes.NewDoc(directory=str(directory), files=files))
        return 0
    paper = Paper()
    for file in files:
        paper.put(file, indent=2)
    session.say(f"try: cd {directory} && clew check . && clew run . --input-file input.json")
    return 0
