"""``clew verify``."""

import click

from clew.cli import present, shapes
from clew.cli.command import command as declare
from clew.cli.command import run_argument
from clew.cli.failures import FAILED, SUCCESS
from clew.cli.opening import looking_back
from clew.cli.session import Session, pass_session
from clew.cli.terminal import Paper, plural
from clew.core.errors import UsageError
from clew.gate.ports.journal import Head, RunFilter
from clew.service.engine import AsyncEngine

_ALL = 10_000_000


@declare(
    "verify",
    examples=[
        ("clew verify", "every run, and the ledger over all of them"),
        ("clew verify --print-head > /elsewhere/head", "keep the ledger's head where nobody can change both"),
        ('clew verify --head "$(cat /elsewhere/head)"', "see a tail that was cut off or a run that was removed"),
    ],
    shape=shapes.VerifyDoc,
)
@run_argument
@click.option("--head", metavar="SEQ:HASH", help="A head that was kept elsewhere: of RUN, or of the ledger.")
@click.option("--print-head", is_flag=True, help="Print the head of RUN, or of the ledger, and do nothing else.")
@pass_session
def command(session: Session, run: str | None, head: str | None, print_head: bool) -> int:
    """Check chains, ledger and payloads for changes since they were written.

    Exit code 1 when something is wrong. Erased payloads that the ledger knows of are all right.
    """
    kept = _head(head) if head else None

    async def work(engine: AsyncEngine) -> shapes.VerifyDoc:
        journal = engine.workspace.journal
        name = await engine.find(run) if run else None
        everything = [] if print_head else await engine.runs(RunFilter(limit=_ALL))
        rows = [await journal.row(name)] if name else everything
        findings = [] if print_head else await engine.verify(name, kept)
        now = rows[0].head if name else await journal.ledger()
        return shapes.VerifyDoc(
            ok=not findings,
            findings=[shapes.FindingDoc(run=f.run, seq=f.seq, what=f.what, message=f.message) for f in findings],
            head=f"{now.seq}:{now.hash}",
            events=sum(row.head.seq for row in rows),
            runs=len(rows),
        )

    document = looking_back(session, work)
    if session.json:
        present.emit(session, document)
    elif print_head:
        session.write(document.head + "\n")
    else:
        _print(document, run)
    return SUCCESS if document.ok else FAILED


def _print(document: shapes.VerifyDoc, run: str | None) -> None:
    paper = Paper()
    for finding in document.findings:
        where = f"run {finding.run}" if finding.run else "the ledger"
        place = f", event {finding.seq}" if finding.seq else ""
        paper.put(
            paper.glyph("failure"), (f" {where}{place}: ", "bold"), finding.message, (f"  [{finding.what}]", "dim")
        )
    looked = f"{plural(document.runs, 'run')}, {plural(document.events, 'event')}" + ("" if run else ", ledger")
    if document.ok:
        paper.put(paper.glyph("success"), f" {looked}: as they were written")
        paper.put(("head ", "dim"), document.head, indent=2)
    else:
        paper.put(paper.glyph("failure"), f" {looked}: {plural(len(document.findings), 'finding')}")


def _head(text: str) -> Head:
    seq, colon, digest = text.strip().partition(":")
    if not colon or not seq.isdecimal() or len(digest) != 64 or set(digest.lower()) - set("0123456789abcdef"):
        raise UsageError(f"--head {text!r} is no SEQ:HASH", hint="clew verify --print-head prints one")
    return Head(int(seq), digest.lower())
