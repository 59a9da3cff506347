"""A run that is to be created, and the first fact of it."""

from typing import Any

import msgspec

from clew.core.events import Event, Principal, RunStarted
from clew.runtime.host import Surroundings


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is created from. ``deadline``: ms since the epoch; ``parent``: ``run:key`` of the wait it answers."""

    run: str
    workflow: str
    input: Any
    start: str
    mode: str = "implement"
    seed: int = 0
    principal: Principal = Principal()
    overrides: dict[str, Any] = {}
    deployment: dict[str, Any] = {}
    deadline: int | None = None
    idempotency: str = ""
    parent: str = ""


def started(order: Order, world: Surroundings) -> Event:
    """The first fact of a run."""
    project = world.project
    fact = RunStarted(
        run=order.run, workflow=order.workflow, plan=project.address, start=order.start, mode=order.mode, seed=order.seed,
        engine=world.engine, principal=order.principal, idempotency=order.idempotency, deadline=order.deadline, parent=order.parent,
    )  # fmt: skip
    payload: dict[str, Any] = {"input": order.input, "project": str(project.directory)}
    if order.overrides:
        payload["overrides"] = order.overrides
    if order.deployment:
        payload["deployment"] = order.deployment
    return Event(fact, payload, world.clock.now())
