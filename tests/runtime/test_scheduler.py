"""Queue, inbox, taking over (W13)."""

import asyncio

import pytest

from clew.core import events as ev
from clew.core.errors import Conflict, NotFound
from clew.gate.ports.journal import RunFilter
from clew.runtime import scheduler
from clew.testing.clock import settle


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(scheduler, "POLL_S", 0.001)


GATED = """
    import world
    async def a(input, ctx):
        world.did.append(input)
        world.now += 1
        world.most = max(world.most, world.now)
        for _ in range(20):
            import asyncio
            await asyncio.sleep(0)
        world.now -= 1
        return input
"""


@pytest.mark.parametrize("places", [1, 2])
async def test_the_queue_is_first_in_first_out_and_bounded(solo, world, places):
    world.now = world.most = 0
    engine = solo(GATED)
    for i in range(5):
        await engine.enqueue(i)
    results = await engine.run_queued(places)
    assert [r.output for r in results] == list(range(5))
    assert world.did == list(range(5))
    assert world.most == places


async def test_queued_runs_stand_in_the_list(solo):
    engine = solo("async def a(input, ctx):\n    return input\n")
    run = await engine.enqueue(1)
    (row,) = await engine.runs(RunFilter(states=("queued",)))
    assert row.run == run
    assert (await engine.run_queued())[0].status == "success"
    assert await engine.run_queued() == []


async def test_a_full_queue_refuses(solo):
    engine = solo("async def a(input, ctx):\n    return input\n", sections={"scheduler": {"max_queue_size": 2}})
    await engine.enqueue(1)
    await engine.enqueue(2)
    with pytest.raises(Conflict, match=r"full \(2 runs\)") as caught:
        await engine.enqueue(3)
    assert caught.value.code == "queue_full"


async def test_what_waits_for_a_human_gives_its_place_to_the_next(solo):
    engine = solo("async def a(input, ctx):\n    return await ctx.ask('?') if input == 0 else input\n")
    for i in range(3):
        await engine.enqueue(i)
    results = await engine.run_queued(1)
    assert [r.state for r in results] == ["waiting", "completed", "completed"]


# -- the inbox -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def asked(solo):
    engine = solo("async def a(input, ctx):\n    return await ctx.ask('?')\n")
    handle = await engine.start()
    await handle.settled()
    return engine, handle


async def test_an_answer_from_elsewhere(asked):
    engine, handle = asked
    await engine.workspace.journal.put_message(handle.run_id, "answer", "0/a#1/1", {"decision": "approve", "value": 5})
    assert (await handle.result()).output == 5


async def test_a_cancel_from_elsewhere(asked):
    engine, handle = asked
    await engine.workspace.journal.put_message(handle.run_id, "cancel", "", {"reason": "stop it", "by": "ada"})
    result = await handle.result()
    assert (result.state, result.error["message"]) == ("cancelled", "stop it")


async def test_pause_and_unpause_from_elsewhere(asked):
    engine, handle = asked
    journal, host = engine.workspace.journal, engine.host(handle.run_id)
    await journal.put_message(handle.run_id, "pause", "", {})
    while not host.machine.paused:
        await asyncio.sleep(0.001)
    await journal.put_message(handle.run_id, "unpause", "", {"by": "ada"})
    while host.machine.paused:
        await asyncio.sleep(0.001)
    assert await journal.messages([handle.run_id]) == []
    await engine.approve(handle.run_id, 1)


async def test_a_message_that_does_nothing_is_noted_and_gone(asked):
    engine, handle = asked
    await engine.workspace.journal.put_message(
        handle.run_id, "answer", "0/a#1/99", {"decision": "approve", "by": "ada"}
    )
    while await engine.workspace.journal.messages([handle.run_id]):
        await asyncio.sleep(0.001)
    notes = [r.event for r in (await engine.result(handle.run_id)).history if isinstance(r.event.fact, ev.Noted)]
    assert [(n.fact.name, n.fact.by, n.payload["key"]) for n in notes] == [("message_ignored", "ada", "0/a#1/99")]


async def test_a_message_for_nobody_here_is_left(asked):
    engine, handle = asked
    ident = await engine.workspace.journal.put_message(handle.run_id, "cancel", "", {})
    (message,) = await engine.workspace.journal.messages([handle.run_id])
    assert message.id == ident
    await engine.workspace.scheduler.let_go(engine.host(handle.run_id))
    await engine.workspace.scheduler.deliver(message)
    assert (await engine.result(handle.run_id)).state == "waiting"


# -- taking over -----------------------------------------------------------------------------------------------------


async def test_what_has_ended_is_not_taken(solo):
    engine = solo("async def a(input, ctx):\n    return 1\n")
    result = await engine.run()
    with pytest.raises(Conflict, match="has ended"):
        await engine.resume(result.run_id)


async def test_an_unknown_run(solo):
    engine = solo("async def a(input, ctx):\n    return 1\n")
    with pytest.raises(NotFound):
        await engine.resume("r123")


async def test_a_run_whose_payloads_were_erased_does_not_go_on(asked):
    engine, handle = asked
    await engine.workspace.scheduler.let_go(engine.host(handle.run_id))
    await engine.workspace.journal.erase(handle.run_id)
    with pytest.raises((Conflict, NotFound)):
        await engine.resume(handle.run_id)


async def test_taking_a_run_that_is_driven_here_gives_its_host(asked):
    engine, handle = asked
    host = engine.host(handle.run_id)
    assert await engine.workspace.scheduler.adopt(handle.run_id, host.world) is host


async def test_closing_gives_every_run_up_in_order(asked):
    engine, handle = asked
    journal = engine.workspace.journal
    await engine.workspace.scheduler.close()
    assert (await journal.row(handle.run_id)).owner == ""
    assert [type(r.event.fact).__name__ for r in await journal.read(handle.run_id)][-1] == "DriverStopped"
    await settle()
