"""``ctx`` as a handler sees it: effects, waits, concurrency, determinism on re-entry (design §5, W9, R1, R2, P7)."""

import random

import pytest

from clew.core import events as ev
from clew.testing import ManualClock, ScriptedHuman


@pytest.fixture
def clock():
    return ManualClock(auto=True)


def keys(result, kind=ev.EffectFinished):
    return [r.event.fact.key for r in result.history if isinstance(r.event.fact, kind)]


# -- effects ---------------------------------------------------------------------------------------------------------


async def test_an_effect_is_done_once_and_recorded_as_json(solo, world):
    engine = solo("""
        import world
        async def a(input, ctx):
            def write(x):
                world.did.append(x)
                return {"wrote": (x,)}
            return await ctx.effect("write", write, input)
    """)
    result = await engine.run(7)
    assert result.output == {"wrote": [7]}
    assert world.did == [7]
    assert keys(result) == ["0/a#1/1"]


async def test_an_async_function_and_its_idempotency_key(solo, world):
    engine = solo("""
        import world
        async def pay(amount, idempotency_key):
            world.did.append(idempotency_key)
            return amount
        async def a(input, ctx):
            return await ctx.effect("pay", pay, 3) + await ctx.effect("pay", pay, 4)
    """)
    result = await engine.run()
    assert result.output == 7
    assert world.did == [f"{result.run_id}:0/a#1/1", f"{result.run_id}:0/a#1/2"]


async def test_a_function_without_a_signature_gets_no_key(solo):
    result = await solo("""
        async def a(input, ctx):
            return await ctx.effect("largest", max, 1, 5)
    """).run()
    assert result.output == 5


async def test_a_failing_effect_is_raised_and_may_be_handled(solo):
    result = await solo("""
        from clew import Failure
        def broken():
            raise Failure("no paper", code="paper", details={"tray": 1})
        async def a(input, ctx):
            try:
                await ctx.effect("print", broken)
            except Failure as failure:
                return [failure.code, failure.details]
    """).run()
    assert result.output == ["paper", {"tray": 1}]


async def test_a_bug_in_an_effect_is_a_failure_with_its_type(solo):
    result = await solo("""
        async def a(input, ctx):
            return await ctx.effect("divide", lambda: 1 / 0)
    """).run()
    assert result.error["code"] == "driver_error"
    assert "ZeroDivisionError" in result.error["message"]


ONCE = """
    import world
    async def a(input, ctx):
        n = await ctx.effect("book", lambda: world.did.append("book") or len(world.did), once={once})
        if ctx.attempt == 1:
            raise RuntimeError("later")
        return [n, ctx.attempt]
"""


@pytest.mark.parametrize(("once", "did"), [(True, 1), (False, 2)])
async def test_once_holds_across_attempts(solo, world, once, did):
    result = await solo(ONCE.format(once=once), retry={"max_attempts": 2}).run()
    assert len(world.did) == did
    assert result.output == [did, 2]


async def test_once_effects_of_different_names_and_parts_are_apart(solo, world):
    engine = solo("""
        import world
        async def a(input, ctx):
            for name in ("x", "y"):
                await ctx.effect(name, lambda name=name: world.did.append(name), once=True)
                await ctx.effect(name, lambda name=name: world.did.append(name), once=True)
            await ctx.part("other").effect("x", lambda: world.did.append("other x"), once=True)
    """)
    await engine.run()
    assert world.did == ["x", "y", "other x"]


async def test_an_effect_with_a_name_recorded_for_other_arguments_is_non_determinism(solo):
    result = await solo("""
        async def a(input, ctx):
            await ctx.effect("x", lambda v: v, 1, once=True)
            return await ctx.effect("x", lambda v: v, 2, once=True)
    """).run()
    assert result.error["code"] == "non_determinism"


# -- counting and overlap --------------------------------------------------------------------------------------------


async def test_two_effects_of_one_part_may_not_overlap(solo):
    result = await solo("""
        import asyncio
        async def a(input, ctx):
            async def slow():
                await asyncio.sleep(0)
            await asyncio.gather(ctx.effect("one", slow), ctx.effect("two", slow))
    """).run()
    assert result.error["code"] == "usage"
    assert "'two' began while effect 'one'" in result.error["message"]
    assert "ctx.gather" in result.error["message"]
    assert "ctx.part" in result.error["message"]


async def test_gather_counts_each_strand_apart_and_keeps_order(solo):
    result = await solo("""
        import asyncio
        async def a(input, ctx):
            async def work(i):
                for _ in range(3 - i):
                    await asyncio.sleep(0)
                first = await ctx.effect("one", lambda: i)
                second = await ctx.effect("two", lambda: i * 10)
                return [first, second]
            return await ctx.gather(*(work(i) for i in range(3))) + await ctx.gather(lambda: work(1))
    """).run()
    assert result.output == [[0, 0], [1, 10], [2, 20], [1, 10]]
    assert sorted(keys(result)) == sorted(
        [f"0/a#1/1g{i}.{n}" for i in range(3) for n in (1, 2)] + ["0/a#1/2g0.1", "0/a#1/2g0.2"]
    )


async def test_gather_within_gather(solo):
    result = await solo("""
        async def a(input, ctx):
            async def inner(x):
                return await ctx.effect("e", lambda: x)
            async def outer(x):
                return await ctx.gather(inner(x), inner(x + 1))
            return await ctx.gather(outer(0), outer(10))
    """).run()
    assert result.output == [[0, 1], [10, 11]]
    assert len(set(keys(result))) == 4


async def test_all_of_a_group_settles_before_a_failure_is_raised(solo, world):
    result = await solo("""
        import asyncio, world
        async def a(input, ctx):
            async def slow():
                for _ in range(5):
                    await asyncio.sleep(0)
                await ctx.effect("late", lambda: world.did.append("late"))
            async def bad(text):
                raise ValueError(text)
            await ctx.gather(slow(), bad("first"), bad("second"))
    """).run()
    assert world.did == ["late"]
    assert "first" in result.error["message"]


async def test_a_wait_in_a_group_unloads_the_body_once_all_have_asked(solo):
    engine = solo("""
        async def a(input, ctx):
            return await ctx.gather(ctx.ask("one?"), ctx.ask("two?"), ctx.sleep("1s"))
    """)
    result = await engine.run()
    assert len(result.waiting) == 2
    human = ScriptedHuman(1, 2)
    result = await human.attend(engine, result)
    assert result.output == [1, 2, None]
    assert [q["question"] for q in human.asked] == ["one?", "two?"]


async def test_a_failure_beside_a_wait_waits_for_the_answer(solo):
    """Raising the failure at once would depend on speed: on re-entry the wait is answered, and the failure comes then."""
    engine = solo("""
        async def a(input, ctx):
            async def bad():
                raise ValueError("no")
            await ctx.gather(bad(), ctx.ask("?"))
    """)
    result = await engine.run()
    assert result.state == "waiting"
    result = await ScriptedHuman(1).attend(engine, result)
    assert "ValueError: no" in result.error["message"]


async def test_a_part_has_a_counter_of_its_own(solo):
    result = await solo("""
        import asyncio
        async def a(input, ctx):
            one, two = ctx.part("one"), ctx.part("two")
            return await asyncio.gather(one.effect("e", lambda: 1), two.effect("e", lambda: 2), ctx.effect("e", lambda: 3))
    """).run()
    assert result.output == [1, 2, 3]
    assert set(keys(result)) == {"0/a#1/one.1", "0/a#1/two.1", "0/a#1/1"}


@pytest.mark.parametrize("name", ["", "a/b", "taken"])
async def test_a_part_needs_a_name_of_its_own(solo, name):
    result = await solo("""
        async def a(input, ctx):
            ctx.part("taken")
            ctx.part(input)
    """).run(name)
    assert result.error["code"] == "usage"
    assert "a name of its own" in result.error["message"]


async def test_blocking_code_in_a_thread_is_no_effect(solo):
    result = await solo("""
        import threading
        async def a(input, ctx):
            return await ctx.in_thread(lambda: threading.current_thread().name.startswith("clew-handler"))
    """).run()
    assert result.output is True
    assert keys(result) == []


# -- determinism on re-entry -----------------------------------------------------------------------------------------


async def test_time_and_chance_are_the_same_on_every_entry(solo, world, clock):
    engine = solo("""
        import world
        async def a(input, ctx):
            world.did.append([ctx.now(), ctx.random.random(), ctx.part("p").random.random()])
            await ctx.sleep("10s")
            world.did.append(ctx.now())
    """)
    began = clock.now()
    await engine.run()
    first, second, later = world.did
    assert first == second
    assert first[0] == began
    assert later == began + 10_000
    assert first[1] != first[2]


async def test_chance_is_derived_from_seed_and_key(solo, world):
    engine = solo("""
        import world
        async def a(input, ctx):
            world.did.append(ctx.random.random())
    """)
    await engine.run()
    await engine.run()
    assert world.did[0] == world.did[1]
    assert world.did[0] != random.random()


async def test_effects_before_a_wait_are_answered_from_the_journal(solo, world):
    engine = solo("""
        import world
        async def a(input, ctx):
            one = await ctx.effect("one", lambda: world.did.append("one") or 1)
            two = await ctx.ask("two?")
            three = await ctx.effect("three", lambda: world.did.append("three") or 3)
            return [one, two, three]
    """)
    result = await ScriptedHuman(2).attend(engine, await engine.run())
    assert (result.output, world.did) == ([1, 2, 3], ["one", "three"])


async def test_a_body_that_asks_for_something_else_is_stopped_with_a_diff(solo, world):
    engine = solo("""
        import world
        async def a(input, ctx):
            world.did.append(1)
            await ctx.effect("count", lambda n: n, len(world.did))
            await ctx.sleep(1)
    """)
    result = await engine.run()
    assert result.error["code"] == "non_determinism"
    assert "recorded effect count [1], now effect count [2]" in result.error["message"]
    assert "must depend on its input" in result.error["message"]


async def test_non_determinism_cannot_be_retried_away(solo, world):
    engine = solo(
        """
        import world
        async def a(input, ctx):
            world.did.append(1)
            await ctx.effect("count", lambda n: n, len(world.did))
            await ctx.sleep(1)
    """,
        retry={"max_attempts": 3},
    )
    assert (await engine.run()).error["code"] == "non_determinism"


# -- waits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("duration", "ms"), [('"90s"', 90_000), ("1.5", 1_500), ("2", 2_000)])
async def test_sleep_is_durable_and_takes_its_time(solo, clock, duration, ms):
    began = clock.now()
    result = await solo(f"""
        async def a(input, ctx):
            await ctx.sleep({duration})
    """).run()
    assert result.status == "success"
    assert clock.now() - began == ms


async def test_ask_shows_the_question_and_gives_the_answer(solo):
    engine = solo("""
        async def a(input, ctx):
            schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
            return await ctx.ask("How many?", schema, approvers=["ops"])
    """)
    result = await engine.run()
    (asked,) = result.waiting
    assert asked.request["question"] == "How many?"
    assert asked.request["approvers"] == ["ops"]
    assert asked.due is None
    assert (await engine.approve(result.run_id, {"n": 3})).output == {"n": 3}


async def test_ask_rejected(solo):
    engine = solo("""
        async def a(input, ctx):
            return await ctx.ask("May I?")
    """)
    result = await ScriptedHuman(ScriptedHuman.no("too late")).attend(engine, await engine.run())
    assert result.error["code"] == "rejected"
    assert "ada rejected it: too late" in result.error["message"]
    assert result.error["details"]["by"] == "ada"


@pytest.mark.parametrize(("timeout", "ms"), [('"24h"', 86_400_000), ("5000", 5_000)])
async def test_ask_with_a_timeout_takes_the_default(solo, clock, timeout, ms):
    began = clock.now()
    engine = solo(f"""
        async def a(input, ctx):
            return await ctx.ask("How many?", timeout={timeout}, default=42)
    """)
    result = await (await engine.start()).result()
    assert result.output == 42
    assert clock.now() - began == ms


async def test_a_timeout_that_passed_while_nobody_drove_the_run(solo, clock):
    engine = solo("""
        async def a(input, ctx):
            return await ctx.ask("How many?", timeout="1h", default=42)
    """)
    result = await engine.run()
    assert result.state == "waiting"
    clock.advance(3_600_001)
    (result,) = await engine.resume(result.run_id)
    assert result.output == 42


# -- tools, models, log ----------------------------------------------------------------------------------------------

TOOLS = {
    "tools": [
        {"id": "lookup", "handler": "handlers:lookup", "repeat_safe": True,
         "inputs": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}},
    ]
}  # fmt: skip

CALL = """
    def lookup(args, ctx=None):
        return {"found": args["id"]}
    async def a(input, ctx):
        return await ctx.call("lookup", input)
"""


async def test_a_tool_the_node_may_not_use(solo):
    result = await solo(CALL, sections=TOOLS).run({"id": "x"})
    assert result.error["code"] == "tool_not_allowed"
    assert "its tools: none" in result.error["message"]


async def test_arguments_that_do_not_fit_never_reach_the_tool(solo):
    result = await solo(CALL, sections=TOOLS, tools=["lookup"]).run({"id": 5})
    assert result.status == "failure"
    assert result.error["code"] == "invalid_arguments"


async def test_a_model_without_a_gateway_is_denied(solo):
    result = await solo("""
        async def a(input, ctx):
            return await ctx.model("fast", [{"role": "user", "content": "hi"}], temperature=0)
    """).run()
    assert result.error["code"] == "no_driver"


async def test_log_is_for_the_operator_and_not_recorded(solo, caplog):
    caplog.set_level("INFO", "clew.handler")
    result = await solo("""
        async def a(input, ctx):
            ctx.log("halfway", done=1)
            return [ctx.task_id, ctx.node_id, ctx.attempt]
    """).run()
    (line,) = [r for r in caplog.records if r.name == "clew.handler"]
    assert line.message == "halfway"
    assert line.clew == {"run": result.run_id, "task": "0", "node": "a", "done": 1}
    assert result.output == ["0", "a", 1]
    assert keys(result) == []


@pytest.mark.parametrize(
    "asked",
    ["ctx.effect(7, max, 1)", "ctx.model([], [])", "ctx.agent({})", "ctx.run(5)", "ctx.model(7, [])"],
)
async def test_a_name_that_is_no_text_is_refused_before_anything_is_recorded(solo, asked):
    result = await solo(f"""
        async def a(input, ctx):
            return await {asked}
    """).run()
    assert result.error["code"] == "invalid_request", result.error
    assert "a name is a text, not" in result.error["message"]
    assert keys(result) == []


# -- the same names, blocking ----------------------------------------------------------------------------------------


async def test_a_synchronous_handler_has_the_same_names_blocking(solo, world):
    """The clock is turned by hand: a thread at work looks idle to one that turns itself."""
    engine = solo("""
        import threading, world
        def a(input, ctx):
            assert threading.current_thread() is not threading.main_thread()
            one = ctx.effect("one", lambda: world.did.append("one") or 1)
            part = ctx.part("p").effect("two", lambda: 2)
            many = ctx.gather(lambda: ctx.effect("x", lambda: 3), lambda: ctx.effect("x", lambda: 4))
            now, chance = ctx.now(), ctx.random.random()
            answer = ctx.ask("five?")
            ctx.log("done")
            return [one, part, *many, answer, now == ctx.now() or now, chance, ctx.run_id]
    """)
    result = await ScriptedHuman(5).attend(engine, await engine.run())
    assert result.output[:5] == [1, 2, 3, 4, 5]
    assert result.output[-1] == result.run_id
    assert world.did == ["one"]
    assert {"0/a#1/1g0.1", "0/a#1/1g1.1", "0/a#1/p.1"} <= set(keys(result))


@pytest.mark.parametrize("call", ["ctx.ask(5)", "ctx.ask('q', schema=5)"])
async def test_a_question_is_a_text_with_a_schema(solo, call):
    result = await solo(f"async def a(input, ctx):\n    return await {call}\n").run()
    assert (result.state, result.error["code"]) == ("failed", "invalid_request")
