"""The in-doubt rule from a handler's effect to the journal and back, for each setting (R2)."""

import pytest

from clew.core import events as ev
from clew.core.errors import JournalError
from clew.testing import ManualClock, ScriptedHuman
from clew.testing.clock import settle


@pytest.fixture
def clock():
    return ManualClock(auto=True)


# -- in doubt --------------------------------------------------------------------------------------------------------

DOUBT = """
    import world
    async def a(input, ctx):
        await ctx.effect("first", lambda: world.did.append("first"))
        return await ctx.effect("pay", lambda: world.did.append("pay") or "paid"{options})
"""


def outcome_of(name):
    return lambda fact: isinstance(fact, ev.EffectFinished) and fact.name == name


async def crashed(engine, crash, when):
    with crash(engine, when):
        handle = await engine.start()
        with pytest.raises(JournalError):
            await handle.settled()
        await settle()
    return handle.run_id


async def test_in_doubt_fails_the_node_and_what_was_done_is_not_repeated(solo, world, crash):
    engine = solo(DOUBT.format(options=""))
    run = await crashed(engine, crash, outcome_of("pay"))
    assert world.did == ["first", "pay"]
    (result,) = await engine.resume(run)
    assert result.error["code"] == "in_doubt"
    assert world.did == ["first", "pay"]


async def test_what_is_declared_safe_to_repeat_is_repeated(solo, world, crash):
    engine = solo(DOUBT.format(options=", repeat_safe=True"))
    run = await crashed(engine, crash, outcome_of("pay"))
    (result,) = await engine.resume(run)
    assert (result.output, world.did) == ("paid", ["first", "pay", "pay"])


async def test_in_doubt_retry_does_it_again(solo, world, crash):
    engine = solo(DOUBT.format(options=""), on_in_doubt="retry")
    run = await crashed(engine, crash, outcome_of("pay"))
    (result,) = await engine.resume(run)
    assert (result.output, world.did) == ("paid", ["first", "pay", "pay"])


@pytest.mark.parametrize(("answer", "did"), [(None, 3), (ScriptedHuman.no("it was charged"), 2)])
async def test_in_doubt_asks(solo, world, crash, answer, did):
    engine = solo(DOUBT.format(options=""), on_in_doubt="ask")
    run = await crashed(engine, crash, outcome_of("pay"))
    (result,) = await engine.resume(run)
    assert result.state == "waiting"
    human = ScriptedHuman(answer)
    result = await human.attend(engine, result)
    assert human.asked[0]["reason"] == "in_doubt"
    assert len(world.did) == did
    assert result.output == "paid" if did == 3 else result.error["code"] == "in_doubt"


async def test_a_crash_before_the_intent_is_no_doubt(solo, world, crash):
    engine = solo(DOUBT.format(options=""))
    run = await crashed(engine, crash, lambda f: isinstance(f, ev.EffectStarted) and f.name == "pay")
    (result,) = await engine.resume(run)
    assert (result.output, world.did) == ("paid", ["first", "pay"])
