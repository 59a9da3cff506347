"""``clew context``: memory, by hand."""

import time
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.text import Text

from clew.cli import present
from clew.cli.command import command as declare
from clew.cli.command import group
from clew.cli.commands.query import search_options, searched, tell_vectors
from clew.cli.documents import Changed, get, history, list_, remove
from clew.cli.facts import graph
from clew.cli.failures import FAILED, SUCCESS, printable
from clew.cli.merging import merge
from clew.cli.remembering import despite, here, meta_option, metadata_of, said, scope_option
from clew.cli.session import Session, pass_session
from clew.cli.telling import answer, listed, table
from clew.cli.terminal import clock, plural
from clew.context.ingest.report import LINES, Options, Report
from clew.context.versions import Difference
from clew.core.errors import UsageError
from clew.gate.ports.context import Put
from clew.service.context import Scoped, statistics
from clew.service.embedding import Filled
from clew.service.remembered import Document, Embedded, Imported, SearchAnswer, Snapshot
from clew.service.settings import read

_EVERY_S = 0.5
_LONGEST_TAG = 200


class Snapshots(msgspec.Struct, frozen=True):
    snapshots: list[Snapshot]


class Statistics(msgspec.Struct, frozen=True):
    """One object a scope: documents, bytes, embedder, what the indexes hold."""

    scopes: list[dict[str, Any]]


@group(
    "context",
    subcommands="add | import | search | list | get | history | remove | merge | graph | snapshot | diff | rollback | stats …",
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
@meta_option("Metadata; the value is JSON where it is JSON, else text.")
@click.option("--expected", type=int, metavar="VERSION", help="Only where this is the version that is there; 0: none.")
@scope_option
@pass_session
def add(session: Session, id_: str, text: str | None, meta: tuple[str, ...], expected: int | None, **where: Any) -> int:
    """Keep a document, in place of the one with this id."""
    put = Put(id=id_, text=said(text), metadata=metadata_of(meta), expected=expected)
    with here(session, where, "create") as scoped:
        document = scoped.add(put)
        tell_vectors(session, scoped.embedded)
        left = _forgotten(scoped)
    return answer(session, document, f"{printable(id_)} is at version {document.version} in {document.scope}{left}")


@declare(
    "import",
    examples=[
        ("clew context import docs/ README.md --tag docs", "Markdown, code, text, HTML, CSV and PDF"),
        ("clew context import docs/ --prune", "again, and without the documents of files that are gone"),
        ("clew context import notes.jsonl --scope global", 'lines of {"id", "text", "metadata"}'),
    ],
    shape=Imported,
)
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option("--tag", "tags", multiple=True, help="A tag for every document; may be repeated.")
@click.option("--no-graph", is_flag=True, help="Extract no relations.")
@click.option("--prune", is_flag=True, help="Remove documents of these folders whose files are gone.")
@scope_option
@pass_session
def import_(
    session: Session, paths: tuple[str, ...], tags: tuple[str, ...], no_graph: bool, prune: bool, **where: Any
) -> int:
    """Remember files and folders.

    What is there already is passed over, so an import that was interrupted goes on where it was. Folders whose names begin
    with a dot, dependencies and build results are left out. Documents are named FOLDER/PATH#PIECE, or FILE#PIECE; another
    folder of the same name gets names of its own. With --prune the documents of files that a folder no longer has are removed;
    never where there is nothing to read: a disk may not be mounted. Exit code 1 where no file with text was found.
    """
    if "" in paths:
        raise UsageError("a path is empty", hint="a variable may not be set; . is this directory")
    odd = [tag for tag in tags if not 0 < len(tag) <= _LONGEST_TAG or not tag.isprintable()]
    if odd:
        raise UsageError(f"--tag {odd[0]!a:.60}: a tag has 1 to {_LONGEST_TAG} characters, all printable")
    last = 0.0

    def told(report: Report, name: str) -> None:
        nonlocal last
        if time.monotonic() - last > _EVERY_S:
            last = time.monotonic()
            session.say(f"{plural(report.files, 'file')}, {plural(report.documents, 'document')}: {printable(name)}")

    with here(session, where, "create") as scoped:
        done = scoped.import_files(
            [Path(one) for one in paths], Options(tags=tags, graph=not no_graph, prune=prune), told
        )
        left = _forgotten(scoped)
    tell_vectors(session, done.embedding)
    for one in done.skipped:
        session.say(f"left out: {printable(one['path'])}: {printable(one['why'])}")
    if done.passed:
        kinds = sorted(done.passed.items(), key=lambda item: (-item[1].count, item[0]))
        session.say("passed over: " + ", ".join(f"{one.count:,} {printable(kind)}" for kind, one in kinds))
    if LINES in done.passed:
        session.say(f"{LINES} is read where the file is named, not in folders: clew context import FILE{LINES}")
    if done.gone:
        session.say(f"{_are(done.gone)} of files that are gone: --prune removes them")
    if done.unsure:
        session.say(f"{_are(done.unsure)} of files in folders that cannot be read, or are empty: they stay")
    said = f"{plural(done.documents, 'document')} from {plural(done.files, 'file')} in {done.scope}"
    said += f"; {done.unchanged} unchanged, {done.removed} removed, {len(done.skipped)} left out{left}"
    answer(session, done, said)
    if not done.files:
        session.say("there is no file with text in what was named")
    return SUCCESS if done.files else FAILED


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

    with here(session, where, "change") as scoped:
        done = scoped.embed(told)
    for one in done.refused:
        session.say(f"refused: {printable(one['id'])}: {printable(one['why'])}")
    if session.json:
        present.emit(session, done)
    else:
        tell_vectors(session, done)
    return SUCCESS


@declare(
    "snapshot",
    examples=[
        ("clew context snapshot before-import", "label what is there now"),
        ("clew context snapshot before-import --remove", "drop the label: it kept history from being forgotten"),
    ],
    shape=Snapshots,
)
@click.argument("label", required=False)
@click.option("--remove", "drop", is_flag=True, help="Drop the label; what was there then may be forgotten with it.")
@scope_option
@pass_session
def snapshot(session: Session, label: str | None, drop: bool, **where: Any) -> int:
    """Label everything as it is now; without a LABEL, list the snapshots."""
    if drop and not label:
        raise UsageError("which label?", hint="clew context snapshot lists them")
    with here(session, where, "change" if label else "look") as scoped:
        if drop:
            gone = scoped.unlabel(label or "")
            return answer(
                session, Snapshots([gone]), f"{label} is dropped; it was place {gone.place} of {scoped.scope}"
            )
        found = [scoped.snapshot(label)] if label else list(scoped.snapshots().values())
    told = table("label", "place", "set")
    for one in found:
        told.add_row(Text(one.label), str(one.place), clock(one.at))
    return listed(session, Snapshots(found), told)


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
    return answer(session, found, printable("\n".join(lines) or "nothing changed"), out=True)


@declare(
    "rollback", examples=[("clew context rollback before-import", "by new versions: nothing is lost")], shape=Changed
)
@click.argument("label")
@scope_option
@pass_session
def rollback(session: Session, label: str, **where: Any) -> int:
    """Make what was there at a snapshot be there again, by new versions."""
    with here(session, where, "change") as scoped:
        changed = Changed(scoped.scope, scoped.rollback(label), scoped.forgotten)
        left = _forgotten(scoped)
    return answer(session, changed, f"{plural(changed.changed, 'document')} of {changed.scope} as at {label}{left}")


@declare("stats", examples=[("clew context stats", "every scope of this state directory")], shape=Statistics)
@scope_option
@pass_session
def stats(session: Session, **where: Any) -> int:
    """Say what is kept: documents, size, embedder, indexes."""
    if where["scope"]:
        with here(session, where) as scoped:
            found = [scoped.stats()]
    else:
        settings, implied = read(state=session.state), where["project"] is None
        found = despite(session, where, lambda project: statistics(settings, project, implied=implied))
    told = table("scope", "backend", "documents", "bytes", "embedder", "missing", "facts", "snapshots")
    for one in found:
        facts = one["graph"]["facts"]
        values = (
            one["backend"],
            one["documents"],
            one["bytes"],
            one["embedder"],
            one["missing"],
            facts,
            one["snapshots"],
        )
        told.add_row(Text(one["scope"]), *(f"{v:,}" if isinstance(v, int) else Text(printable(v)) for v in values))
    return listed(session, Statistics(found), told)


for _one in (
    add, import_, search, embed, list_, get, history, remove, merge, graph, snapshot, diff, rollback, stats,
):  # fmt: skip
    command.add_command(_one)


def _forgotten(scoped: Scoped) -> str:
    return f"; {scoped.forgotten:,} forgotten by retention ({scoped.retention})" if scoped.forgotten else ""


def _are(documents: int) -> str:
    return f"{plural(documents, 'document')} {'is' if documents == 1 else 'are'}"
