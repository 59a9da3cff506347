"""Scopes of memory on the command line."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from clew.cli.inputs import MAX_INPUT
from clew.cli.session import Session
from clew.core.errors import UsageError
from clew.service.context import Scoped, opened
from clew.service.settings import read

F = TypeVar("F", bound=Callable[..., Any])


def scope_option(function: F) -> F:
    """``--scope`` and ``--project``: which memory is meant."""
    project = click.option(
        "--project", type=click.Path(path_type=Path), help="The project whose memory it is, and how that is kept."
    )
    scope = click.option("--scope", default="", metavar="SCOPE", help="global, project:ID, session:ID or task:ID.")
    return project(scope(function))


@contextmanager
def here(session: Session, where: dict[str, Any], *, create: bool = False) -> Generator[Scoped]:
    """The scope that the options mean. Raises UsageError, NotFound, ManifestError."""
    scope, given = where["scope"], where["project"]
    project = project_of(where)
    if not scope and project is None:
        raise UsageError(
            "which memory?", hint="run this in a project's directory, or say --scope global, --scope project:ID …"
        )
    settings, implied = read(state=session.state), given is None
    with opened(settings, scope or "project", project, create=create, implied=implied) as scoped:
        yield scoped


def project_of(where: dict[str, Any]) -> Path | None:
    """The project that is meant: the one that is named, or the one that is here."""
    if where["project"] is None and any(Path(name).is_file() for name in _MANIFESTS):
        return Path()
    return where["project"]


def said(text: str | None) -> str:
    """The text, or stdin. Raises UsageError."""
    if text is not None:
        return text
    if sys.stdin.isatty():
        raise UsageError("--text is missing", hint="give it, or the text on stdin")
    try:
        read = sys.stdin.read(MAX_INPUT + 1)
    except UnicodeDecodeError as error:
        raise UsageError(f"stdin is no UTF-8 text: {error.reason} at byte {error.start}") from None
    if len(read) > MAX_INPUT:
        raise UsageError(
            f"stdin has more than {MAX_INPUT:,} characters", hint="clew context import cuts files into pieces"
        )
    return read


_MANIFESTS = ("clew.yaml", "clew.yml", "clew.json", "workflow.yaml", "workflow.yml", "workflow.json")
