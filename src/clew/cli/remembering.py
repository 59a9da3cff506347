"""Memory on the command line: which scope is meant, which documents, and their metadata."""

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from clew.cli.inputs import MAX_INPUT, loose, parse
from clew.cli.session import Session
from clew.context.filters import filter_kv
from clew.core.errors import ManifestError, UsageError
from clew.service.context import Scoped, Use, opened
from clew.service.settings import read

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def scope_option(function: F) -> F:
    """``--scope`` and ``--project``: which memory is meant."""
    project = click.option(
        "--project", type=click.Path(path_type=Path), help="The project whose memory it is, and how that is kept."
    )
    scope = click.option("--scope", default="", metavar="SCOPE", help="global, project:ID, session:ID or task:ID.")
    return project(scope(function))


def filter_options(function: F) -> F:
    """``--filter-kv`` and ``--filter-json``: see ``filter_of``."""
    pairs = click.option(
        "--filter-kv", multiple=True, metavar="KEY=VALUE", help="Only such documents: lang=en, year>=2020 …"
    )
    whole = click.option("--filter-json", metavar="JSON", help='The same as JSON: {"term": {"lang": "en"}} …')
    return pairs(whole(function))


def filter_of(options: dict[str, Any]) -> dict[str, Any] | None:
    """The filter that the options mean; None: none. Raises UsageError."""
    parts: list[dict[str, Any]] = []
    if options["filter_kv"]:
        parts.append(filter_kv(options["filter_kv"]))
    if options["filter_json"] is not None:  # an empty text is no filter, and no script means all by it
        given = parse(options["filter_json"], "--filter-json")
        if given is None:
            raise UsageError("--filter-json is null, which filters nothing", hint="leave it out, if that is meant")
        parts.append(given)
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else {"op": "and", "args": parts}


def meta_option(text: str) -> Callable[[F], F]:
    """``--meta``: see ``metadata_of``."""
    return click.option("--meta", multiple=True, metavar="KEY=VALUE", help=text)


def metadata_of(pairs: Sequence[str]) -> dict[str, Any]:
    """Raises UsageError."""
    metadata: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise UsageError(f"--meta {pair!r}: it is KEY=VALUE")
        metadata[name] = loose(value)
    return metadata


@contextmanager
def here(session: Session, where: dict[str, Any], use: Use = "look") -> Generator[Scoped]:
    """The scope that the options mean; it can be looked at though the manifests that are here are broken. Raises UsageError,
    NotFound, ManifestError."""
    scope, given = where["scope"], where["project"]
    project = project_of(where)
    if not scope and project is None:
        raise UsageError(
            "which memory?", hint="run this in a project's directory, or say --scope global, --scope project:ID …"
        )
    settings, implied = read(state=session.state), given is None

    def entered(project: Path | None) -> Scoped:
        return stack.enter_context(opened(settings, scope or "project", project, use=use, implied=implied))

    with ExitStack() as stack:
        # A project that cannot be read may keep it elsewhere, or otherwise: nothing is written then.
        yield entered(project) if use != "look" or scope in ("", "project") else despite(session, where, entered)


def despite(session: Session, where: dict[str, Any], work: Callable[[Path | None], T]) -> T:
    """``work`` with the project that is meant; without it where its manifests are broken and nobody named it. Raises as it does."""
    project = project_of(where)
    try:
        return work(project)
    except ManifestError:
        if project is None or where["project"] is not None:
            raise
        session.say("without the project that is here, whose manifests have problems: clew check")
        return work(None)


def meant(where: dict[str, Any]) -> list[str]:
    """``--scope`` and ``--project`` as they were given, for a command line to copy."""
    return [word for name in ("scope", "project") if where[name] for word in (f"--{name}", str(where[name]))]


def project_of(where: dict[str, Any]) -> Path | None:
    """The project that is meant: the one that is named, or the one that is here."""
    if where["project"] is None and any(Path(name).is_file() for name in _MANIFESTS):
        return Path()
    return where["project"]


def said(text: str | None) -> str:
    """The text, or stdin. Raises UsageError."""
    if text is not None:
        return _checked(text.encode(errors="surrogatepass"), "--text")
    if sys.stdin.isatty():
        raise UsageError("--text is missing", hint="give it, or the text on stdin")
    data = sys.stdin.buffer.read(MAX_INPUT + 1)
    if len(data) > MAX_INPUT:
        raise UsageError(f"stdin has more than {MAX_INPUT:,} bytes", hint="clew context import cuts files into pieces")
    return _checked(data, "stdin").replace("\r\n", "\n").replace("\r", "\n")


def _checked(data: bytes, where: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{where} is no UTF-8 text: {error.reason} at byte {error.start}") from None


_MANIFESTS = ("clew.yaml", "clew.yml", "clew.json", "workflow.yaml", "workflow.yml", "workflow.json")
