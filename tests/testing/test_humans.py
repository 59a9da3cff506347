import pytest

from clew.testing import ScriptedHuman


async def test_answers_and_refusals_in_order(solo):
    engine = solo("""
        from clew import Failure
        async def a(input, ctx):
            first = await ctx.ask("one?")
            try:
                await ctx.ask("two?")
            except Failure as failure:
                return [first, failure.details["by"], failure.details["why"]]
    """)
    human = ScriptedHuman(1, ScriptedHuman.no("never"), name="grace")
    result = await human.attend(engine, await engine.run())
    assert result.output == [1, "grace", "never"]
    assert [q["question"] for q in human.asked] == ["one?", "two?"]


async def test_a_question_too_many(solo):
    engine = solo("async def a(input, ctx):\n    return await ctx.ask('?')\n")
    with pytest.raises(IndexError):
        await ScriptedHuman().attend(engine, await engine.run())
