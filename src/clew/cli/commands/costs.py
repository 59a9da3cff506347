"""``clew costs``."""

from typing import Any, get_args

import click
from rich.table import Table
from rich.text import Text

from clew.cli import present
from clew.cli.command import command as declare
from clew.cli.failures import printable
from clew.cli.opening import looking_back
from clew.cli.session import Session, pass_session
from clew.cli.terminal import Paper, count, money, plural
from clew.core.errors import UsageError
from clew.manifest.quantities import milliseconds
from clew.service.costs import CostLine, CostReport, Dimension, costs
from clew.service.engine import AsyncEngine


@declare(
    "costs",
    examples=[
        ("clew costs", "everything in this state directory, by model"),
        ("clew costs r6a0f", "one run with its child runs, by node and model"),
        ("clew costs --by day --by model --since 7d", "the last week"),
        ("clew costs --by tenant --by user --json", "for a bill"),
    ],
    shape=CostReport,
)
@click.argument("run", required=False, metavar="[RUN]")
@click.option("--by", multiple=True, type=click.Choice(get_args(Dimension)), help="Add up by this; may be repeated.")
@click.option(
    "--since", metavar="DURATION", help="Only so long back, such as 7d or 24h: from the start of that day (UTC)."
)
@pass_session
def command(session: Session, run: str | None, by: tuple[Any, ...], since: str | None) -> int:
    """Show what runs cost and how many tokens they used.

    RUN is a run id or a unique beginning of one; its child runs count with it. Without it, all runs. Money is US dollars as
    recorded with each call; what was answered from the cache costs nothing.
    """

    async def work(engine: AsyncEngine) -> CostReport:
        first = None if since is None else engine.workspace.clock.now() - _duration(since)
        name = await engine.find(run) if run else ""
        dimensions = by or (("node", "model") if run else ("model",))
        return await costs(engine.workspace.journal, dimensions, run=name, since=first)

    report = looking_back(session, work)
    if session.json:
        present.emit(session, report)
    elif not report.lines:
        session.say("nothing that was recorded cost anything")
    else:
        paper = Paper()
        paper.print(_table(report))
        if report.unpriced:
            _tell_unpriced(paper, report)
    return 0


def _duration(text: str) -> int:
    try:
        return milliseconds(text)
    except ValueError as error:
        raise UsageError(f"--since: {error}") from None


def _table(report: CostReport) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in report.by:
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for name in ("calls", "tokens in", "tokens out", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in report.lines:
        table.add_row(*(Text(printable(line.group[name]) or "-") for name in report.by), *_figures(line))
    table.add_row(*(Text("total" if i == 0 else "", "bold") for i in range(len(report.by))), *_figures(report.total))
    return table


def _figures(line: CostLine) -> tuple[Text, ...]:
    known = line.unpriced == 0
    return (
        _with(line.calls, line.reused, "reused"),
        _with(line.input_tokens, line.cache_read_tokens, "cached"),
        _with(line.output_tokens, line.reasoning_tokens, "reasoning"),
        Text(money(line.cost) if known else "?" if line.cost == "0" else f"{money(line.cost)} + ?"),
    )


def _with(whole: int, part: int, what: str) -> Text:
    return Text.assemble(count(whole), (f" ({count(part)} {what})" if part else "", "dim"))


def _tell_unpriced(paper: Paper, report: CostReport) -> None:
    paper.put("")
    for model, calls in report.unpriced.items():
        paper.put((f"{plural(calls, 'call')} of {model}: the cost is not known and in no sum", "yellow"))
    paper.put("what it costs from now on can be declared, in US dollars per million tokens (0 for none):")
    for provider in sorted({model.partition("/")[0] for model in report.unpriced if "/" in model}):
        paper.command(f"providers: [{{id: {provider}, …, prices: {{input: …, output: …}}}}]", indent=2)
