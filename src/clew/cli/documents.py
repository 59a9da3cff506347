"""``clew context list``, ``get``, ``history`` and ``remove``: documents by id, and by what their metadata says."""

import sys
from typing import Any

import click
import msgspec
from rich.text import Text

from clew.cli.command import command as declare
from clew.cli.failures import SUCCESS, printable
from clew.cli.remembering import filter_of, filter_options, here, scope_option
from clew.cli.session import Session, pass_session
from clew.cli.telling import answer, line, listed, table
from clew.cli.terminal import brief, clock, plural
from clew.context.filters import fields, parse
from clew.core.errors import UsageError
from clew.service.remembered import Document

_TELLING = ("tags", "folder")
"""Metadata that is shown first."""


class Documents(msgspec.Struct, frozen=True):
    documents: list[Document]


class DocumentList(msgspec.Struct, frozen=True):
    """Written last first."""

    documents: list[Document]
    more: bool
    """There are older ones: ``--limit``."""


class Changed(msgspec.Struct, frozen=True):
    """How many documents were changed; ``forgotten``: removed by retention then, of these and of others."""

    scope: str
    changed: int
    forgotten: int = 0


@declare(
    "list",
    examples=[
        ("clew context list --limit 5", "what was written last"),
        ("clew context list --filter-kv tags=notes --json", "all that has a tag, as far as it goes"),
    ],
    shape=DocumentList,
)
@filter_options
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="At most so many.")
@scope_option
@pass_session
def list_(session: Session, limit: int, **options: Any) -> int:
    """List documents, written last first."""
    with here(session, options) as scoped:
        found = scoped.newest(limit + 1, filter_of(options))
    document = DocumentList(found[:limit], more=len(found) > limit)
    told = table("document", "version", "written", "metadata")
    for one in document.documents:
        first = {name: one.metadata[name] for name in _TELLING if name in one.metadata}
        about = brief(first | one.metadata, 60) if one.metadata else ""
        told.add_row(Text(printable(one.id)), str(one.version), clock(one.at), Text(about))
    code = listed(session, document, told)
    if document.more:
        session.say("there are older ones: --limit shows more, and filters narrow them down")
    return code


@declare(
    "get",
    examples=[
        ("clew context get note-1 --json", "a document with its metadata"),
        ("clew context get note-1 --version 3", "its text as it was"),
    ],
    shape=Document,
)
@click.argument("id_", metavar="ID")
@click.option(
    "--version", "number", type=click.IntRange(1), metavar="VERSION", help="As it was then, not as it is now."
)
@scope_option
@pass_session
def get(session: Session, id_: str, number: int | None, **where: Any) -> int:
    """Print a document, whole."""
    with here(session, where) as scoped:
        document = scoped.document(id_, number)
    if session.json or sys.stdout.isatty():
        return answer(session, document, printable(document.text).removesuffix("\n"), out=True)
    session.write(printable(document.text))  # for `context add`: not a line feed more
    return SUCCESS


@declare("history", examples=[("clew context history note-1", "who wrote what, and when")], shape=Documents)
@click.argument("id_", metavar="ID")
@scope_option
@pass_session
def history(session: Session, id_: str, **where: Any) -> int:
    """List the versions of a document, oldest first; long texts are cut."""
    with here(session, where) as scoped:
        versions = scoped.history(id_)
    told = table("version", "from", "written", "by", "text")
    for one in versions:
        text = "(removed)" if one.deleted else one.text
        told.add_row(
            str(one.version),
            str(one.parent_version or "-"),
            clock(one.at),
            Text(printable(one.origin)),
            Text(line(text)),
        )
    return listed(session, Documents(versions), told)


@declare(
    "remove",
    examples=[
        ("clew context remove note-1 note-2", "their history stays"),
        ("clew context remove --filter-kv tags=notes", "say how many have the tag, ask, then remove them"),
    ],
    shape=Changed,
)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filter_options
@click.option("--yes", is_flag=True, help="With a filter: do not ask.")
@scope_option
@pass_session
def remove(session: Session, ids: tuple[str, ...], yes: bool, **options: Any) -> int:
    """Remove documents, by their ids or by a filter; their history stays."""
    chosen = filter_of(options)
    if bool(ids) == (chosen is not None):
        raise UsageError("which documents?", hint="their ids, or a filter: --filter-kv tags=notes")
    if chosen is not None and not fields(parse(chosen)):
        raise UsageError("this filter names no field, so it leaves everything", hint="--filter-kv tags=notes, or ids")
    with here(session, options, "change") as scoped:
        found = ids if chosen is None else scoped.matching(chosen)
        if chosen is not None and found and not yes:
            _confirm(len(found), scoped.scope)
            still = set(scoped.matching(chosen))
            found = [one for one in found if one in still]
        changed = Changed(scoped.scope, scoped.remove(found))
    return answer(session, changed, f"{plural(changed.changed, 'document')} removed from {changed.scope}")


def _confirm(count: int, scope: str) -> None:
    what = f"{plural(count, 'document')} of {scope}"
    if not sys.stdin.isatty():
        hint = "clew context list with the same filter shows what would go"
        raise UsageError(f"the filter lets {what} through: say --yes to remove", hint=hint)
    if not click.confirm(f"Remove {what}?", err=True):
        raise UsageError("nothing was removed")
