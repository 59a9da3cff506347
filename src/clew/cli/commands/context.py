"""``clew context``: memory, by hand."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.table import Table
from rich.text import Text

from clew.cli import present
from clew.cli.command import command as declare
from clew.cli.command import group
from clew.cli.commands.query import search_options, searched, tell_vectors
from clew.cli.failures import SUCCESS, printable
from clew.cli.inputs import parse
from clew.cli.merging import merge
from clew.cli.remembering import here, project_of, said, scope_option
from clew.cli.session import Session, pass_session
from clew.cli.terminal import Paper, clock, plural
from clew.context.graph.walk import When
from clew.context.ingest.files import Options, Report
from clew.context.versions import Difference
from clew.core.errors import UsageError
from clew.gate.ports.context import Put
from clew.service.context import (
    Document,
    Embedded,
    GraphAnswer,
    Imported,
    SearchAnswer,
    Snapshot,
    statistics,
)
from clew.service.embedding import Filled
from clew.service.settings import read

_EVERY_S = 0.5
_LONGEST_TAG = 200


class Documents(msgspec.Struct, frozen=True):
    documents: list[Document]


class Snapshots(msgspec.Struct, frozen=True):
    snapshots: list[Snapshot]


class Changed(msgspec.Struct, frozen=True):
    """How many documents were changed."""

    scope: str
    changed: int


class Statistics(msgspec.Struct, frozen=True):
    """One object a scope: documents, bytes, embedder, what the indexes hold."""

    scopes: list[dict[str, Any]]


@group(
    "context",
    subcommands="add | import | search | embed | get | history | remove | merge | graph | snapshot | diff | rollback | stats …",
    examples=[
        ("clew context import docs/ --scope project:demo", "remember a folder"),
        ("clew context search 'how is a run resumed?' --scope project:demo", "and find it again"),
    ],
    shape="one document for each of its commands",
)
@click.pass_context
def command(ctx: click.Context) -> int:
    """Look into memory, and change it: documents, their versions, snapshots, the graph.

    A scope is global, project:ID, session:ID or task:ID; in a project's directory, or with --project, it is that project unless
    said otherwise.
    """
    if ctx.invoked_subcommand is None:
        raise click.UsageError("a command is missing: clew context stats, search, import …", ctx)
    return SUCCESS


@declare(
    "add",
    examples=[("clew context add note-1 --text 'The pump leaks.' --meta tags='[\"notes\"]'", "keep a note")],
    shape=Document,
)
@click.argument("id_", metavar="ID")
@click.option("--text", help="The text; without it, stdin.")
@click.option(
    "--meta", multiple=True, metavar="KEY=VALUE", help="Metadata; the value is JSON where it is JSON, else text."
)
@click.option("--expected", type=int, metavar="VERSION", help="Only where this is the version that is there; 0: none.")
@scope_option
@pass_session
def add(session: Session, id_: str, text: str | None, meta: tuple[str, ...], expected: int | None, **where: Any) -> int:
    """Keep a document, in place of the one with this id."""
    put = Put(id=id_, text=said(text), metadata=_metadata(meta), expected=expected)
    with here(session, where, create=True) as scoped:
        document = scoped.add(put)
        tell_vectors(session, scoped.embedded)
    return _answer(session, document, f"{printable(id_)} is at version {document.version} in {document.scope}")


@declare(
    "import",
    examples=[
        ("clew context import docs/ README.md --tag docs", "Markdown, code, text, HTML, CSV and PDF"),
        ("clew context import docs/ --prune", "again, and without the documents of files that are gone"),
        ("clew context import notes.jsonl --scope global", 'lines of {"id", "text", "metadata"}'),
    ],
    shape=Imported,
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--tag", "tags", multiple=True, help="A tag for every document; may be repeated.")
@click.option("--no-graph", is_flag=True, help="Extract no relations.")
@click.option("--prune", is_flag=True, help="Remove documents of these folders whose files are gone.")
@scope_option
@pass_session
def import_(
    session: Session, paths: tuple[Path, ...], tags: tuple[str, ...], no_graph: bool, prune: bool, **where: Any
) -> int:
    """Remember files and folders.

    What is there already is passed over, so an import that was interrupted goes on where it was. Folders whose names begin
    with a dot, dependencies and build results are left out. Documents are named FOLDER/PATH#PIECE, or FILE#PIECE; another
    folder of the same name gets names of its own. With --prune the documents of files that a folder no longer has are removed;
    never where there is nothing to read: a disk may not be mounted.
    """
    odd = [tag for tag in tags if not 0 < len(tag) <= _LONGEST_TAG or not tag.isprintable()]
    if odd:
        raise UsageError(f"--tag {odd[0]!a:.60}: a tag has 1 to {_LONGEST_TAG} characters, all printable")
    last = 0.0

    def told(report: Report, name: str) -> None:
        nonlocal last
        if time.monotonic() - last > _EVERY_S:
            last = time.monotonic()
            session.say(f"{plural(report.files, 'file')}, {plural(report.documents, 'document')}: {printable(name)}")

    with here(session, where, create=True) as scoped:
        done = scoped.import_files(paths, Options(tags=tags, graph=not no_graph, prune=prune), told)
    tell_vectors(session, done.embedding)
    for one in done.skipped:
        session.say(f"left out: {printable(one['path'])}: {printable(one['why'])}")
    if done.gone:
        session.say(f"{_are(done.gone)} of files that are gone: --prune removes them")
    if done.unsure:
        session.say(f"{_are(done.unsure)} of files in folders that cannot be read, or are empty: they stay")
    said = f"{plural(done.documents, 'document')} from {plural(done.files, 'file')} in {done.scope}"
    return _answer(
        session, done, f"{said}; {done.unchanged} unchanged, {done.removed} removed, {len(done.skipped)} left out"
    )


@declare(
    "search",
    examples=[("clew context search 'leaking pump' --k 3 --filter-kv tags=notes", "the three best")],
    shape=SearchAnswer,
)
@search_options
@scope_option
@pass_session
def search(session: Session, words: tuple[str, ...], **options: Any) -> int:
    """Find documents by meaning and by words; clew query does the same."""
    return searched(session, " ".join(words), options)


@declare(
    "embed",
    examples=[("clew context embed", "after another embedding model was declared")],
    shape=Embedded,
)
@scope_option
@pass_session
def embed(session: Session, **where: Any) -> int:
    """Make the vectors that are missing, by the embedding model that the project declares.

    Documents have none by it when the model was changed, or did not answer when they came. What was made stays: a command that
    was stopped goes on where it was.
    """
    last = 0.0

    def told(filled: Filled, of: int) -> None:
        nonlocal last
        if time.monotonic() - last > _EVERY_S:
            last = time.monotonic()
            session.say(f"{filled.documents:,} of {plural(of, 'document')}")

    with here(session, where) as scoped:
        done = scoped.embed(told)
    for one in done.refused:
        session.say(f"refused: {printable(one['id'])}: {printable(one['why'])}")
    if session.json:
        present.emit(session, done)
    else:
        tell_vectors(session, done)
    return SUCCESS


@declare("get", examples=[("clew context get note-1 --json", "a document with its metadata")], shape=Document)
@click.argument("id_", metavar="ID")
@scope_option
@pass_session
def get(session: Session, id_: str, **where: Any) -> int:
    """Print a document as it is now."""
    with here(session, where) as scoped:
        document = scoped.document(id_)
    return _answer(session, document, printable(document.text), out=True)


@declare("history", examples=[("clew context history note-1", "who wrote what, and when")], shape=Documents)
@click.argument("id_", metavar="ID")
@scope_option
@pass_session
def history(session: Session, id_: str, **where: Any) -> int:
    """List the versions of a document, oldest first."""
    with here(session, where) as scoped:
        versions = scoped.history(id_)
    table = _table("version", "from", "written", "by", "text")
    for one in versions:
        text = "(removed)" if one.deleted else one.text
        table.add_row(
            str(one.version),
            str(one.parent_version or "-"),
            clock(one.at),
            Text(printable(one.origin)),
            Text(_brief(text)),
        )
    return _listed(session, Documents(versions), table)


@declare("remove", examples=[("clew context remove note-1 note-2", "their history stays")], shape=Changed)
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@scope_option
@pass_session
def remove(session: Session, ids: tuple[str, ...], **where: Any) -> int:
    """Remove documents; their history stays."""
    with here(session, where) as scoped:
        changed = Changed(scoped.scope, scoped.remove(ids))
    return _answer(session, changed, f"{plural(changed.changed, 'document')} removed from {changed.scope}")


@declare(
    "graph",
    examples=[
        ("clew context graph Engine", "what is stated of it"),
        ("clew context graph Engine --to sqlite3 --hops 4", "how the two hang together"),
    ],
    shape=GraphAnswer,
)
@click.argument("entity")
@click.option("--to", "goal", metavar="ENTITY", help="Walks to this entity.")
@click.option("--hops", type=click.IntRange(1, 6), default=None, help="Facts of a walk at most (1; with --to 3).")
@click.option("--valid-at", type=int, metavar="MS", help="Facts that held then, in ms since the epoch.")
@click.option("--known-at", type=int, metavar="MS", help="As it was known then.")
@scope_option
@pass_session
def graph(
    session: Session,
    entity: str,
    goal: str | None,
    hops: int | None,
    valid_at: int | None,
    known_at: int | None,
    **where: Any,
) -> int:
    """Show the facts around an entity, or the walks from it to others."""
    steps = hops or (3 if goal is not None else 1)
    with here(session, where) as scoped:
        answer = scoped.graph(entity, goal, steps, When(valid_at=valid_at, known_at=known_at))
    lines = [
        f"{one.subject}  {one.relation}  {one.object}   [{one.document}{one.by and f', read by {one.by}'}]"
        for one in answer.facts
    ]
    for path in answer.paths:
        told = [path.entities[0]]
        for fact, entity_ in zip(path.facts, path.entities[1:], strict=True):
            told.append(f"-{fact.relation}-> {entity_}" if fact.object == entity_ else f"<-{fact.relation}- {entity_}")
        lines.append("  ".join(told) + f"   [{', '.join(fact.document for fact in path.facts)}]")
    return _answer(session, answer, printable("\n".join(lines) or "nothing leads there"), out=True)


@declare("snapshot", examples=[("clew context snapshot before-import", "label what is there now")], shape=Snapshots)
@click.argument("label", required=False)
@scope_option
@pass_session
def snapshot(session: Session, label: str | None, **where: Any) -> int:
    """Label everything as it is now; without a LABEL, list the snapshots."""
    with here(session, where) as scoped:
        found = [scoped.snapshot(label)] if label else list(scoped.snapshots().values())
    table = _table("label", "place", "set")
    for one in found:
        table.add_row(Text(one.label), str(one.place), clock(one.at))
    return _listed(session, Snapshots(found), table)


@declare("diff", examples=[("clew context diff before-import now", "what the import changed")], shape=Difference)
@click.argument("a")
@click.argument("b", default="now")
@scope_option
@pass_session
def diff(session: Session, a: str, b: str, **where: Any) -> int:
    """Compare two snapshots, or one with what is there now."""
    with here(session, where) as scoped:
        found = scoped.difference(a, b)
    lines = [
        f"{mark} {name}"
        for mark, names in (("+", found.added), ("-", found.removed), ("~", found.changed))
        for name in names
    ]
    return _answer(session, found, printable("\n".join(lines) or "nothing changed"), out=True)


@declare(
    "rollback", examples=[("clew context rollback before-import", "by new versions: nothing is lost")], shape=Changed
)
@click.argument("label")
@scope_option
@pass_session
def rollback(session: Session, label: str, **where: Any) -> int:
    """Make what was there at a snapshot be there again, by new versions."""
    with here(session, where) as scoped:
        changed = Changed(scoped.scope, scoped.rollback(label))
    return _answer(session, changed, f"{plural(changed.changed, 'document')} of {changed.scope} as at {label}")


@declare("stats", examples=[("clew context stats", "every scope of this state directory")], shape=Statistics)
@scope_option
@pass_session
def stats(session: Session, **where: Any) -> int:
    """Say what is kept: documents, size, embedder, indexes."""
    if where["scope"]:
        with here(session, where) as scoped:
            found = [scoped.stats()]
    else:
        found = statistics(read(state=session.state), project_of(where))
    table = _table("scope", "documents", "bytes", "embedder", "facts", "snapshots")
    for one in found:
        facts = one["graph"]["facts"]
        values = (one["documents"], one["bytes"], one["embedder"], facts, one["snapshots"])
        table.add_row(Text(one["scope"]), *(f"{v:,}" if isinstance(v, int) else Text(printable(v)) for v in values))
    return _listed(session, Statistics(found), table)


for _one in (add, import_, search, embed, get, history, remove, merge, graph, snapshot, diff, rollback, stats):
    command.add_command(_one)


def _metadata(pairs: tuple[str, ...]) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise UsageError(f"--meta {pair!r}: it is KEY=VALUE")
        try:
            metadata[name] = parse(value, "--meta")
        except UsageError:
            metadata[name] = value
    return metadata


def _are(documents: int) -> str:
    return f"{plural(documents, 'document')} {'is' if documents == 1 else 'are'}"


def _answer(session: Session, document: Any, text: str, *, out: bool = False) -> int:
    """``text`` is the result itself (``out``), or a word on what was done."""
    tell: Callable[[str], None] = (lambda said: session.write(said + "\n")) if out else session.say
    if session.json:
        present.emit(session, document)
    else:
        tell(text)
    return SUCCESS


def _listed(session: Session, document: Any, table: Table) -> int:
    if session.json:
        present.emit(session, document)
    elif table.row_count:
        Paper().print(table)
    else:
        session.say("there is none")
    return SUCCESS


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name)
    return table


def _brief(text: str) -> str:
    line = printable(" ".join(text.split()))
    return line if len(line) <= 60 else line[:59] + "…"
