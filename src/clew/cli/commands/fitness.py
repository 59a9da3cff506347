"""``clew fitness``."""

import click
import msgspec
from rich.table import Table

from clew.cli import present
from clew.cli.command import command as declare
from clew.cli.opening import looking_back
from clew.cli.session import Session, pass_session
from clew.cli.terminal import Paper, clock, duration, money
from clew.core.errors import NotFound
from clew.service.engine import AsyncEngine
from clew.service.fitness import AgentFitness, fitness


class FitnessList(msgspec.Struct, frozen=True, kw_only=True):
    """By workflow, agent and model."""

    agents: list[AgentFitness]


@declare(
    "fitness",
    examples=[
        ("clew fitness", "every agent with each model"),
        ("clew fitness --agent writer --json", "for scripts"),
    ],
    shape=FitnessList,
)
@click.option("--workflow", metavar="NAME", default="", help="Only agents of this workflow.")
@click.option("--agent", metavar="AGENT", default="", help="Only this agent.")
@pass_session
def command(session: Session, workflow: str, agent: str) -> int:
    """Show how agents did their work: success, time and cost, by model.

    Each execution of a node counts once, under the model that answered last. Cancelled ones, and those that failed for reasons
    of the engine or of a human, do not count. Pools choose by these numbers.
    """

    async def work(engine: AsyncEngine) -> list[AgentFitness]:
        return await fitness(engine.workspace, workflow, agent)

    try:
        found = looking_back(session, work)
    except NotFound:
        found = []
    document = FitnessList(agents=found)
    if session.json:
        present.emit(session, document)
        return 0
    if not found:
        session.say("nothing is recorded of any agent")
        return 0
    paper = Paper()
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("workflow", "agent", "model", "well", "of", "time", "cost", "tokens", "last"):
        table.add_column(name, justify="left" if name in ("workflow", "agent", "model", "last") else "right")
    for one in found:
        bodies = one.ok + one.failed
        price = ("over " if one.unpriced else "") + money(one.cost)
        share = f"{100 * one.ok / bodies:.0f} %"
        model = one.deployment or one.model
        table.add_row(
            one.workflow,
            one.agent,
            model,
            share,
            f"{bodies:,}",
            duration(one.ms),
            price,
            f"{one.tokens:,}",
            clock(one.used),
        )
    paper.print(table)
    return 0
