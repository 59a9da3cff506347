"""What the run list shows of a run, as a fold over its facts: one source for appends, imports and verification."""

from typing import Literal

import msgspec

from clew.core.errors import UsageError
from clew.core.events import EffectFinished, Fact, RunFinished, RunStarted, Status
from clew.gate.ports.journal import RunState
from clew.stores.money import to_pico

ENDED: tuple[RunState, ...] = ("completed", "failed", "cancelled")
MAX_ID = 200
"""Characters of a run id. Ids are made by the engine; the bound keeps hostile imports small."""


class RunCard(msgspec.Struct):
    """``cost`` in picodollars; ``ended`` is None while the run has not finished."""

    run: str
    workflow: str
    plan: str
    parent: str
    fork_of: str
    tenant: str
    user: str
    idempotency: str
    created: int
    updated: int
    cost: int = 0
    ended: Literal["completed", "failed", "cancelled"] | None = None
    status: Status | None = None


def open_card(run: str, fact: Fact, at: int) -> RunCard:
    """The card after the first fact. Raises UsageError when that is not the RunStarted of this run."""
    if not isinstance(fact, RunStarted):
        raise UsageError(f"the first fact of run {run!r} is {type(fact).__name__}; a run begins with RunStarted")
    if fact.run != run:
        raise UsageError(f"RunStarted names run {fact.run!r}, but is the first fact of run {run!r}")
    if not 0 < len(run) <= MAX_ID:
        raise UsageError(f"a run id has 1 to {MAX_ID} characters, this one has {len(run)}")
    return RunCard(
        run=run,
        workflow=fact.workflow,
        plan=fact.plan,
        parent=fact.parent,
        fork_of=fact.fork_of.run if fact.fork_of else "",
        tenant=fact.principal.tenant,
        user=fact.principal.user,
        idempotency="" if fact.fork_of else fact.idempotency,
        created=at,
        updated=at,
    )


def fold(card: RunCard, fact: Fact, at: int) -> None:
    """Take one further fact into the card."""
    card.updated = at
    if isinstance(fact, EffectFinished):
        card.cost += to_pico(fact.cost)
    elif isinstance(fact, RunFinished):
        card.ended, card.status = fact.state, fact.status
