"""Approve, reject, answer (P7)."""

import pytest

from clew.core.errors import Conflict, NotFound, UsageError
from clew.service.decide import Decision

ASK = """
    async def a(input, ctx):
        schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
        return await ctx.ask("How many?", schema)
"""


@pytest.fixture
async def asked(solo):
    engine = solo(ASK)
    return engine, (await engine.run()).run_id


async def test_an_answer_that_does_not_fit_changes_nothing(asked):
    engine, run = asked
    with pytest.raises(UsageError, match=r'\$\.n: "x" is not of type "integer"'):
        await engine.approve(run, {"n": "x"})
    with pytest.raises(UsageError, match="--value JSON"):
        await engine.approve(run)
    assert len(await engine.waiting(run)) == 1
    assert (await engine.approve(run, {"n": 1})).output == {"n": 1}


async def test_an_answer_is_bound_to_what_was_shown(asked):
    engine, run = asked
    (question,) = await engine.waiting(run)
    with pytest.raises(Conflict, match="has changed since it was shown"):
        await engine.decide(run, Decision(approve=True, by="ada", value={"n": 1}, digest="other"))
    result = await engine.decide(run, Decision(approve=True, by="ada", value={"n": 1}, digest=question.digest))
    assert result.status == "success"


async def test_nothing_is_asked(solo):
    engine = solo("async def a(input, ctx):\n    return 1\n")
    run = (await engine.run()).run_id
    with pytest.raises(NotFound, match="asks nothing now"):
        await engine.approve(run)


async def test_an_unknown_key(asked):
    engine, run = asked
    with pytest.raises(NotFound, match="asks nothing under 0/a#1/9"):
        await engine.approve(run, {"n": 1}, key="0/a#1/9")


async def test_several_questions_must_be_named(solo):
    engine = solo("async def a(input, ctx):\n    return await ctx.gather(ctx.ask('1?'), ctx.ask('2?'))\n")
    result = await engine.run()
    with pytest.raises(UsageError, match="asks several things; name one with --key"):
        await engine.approve(result.run_id, 1)
    first, second = result.waiting
    result = await engine.approve(result.run_id, 1, key=first.key)
    assert (await engine.approve(result.run_id, 2, key=second.key)).output == [1, 2]


async def test_a_second_answer_comes_too_late(asked):
    engine, run = asked
    await engine.approve(run, {"n": 1})
    with pytest.raises((NotFound, Conflict)):
        await engine.approve(run, {"n": 2})


async def test_a_rejection_needs_no_value(asked):
    engine, run = asked
    assert (await engine.reject(run, why="no")).error["code"] == "rejected"


async def test_a_schema_that_is_none_is_the_questions_fault(solo):
    engine = solo("async def a(input, ctx):\n    return await ctx.ask('?', {'type': 'nonsense'})\n")
    result = await engine.run()
    with pytest.raises(UsageError, match="the schema of 0/a#1/1"):
        await engine.approve(result.run_id, 1)


async def test_a_free_question_takes_anything(solo):
    engine = solo("async def a(input, ctx):\n    return await ctx.ask('?')\n")
    assert (await engine.approve((await engine.run()).run_id)).status == "success"
