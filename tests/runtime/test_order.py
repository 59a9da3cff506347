"""The first fact of a run says everything that the run is about (W11, R1)."""

from clew.core.events import Principal, RunStarted
from clew.runtime.order import Order, started


async def test_everything_is_recorded(solo, clock):
    engine = solo("async def a(input, ctx):\n    return 1\n")
    world = await engine.workspace.world(engine.plan, engine.directory)
    order = Order(
        run="r1", workflow="w", input={"x": 1}, start="start", mode="review", seed=7, principal=Principal(user="ada"),
        overrides={"model": "m"}, deployment={"region": "eu"}, deadline=99, idempotency="k", parent="r0:key",
    )  # fmt: skip
    event = started(order, world)
    fact = event.fact
    assert isinstance(fact, RunStarted)
    assert (fact.run, fact.workflow, fact.start, fact.mode, fact.seed) == ("r1", "w", "start", "review", 7)
    assert (fact.principal.user, fact.idempotency, fact.parent, fact.deadline) == ("ada", "k", "r0:key", 99)
    assert fact.plan == world.project.address
    assert fact.engine
    assert event.at == clock.now()
    assert event.payload["input"] == {"x": 1}
    assert (event.payload["overrides"], event.payload["deployment"]) == ({"model": "m"}, {"region": "eu"})


async def test_what_there_is_not_is_not_written(solo):
    engine = solo("async def a(input, ctx):\n    return 1\n")
    world = await engine.workspace.world(engine.plan, engine.directory)
    payload = started(Order(run="r1", workflow="w", input=None, start="start"), world).payload
    assert "overrides" not in payload
    assert "deployment" not in payload
