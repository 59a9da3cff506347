"""Arms: bodies follow one another in one arm; what is cut leaves, or is given up."""

import asyncio

from clew.core import events as ev

CHAIN = [
    {"id": "s", "role": "start"},
    {"id": "a", "role": "linear", "handler": "who"},
    {"id": "b", "role": "linear", "handler": "who"},
    {"id": "x", "role": "exit"},
]
WHO = """
    import world

    async def who(input, ctx):
        world.did.append(id(world.asyncio.current_task()))
        return input
"""


async def test_a_chain_runs_in_one_arm(project, engine, world):
    world.asyncio = asyncio
    one = engine(project(CHAIN, "s>a>b>x", WHO))
    assert (await one.run(1)).status == "success"
    assert len(world.did) == 2
    assert len(set(world.did)) == 1


async def test_arms_are_gone_when_the_run_is(project, engine, world):
    world.asyncio = asyncio
    one = engine(project(CHAIN, "s>a>b>x", WHO))
    handle = await one.start(1)
    host = one.host(handle.run_id)
    await handle.result()
    await asyncio.sleep(0)
    assert not host._arms.bodies
    assert not host._arms.entering
    assert not host._arms.tasks


async def test_a_shut_host_enters_no_more_bodies(project, engine, world):
    world.entered, world.left = asyncio.Event(), asyncio.Event()
    handlers = """
    import world

    async def who(input, ctx):
        world.did.append(ctx.node_id)
        world.entered.set()
        await world.left.wait()
        return input
    """
    one = engine(project(CHAIN, "s>a>b>x", handlers))
    handle = await one.start(1)
    host = one.host(handle.run_id)
    await world.entered.wait()
    await one.workspace.scheduler.let_go(host, "enough")
    world.left.set()
    await asyncio.sleep(0)
    assert world.did == ["a"]
    records = await one.workspace.journal.read(handle.run_id)
    assert isinstance(records[-1].event.fact, ev.DriverStopped)
    assert (await one.resume(handle.run_id))[0].status == "success"
    assert world.did == ["a", "a", "b"]
