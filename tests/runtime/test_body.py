"""One node's body: stages, schemas, approvals, time-outs, external effects, synchronous handlers (W8, W9, P7)."""

import asyncio

import pytest

from clew.core import events as ev
from clew.core.errors import JournalError, UsageError
from clew.gate.ports.tool import Permissions, ToolSpec
from clew.runtime.body import tool_needs
from clew.testing import ManualClock, ScriptedHuman
from clew.testing.clock import settle

NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
ECHO = "async def a(input, ctx):\n    return input\n"


@pytest.fixture
def clock():
    return ManualClock(auto=True)


def facts(result, *kinds):
    return [r.event.fact for r in result.history if isinstance(r.event.fact, kinds)]


# -- stages ----------------------------------------------------------------------------------------------------------


async def test_an_input_that_does_not_fit_never_reaches_the_handler(solo, world):
    engine = solo("import world\nasync def a(input, ctx):\n    world.did.append(1)\n", schema_in=NUMBER)
    result = await engine.run({"n": "x"})
    assert result.error["code"] == "invalid_input"
    assert result.error["details"] == [{"path": "$.n", "message": '"x" is not of type "integer"'}]
    assert world.did == []


async def test_an_output_that_does_not_fit_fails_the_node_with_what_it_did_recorded(solo):
    result = await solo(
        """
        async def a(input, ctx):
            await ctx.effect("e", lambda: 1)
            return {"m": 1}
    """,
        schema_out=NUMBER,
    ).run()
    assert result.error["code"] == "invalid_output"
    assert [type(f).__name__ for f in facts(result, ev.EffectFinished, ev.NodeFailed)] == [
        "EffectFinished",
        "NodeFailed",
    ]


async def test_the_order_of_stages_is_fixed(solo):
    """W8: start, execute, validate, then task and history, then route."""
    result = await solo(ECHO, schema_out=NUMBER).run({"n": 1})
    names = [(type(f).__name__, f.node) for f in facts(result, ev.NodeStarted, ev.NodeCompleted)]
    assert names == [(k, n) for n in ("start", "a", "done") for k in ("NodeStarted", "NodeCompleted")]


async def test_without_a_handler_the_input_is_passed_on(project, engine):
    one = engine(project([{"id": "s", "role": "start"}, {"id": "x", "role": "exit"}], "s>x"))
    assert (await one.run([1])).output == [1]


async def test_a_handler_that_raises_fails_with_the_place(solo):
    result = await solo("async def a(input, ctx):\n    raise KeyError('k')\n").run()
    assert result.error["code"] == "error"
    assert result.error["message"] == "KeyError: 'k'"
    assert "handlers.py:2 in a" in result.error["details"]["where"]


async def test_a_failure_carries_code_and_details_into_the_journal(solo):
    result = await solo("""
        from clew import Failure
        async def a(input, ctx):
            raise Failure("out of paper", code="paper", details={"tray": 2})
    """).run()
    assert result.error == {"code": "paper", "message": "out of paper", "details": {"tray": 2}}


async def test_an_output_that_is_no_json_fails_the_node(solo):
    result = await solo("async def a(input, ctx):\n    return {'f': print}\n").run()
    assert result.status == "failure"
    assert result.error["code"] == "error"


async def test_a_model_is_dumped(solo):
    result = await solo("""
        class Answer:
            def model_dump(self, mode):
                return {"mode": mode, "pair": (1, 2)}
        async def a(input, ctx):
            return Answer()
    """).run()
    assert result.output == {"mode": "json", "pair": [1, 2]}


async def test_a_synchronous_function_may_return_an_awaitable(solo):
    result = await solo("""
        async def later(x):
            return x + 1
        def a(input, ctx):
            return later(input)
    """).run(1)
    assert result.output == 2


async def test_a_callable_object_is_a_handler(solo):
    result = await solo("""
        class Doubler:
            async def __call__(self, input, ctx):
                return input * 2
        a = Doubler()
        def _unused(): ...
    """).run(4)
    assert result.output == 8


async def test_a_handler_that_raises_stop_iteration_does_not_hang(solo):
    result = await solo("def a(input, ctx):\n    raise StopIteration\n").run()
    assert result.status == "failure"


# -- approvals -------------------------------------------------------------------------------------------------------

DID = "import world\nasync def a(input, ctx):\n    world.did.append(input)\n    return input\n"


async def test_an_approval_is_asked_before_the_body_runs(solo, world):
    engine = solo(DID, approval={"approvers": ["ops"], "message": "Really?"})
    result = await engine.run({"n": 1})
    assert (result.state, world.did) == ("waiting", [])
    (asked,) = result.waiting
    assert asked.request["question"] == "Really?"
    assert asked.request["args"] == {"n": 1}
    assert asked.request["approvers"] == ["ops"]
    result = await engine.approve(result.run_id, by="ada", why="fine")
    assert (result.output, world.did) == ({"n": 1}, [{"n": 1}])
    answer = next(
        r.event.payload["output"]
        for r in result.history
        if getattr(r.event.fact, "name", "") == "approval" and isinstance(r.event.fact, ev.EffectFinished)
    )
    assert (answer["by"], answer["why"], answer["digest"]) == ("ada", "fine", asked.digest)


async def test_a_rejection_fails_the_node_and_says_who_and_why(solo, world):
    engine = solo(DID, approval=True)
    result = await engine.reject((await engine.run(1)).run_id, by="ada", why="no budget")
    assert result.error["code"] == "rejected"
    assert "rejected by ada: no budget" in result.error["message"]
    assert world.did == []


async def test_edited_arguments_are_what_the_body_is_given(solo, world):
    engine = solo(DID, approval={"editable": True}, schema_in=NUMBER)
    result = await engine.run({"n": 1})
    assert result.waiting[0].request["schema"] == NUMBER
    await engine.approve(result.run_id, {"n": 5})
    assert world.did == [{"n": 5}]


async def test_edited_arguments_must_fit(solo, world):
    engine = solo(DID, approval={"editable": True}, schema_in=NUMBER)
    run = (await engine.run({"n": 1})).run_id
    with pytest.raises(UsageError, match=r"\$\.n"):
        await engine.approve(run, {"n": "x"})
    assert (await engine.waiting(run)) != []
    assert (await engine.approve(run)).output == {"n": 1}


async def test_an_edit_that_reaches_the_body_unchecked_is_checked_there(solo, clock):
    """An answer may come from elsewhere than our own services: the body checks again."""
    engine = solo(DID, approval={"editable": True}, schema_in=NUMBER)
    handle = await engine.start({"n": 1})
    await handle.settled()
    await engine.host(handle.run_id).answer("0/a#1/approval", {"decision": "approve", "value": {"n": "x"}})
    result = await handle.result()
    assert result.error["code"] == "invalid_input"
    assert "edited input" in result.error["message"]


async def test_what_is_not_editable_is_not_edited(solo, world):
    engine = solo(DID, approval=True)
    run = (await engine.run(1)).run_id
    with pytest.raises(UsageError, match="may not be edited"):
        await engine.approve(run, 2)


async def test_an_edit_of_what_is_not_editable_that_comes_all_the_same_is_not_used(solo, world):
    engine = solo(DID, approval=True)
    handle = await engine.start(1)
    await handle.settled()
    await engine.host(handle.run_id).answer("0/a#1/approval", {"decision": "approve", "value": 2})
    assert (await handle.result()).output == 1


@pytest.mark.parametrize(("default", "status"), [("reject", "failure"), ("approve", "success")])
async def test_an_approval_that_nobody_gives_takes_the_default(solo, clock, default, status):
    engine = solo(ECHO, approval={"timeout": "2h", "default": default})
    began = clock.now()
    result = await (await engine.start(1)).result()
    assert result.status == status
    assert clock.now() - began == 7_200_000
    if status == "failure":
        assert "nobody in time" in result.error["message"]


async def test_the_time_to_answer_does_not_grow_with_every_driver(solo, clock):
    engine = solo(ECHO, approval={"timeout": "2h"})
    result = await engine.run(1)
    due = result.waiting[0].due
    clock.advance(1000)
    (result,) = await engine.resume(result.run_id)
    assert result.waiting[0].due == due


async def test_a_second_attempt_asks_again(solo):
    engine = solo("async def a(input, ctx):\n    raise ValueError\n", approval=True, retry={"max_attempts": 2})
    handle = await engine.start(1)
    await handle.settled()
    await engine.host(handle.run_id).answer("0/a#1/approval", {"decision": "approve"})
    while not (waits := engine.host(handle.run_id).machine.waits) or "0/a#1/backoff" in waits:
        await asyncio.sleep(0)
    assert list(waits) == ["0/a#2/approval"]


# -- effects: external -----------------------------------------------------------------------------------------------

EXTERNAL = "import world\nasync def a(input, ctx):\n    world.did.append(input)\n    return 'out'\n"


async def lost(engine, crash):
    with crash(engine, lambda f: isinstance(f, ev.EffectFinished)):
        handle = await engine.start(1)
        with pytest.raises(JournalError):
            await handle.settled()
        await settle()
    return handle.run_id


async def test_a_body_that_touches_the_world_is_one_effect(solo, world):
    result = await solo(EXTERNAL, effects="external").run(1)
    assert [(f.kind, f.key) for f in facts(result, ev.EffectStarted)] == [("handler", "0/a#1/body")]
    assert result.output == "out"


@pytest.mark.parametrize(("setting", "did", "output"), [("fail", 1, None), ("retry", 2, "out")])
async def test_the_in_doubt_rule_is_that_of_its_node(solo, world, crash, setting, did, output):
    engine = solo(EXTERNAL, effects="external", on_in_doubt=setting)
    (result,) = await engine.resume(await lost(engine, crash))
    assert (len(world.did), result.output) == (did, output)
    if output is None:
        assert result.error["code"] == "in_doubt"


async def test_the_in_doubt_rule_may_ask(solo, world, crash):
    engine = solo(EXTERNAL, effects="external", on_in_doubt="ask")
    (result,) = await engine.resume(await lost(engine, crash))
    assert result.waiting[0].key == "0/a#1/body/ask"
    result = await ScriptedHuman(None).attend(engine, result)
    assert (result.output, len(world.did)) == ("out", 2)


async def test_a_mode_that_forbids_change_forbids_such_a_body(solo, world):
    result = await solo(EXTERNAL, effects="external").run(1, mode="dry_run")
    assert result.error["code"] == "denied"
    assert world.did == []


async def test_a_wait_inside_a_body_that_touches_the_world(solo, world):
    engine = solo(
        "import world\nasync def a(input, ctx):\n    world.did.append(1)\n    return await ctx.ask('?')\n",
        effects="external",
        on_in_doubt="retry",
    )
    result = await ScriptedHuman("yes").attend(engine, await engine.run())
    assert result.output == "yes"


# -- what a tool needs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "needs"),
    [
        ({"mutates": False}, ()),
        ({}, ("mutate",)),
        ({"permissions": Permissions(network=True, shell=True)}, ("mutate", "network", "shell")),
    ],
)
def test_what_a_mode_may_take_away_is_told_by_the_tool(spec, needs):
    assert tool_needs(ToolSpec(id="t", description="", inputs={}, **spec)) == needs


@pytest.mark.parametrize(("mode", "code"), [("implement", None), ("review", "denied"), ("safe_mode", "denied")])
async def test_a_tool_that_changes_something_is_denied_where_the_mode_forbids_it(solo, world, mode, code):
    tools = {"tools": [{"id": "own", "handler": "handlers:own"}]}
    engine = solo(
        "import world\ndef own(args, ctx=None):\n    world.did.append(1)\nasync def a(input, ctx):\n    await ctx.call('own')\n",
        sections=tools,
        tools=["own"],
    )
    result = await engine.run(mode=mode)
    assert (result.error or {}).get("code") == code
    assert len(world.did) == (code is None)


@pytest.mark.parametrize("head", ["async def a", "def a"])
async def test_a_handler_that_exits_fails_its_node_not_the_engine(solo, head):
    result = await solo(f"import sys\n{head}(input, ctx):\n    sys.exit(3)\n").run()
    assert (result.state, result.error["code"]) == ("failed", "error")
    assert "SystemExit: 3" in result.error["message"]
