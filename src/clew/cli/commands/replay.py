"""``clew replay``."""

import click

from clew.cli import present, shapes
from clew.cli.command import command as declare
from clew.cli.command import run_argument
from clew.cli.events import line_of
from clew.cli.failures import FAILED, SUCCESS
from clew.cli.opening import looking_back
from clew.cli.session import Session, pass_session
from clew.cli.terminal import Paper, plural
from clew.gate.ports.journal import RunFilter
from clew.service.engine import AsyncEngine

_ALL = 10_000_000
_GLYPHS = {"identical": "success", "unfinished": "running", "diverged": "failure", "erased": "partial"}
_WORDS = {
    "identical": "identical to its record",
    "unfinished": "identical so far; the run has not ended",
    "diverged": "diverges",
    "erased": "cannot be replayed: payloads were erased",
}


@declare(
    "replay",
    examples=[
        ("clew replay r6a0f", "by the rules alone: same routes, same merges, same end"),
        ("clew replay r6a0f --handlers", "enter every body again as well, its effects answered from the record"),
    ],
    shape=shapes.ReplayList,
)
@run_argument
@click.option("--handlers", is_flag=True, help="Run the handlers again too; what they ask for comes from the record.")
@pass_session
def command(session: Session, run: str | None, handlers: bool) -> int:
    """Walk recorded runs again without performing anything, and find divergence.

    Without RUN: all runs. Exit code 1 when one diverges.
    """

    async def work(engine: AsyncEngine) -> list[shapes.ReplayDoc]:
        rows = [] if run else await engine.runs(RunFilter(limit=_ALL))
        names = [await engine.find(run)] if run else [row.run for row in rows if row.state != "queued"]
        return [await _one(engine, name, handlers) for name in names]

    replays = looking_back(session, work)
    ok = all(r.verdict != "diverged" for r in replays)
    if session.json:
        present.emit(session, shapes.ReplayList(ok=ok, replays=replays))
        return SUCCESS if ok else FAILED
    if not replays:
        session.say("no runs")
    paper = Paper()
    for report in replays:
        _print(paper, report)
    return SUCCESS if ok else FAILED


async def _one(engine: AsyncEngine, run: str, handlers: bool) -> shapes.ReplayDoc:
    report = await engine.replay(run, handlers=handlers)
    where: shapes.DivergenceDoc | None = None
    if report.divergence is not None:
        seq = report.divergence.seq
        record = (await engine.workspace.journal.read(run, seq - 1, seq))[0]
        where = shapes.DivergenceDoc(
            seq=seq,
            message=engine.workspace.redactor.text(report.divergence.message),
            event=present.event(engine.workspace, record, payload=True),
        )
    return shapes.ReplayDoc(
        run=run,
        verdict=report.verdict,
        events=report.events,
        bodies=report.bodies,
        effects=report.effects,
        handlers=report.handlers,
        trace=report.trace,
        divergence=where,
    )


def _print(paper: Paper, report: shapes.ReplayDoc) -> None:
    entered = f", {_bodies(report.bodies)} entered again" if report.handlers else ""
    paper.put(
        paper.glyph(_GLYPHS[report.verdict]), (f" {report.run}", "bold"), f"  {_WORDS[report.verdict]}",
        (f"  {plural(report.events, 'event')}{entered}, {plural(report.effects, 'effect')} from the record", "dim"),
    )  # fmt: skip
    if report.divergence is None:
        paper.put(("trace ", "dim"), (report.trace, "dim"), indent=2)
        return
    paper.put(f"at event {report.divergence.seq}: {report.divergence.message}", indent=2)
    line_of(paper, report.divergence.event, payload=True)


def _bodies(number: int) -> str:
    return "1 body" if number == 1 else f"{number:,} bodies"
