"""How well agents do their work, with which model: sums over the recorded executions of nodes."""

import msgspec

from clew.service.wiring import Workspace
from clew.stores.fitness import Tally
from clew.stores.money import from_pico
from clew.stores.projecting import MAX_ROWS


class AgentFitness(msgspec.Struct, frozen=True, kw_only=True):
    """How one agent did with one model. ``ms``, ``cost`` (US dollars, decimal text) and ``tokens`` are means of the executions
    that count; ``used``: last, in ms since the epoch."""

    workflow: str
    agent: str
    model: str
    """The logical model that was asked last."""
    deployment: str
    """What answered: ``provider/name``."""
    ok: int
    """Executions of a node that ended well."""
    failed: int
    ms: int
    cost: str
    unpriced: int
    """Model calls whose price is not known; they are not in ``cost``."""
    tokens: int
    used: int


async def fitness(workspace: Workspace, workflow: str = "", agent: str = "") -> list[AgentFitness]:
    """Every agent that something is known of, with each model, by workflow, agent and model; of this tenant.

    Of more than ``MAX_ROWS`` bodies the last ones count.
    """
    where: dict[str, str | int] = {"tenant": workspace.settings.tenant}
    where |= {"workflow": workflow} if workflow else {}
    where |= {"agent": agent} if agent else {}
    tallies: dict[tuple[str, str, str, str], Tally] = {}
    for row in await workspace.journal.rows("fitness", where, MAX_ROWS, newest=True):
        tallies.setdefault((row["workflow"], row["agent"], row["model"], row["deployment"]), Tally()).add(row)
    return [_entry(names, tally) for names, tally in sorted(tallies.items()) if tally.bodies]


def _entry(names: tuple[str, str, str, str], tally: Tally) -> AgentFitness:
    workflow, agent, model, deployment = names
    return AgentFitness(
        workflow=workflow,
        agent=agent,
        model=model,
        deployment=deployment,
        ok=tally.ok,
        failed=tally.failed,
        ms=round(tally.ms / tally.bodies),
        cost=from_pico(round(tally.cost / tally.bodies)),
        unpriced=tally.unpriced,
        tokens=round(tally.tokens / tally.bodies),
        used=tally.used,
    )
