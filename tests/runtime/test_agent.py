"""Agent nodes, ``ctx.agent`` and ``ctx.model``: from the manifest to an output over the gate (G4, G5, T1, W8, R2, R3)."""

import asyncio
from textwrap import dedent

import pytest

from clew.core import events as ev
from clew.core.errors import Failure, JournalError
from clew.testing import ManualClock, ScriptedDriver, ScriptedHuman, ScriptedModel
from clew.testing.clock import settle

call, cut = ScriptedModel.call, ScriptedModel.cut

NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

HANDLERS = """
    from clew import Failure
    async def lookup(args, context):
        import world
        world.did.append(args["id"])
        if args["id"] == "bad":
            raise Failure("there is no such thing", code="not_found")
        return {"name": "thing " + args["id"]}
    async def store(args, context):
        import world
        world.did.append(args)
        return "stored"
"""

TOOLS = [
    {
        "id": "lookup", "handler": "handlers:lookup", "repeat_safe": True, "description": "Looks a thing up.",
        "inputs": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
    },
    {"id": "store", "handler": "handlers:store", "inputs": {"type": "object"}},
]  # fmt: skip


class Stage:
    """A client behind which the script may be changed."""

    def __init__(self):
        self.script = ScriptedModel()

    async def ask(self, model, request, emit=None):
        return await self.script.ask(model, request, emit)

    async def close(self):
        pass


@pytest.fixture
def clock():
    return ManualClock(auto=True)


@pytest.fixture
def stage():
    return Stage()


@pytest.fixture
def models(stage):
    """``models(*answers)``: from now on every model answers by this script, which is returned."""

    def script(*answers):
        stage.script = ScriptedModel(*answers)
        return stage.script

    return script


@pytest.fixture
def agent(project, engine, stage):
    """``agent(node={...}, **fields)``: an engine on ``s -> a -> x``; ``a`` is a node of agent ``writer``."""

    def make(*, node=None, nodes=(), edges="s>a>x", handlers=HANDLERS, agents=(), **fields):
        body = {"id": "a", "kind": "agent", "role": "linear", "agent": "writer", "tools": ["lookup", "store"]}
        writer = {"id": "writer", "model": "fast", "tools": ["lookup", "store"], **fields}
        one = engine(
            project(
                [{"id": "s", "role": "start"}, {**body, **(node or {})}, *nodes, {"id": "x", "role": "exit"}],
                edges, handlers, agents=[writer, *agents], tools=TOOLS, models={"fast": {"use": ["p/m"]}},
                providers=[{"id": "p", "type": "openai", "prices": {"input": 1, "output": 2}}],
            )
        )  # fmt: skip
        one._models = stage
        return one

    return make


@pytest.fixture
def handler(agent):
    """``handler(source, **agent fields)``: the same with a handler ``a`` in place of the agent node."""

    def make(source, *, node=None, **fields):
        mine = {"kind": "deterministic", "agent": None, "handler": "a", **(node or {})}
        return agent(node=mine, handlers=dedent(HANDLERS) + dedent(source), **fields)

    return make


def effects(result):
    return [r.event.fact for r in result.history if isinstance(r.event.fact, ev.EffectFinished)]


def keys(result):
    return [f.key.removeprefix("0/a#1/") for f in effects(result)]


# -- agent nodes -----------------------------------------------------------------------------------------------------


async def test_an_agent_node_answers(agent, models):
    model = models("forty-two")
    result = await agent(instructions="Be brief.", node={"instructions": "In French."}).run("how much?")
    assert result.output == "forty-two"
    (request,) = model.seen
    assert [(m.role, m.parts[0].content) for m in request.messages] == [
        ("system", "Be brief.\n\nIn French."), ("user", "how much?"),
    ]  # fmt: skip
    (fact,) = effects(result)
    assert (fact.key, fact.kind, fact.name, fact.agent, fact.by) == ("0/a#1/t1", "model", "fast", "writer", "p/m")
    assert fact.cost == result.cost != ""


async def test_temperature_and_seed_are_fixed(agent, models):
    model = models("x")
    engine = agent(parameters={"top_p": 0.5})
    result = await engine.run()
    assert model.seen[0].parameters == {"temperature": 0, "seed": result.history[0].event.fact.seed, "top_p": 0.5}


async def test_tools_are_called_and_what_they_gave_goes_back(agent, models, world):
    model = models([call("lookup", id="1"), call("lookup", id="bad")], call("store", x=1), "done")
    result = await agent().run({"n": 1})
    assert result.output == "done"
    assert world.did == ["1", "bad", {"x": 1}]
    assert keys(result) == ["t1", "t1.c0", "t1.c1", "t2", "t2.c0", "t3"]
    assert {f.agent for f in effects(result)} == {"writer"}
    good, bad = model.seen[1].messages[2].parts
    assert good.response == {"name": "thing 1"}
    assert (bad.error, bad.response["error"]["code"]) == (True, "not_found")


@pytest.mark.parametrize(
    ("node", "own", "offered"),
    [(["lookup"], ["lookup", "store"], ["lookup"]), (["lookup", "store"], ["store"], ["store"]), ([], ["lookup"], [])],
)
async def test_a_tool_is_offered_where_node_and_agent_allow_it(agent, models, world, node, own, offered):
    model = models(call("lookup", id="1"), "done")
    await agent(node={"tools": node}, tools=own).run()
    assert [t.name for t in model.seen[0].tools] == offered
    assert world.did == (["1"] if "lookup" in offered else [])


async def test_a_tool_is_described_as_the_manifest_says(agent, models):
    model = models("x")
    await agent().run()
    assert [(t.name, t.description) for t in model.seen[0].tools] == [("lookup", "Looks a thing up."), ("store", "")]


async def test_the_node_s_schema_has_precedence(agent, models):
    model = models({"n": 1})
    result = await agent(schema_out={"type": "array"}, node={"schema_out": NUMBER}).run()
    assert result.output == {"n": 1}
    assert model.seen[0].schema == NUMBER


async def test_the_agent_s_schema_holds_elsewhere(agent, models):
    models({"n": 1}, "[1]")
    assert (await agent(schema_out={"type": "array"}).run()).output == [1]


async def test_an_input_that_does_not_fit_the_agent(agent, models):
    model = models("never")
    result = await agent(schema_in=NUMBER).run("x")
    assert (result.error["code"], model.seen) == ("invalid_input", [])
    assert "input of agent 'writer'" in result.error["message"]


async def test_a_decision_chooses_one_of_its_edges(agent, models):
    model = models({"route": "up"}, {"route": "right"})
    sides = [{"id": side, "role": "linear"} for side in ("l", "r")]
    result = await agent(node={"role": "decision"}, nodes=sides, edges="s>a a>l[left]>x a>r[right]>x").run()
    assert [r.event.fact.node for r in result.history if isinstance(r.event.fact, ev.NodeCompleted)] == [
        "s",
        "a",
        "r",
        "x",
    ]
    assert model.seen[0].schema["properties"]["route"]["enum"] == ["left", "right"]


async def test_a_merge_may_be_an_agent(agent, models):
    models("both")
    arms = [{"id": "b", "role": "branch"}, {"id": "l", "role": "linear"}, {"id": "r", "role": "linear"}]
    result = await agent(node={"role": "merge"}, nodes=arms, edges="s>b>l>a>x b>r>a").run("x")
    assert (result.output, result.status) == ("both", "success")


async def test_a_failure_takes_the_failure_edge(agent, models):
    models(ScriptedModel.refusal("no"))
    result = await agent(nodes=[{"id": "sorry", "role": "linear"}], edges="s>a>x a!sorry>x").run("x")
    assert result.status == "success"


async def test_another_attempt_begins_anew(agent, models):
    models(Failure("too much", code="context_too_long"), "now")
    result = await agent(node={"retry": {"max_attempts": 2}}).run()
    assert result.output == "now"
    assert [f.key for f in effects(result) if f.kind == "model"] == ["0/a#1/t1", "0/a#2/t1"]


async def test_a_mode_takes_tools_that_change_something(agent, models, world):
    model = models(call("store", x=1), "then not")
    result = await agent().run(mode="dry_run")
    assert (result.output, world.did) == ("then not", [])
    assert model.seen[1].messages[2].parts[0].response["error"]["code"] == "denied"


async def test_a_model_that_hangs_is_cut_off_by_the_node_s_timeout(agent, models, clock):
    asked = asyncio.Event()

    async def hang(request):
        asked.set()
        await asyncio.Event().wait()

    models(hang)
    clock._auto = False
    handle = await agent(node={"timeout": "2s"}).start()
    await asked.wait()
    clock.advance(2_000)
    assert (await handle.result()).error["code"] == "timeout"


async def test_an_approval_comes_before_the_agent(agent, models):
    models("written")
    engine = agent(node={"approval": True})
    result = await ScriptedHuman(None).attend(engine, await engine.run("x"))
    assert result.output == "written"


# -- crashes and replay ----------------------------------------------------------------------------------------------

SCRIPT = [[call("lookup", id="1"), call("lookup", id="2")], "no json", call("store", x=1), {"n": 1}]
STEPS = ["t1", "t1.c0", "t1.c1", "t2", "t3", "t3.c0", "t4"]


@pytest.mark.parametrize("lost", STEPS)
async def test_after_a_crash_no_completed_call_is_repeated(agent, models, world, crash, lost):
    model = models(*SCRIPT)
    engine = agent(node={"schema_out": NUMBER})
    with crash(engine, lambda fact: isinstance(fact, ev.EffectFinished) and fact.key == f"0/a#1/{lost}"):
        handle = await engine.start("go")
        with pytest.raises(JournalError):
            await handle.settled()
        await settle()
    turn = int(lost[1])
    asked_again = "c" not in lost
    model = models(*SCRIPT[turn - asked_again :])
    did = list(world.did)
    (result,) = await engine.resume(handle.run_id)
    if lost == "t3.c0":  # nobody knows whether it was stored, and it is not declared safe to repeat
        assert result.error["code"] == "in_doubt"
        assert world.did == did
        return
    assert result.output == {"n": 1}
    assert sorted(keys(result)) == sorted(STEPS)
    assert len(model.seen) == 4 - turn + asked_again
    assert world.did.count({"x": 1}) == 1
    assert (await engine.replay(result.run_id)).verdict == "identical"


@pytest.mark.parametrize("handlers", [False, True])
async def test_a_replay_asks_nobody(agent, models, world, handlers):
    models(*SCRIPT)
    engine = agent(node={"schema_out": NUMBER})
    result = await engine.run("go")
    did, model = list(world.did), models()
    report = await engine.replay(result.run_id, handlers=handlers)
    assert (report.verdict, report.divergence) == ("identical", None)
    assert (world.did, model.seen) == (did, [])


# -- pools -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def pool(agent):
    def make(**fields):
        members = [
            {"id": "left", "model": "fast", "instructions": "L"}, {"id": "right", "model": "p/m", "instructions": "R"},
            {"id": "team", "pool": ["left", "right"]},
        ]  # fmt: skip
        return agent(node={"agent": "team"}, agents=members, **fields)

    return make


async def chosen(engine, choice):
    world = await engine.workspace.world(engine.plan, engine.directory)
    world.drivers["selection"] = driver = ScriptedDriver(choice)
    return driver


async def test_one_of_a_pool_is_selected_and_does_the_work(pool, models):
    engine, model = pool(), models("done")
    driver = await chosen(engine, {"agent": "right", "why": "it is better", "scores": {}})
    result = await engine.run()
    assert result.output == "done"
    assert [(f.key, f.kind, f.name, f.agent) for f in effects(result)] == [
        ("0/a#1/select", "selection", "team", "team"), ("0/a#1/t1", "model", "p/m", "right"),
    ]  # fmt: skip
    assert driver.seen[0].request == {"pool": ["left", "right"], "models": {"left": "fast", "right": "p/m"}}
    assert model.seen[0].messages[0].parts[0].content == "R"


async def test_the_shipped_selector_chooses_too(pool, models):
    models("done")
    engine = pool()
    result = await engine.run()
    assert result.output == "done"
    assert (await engine.replay(result.run_id)).verdict == "identical"


@pytest.mark.parametrize("choice", [{"agent": "writer"}, {"agent": None}, "right", {}])
async def test_a_choice_that_is_none_of_the_pool(pool, models, choice):
    engine = pool()
    await chosen(engine, choice)
    assert (await engine.run()).error["code"] == "bad_selection"


# -- ctx.agent -------------------------------------------------------------------------------------------------------


async def test_a_handler_has_an_agent_work(handler, models, world):
    model = models(call("lookup", id="1"), "found", "also")
    result = await handler("""
        async def a(input, ctx):
            await ctx.effect("before", lambda: 1)
            first = await ctx.agent("writer", input)
            return [first, await ctx.agent("writer")]
    """).run("find")
    assert result.output == ["found", "also"]
    assert keys(result) == ["1", "2.t1", "2.t1.c0", "2.t2", "3.t1"]
    assert [f.agent for f in effects(result)] == ["", *["writer"] * 4]
    assert model.seen[2].messages[0].parts[0].content == "(no input)"


async def test_agents_work_side_by_side_in_parts(handler, models):
    models(lambda request: request.messages[-1].parts[0].content, lambda request: request.messages[-1].parts[0].content)
    result = await handler("""
        async def a(input, ctx):
            return await ctx.gather(*(ctx.agent("writer", word) for word in input))
    """).run(["a", "b"])
    assert result.output == ["a", "b"]
    assert sorted(keys(result)) == ["1g0.1.t1", "1g1.1.t1"]


async def test_two_agents_of_one_part_may_not_overlap(handler, models):
    models("x", "y")
    result = await handler("""
        import asyncio
        async def a(input, ctx):
            await asyncio.gather(ctx.agent("writer", 1), ctx.agent("writer", 2))
    """).run()
    assert result.error["code"] == "usage"
    assert "ctx.gather" in result.error["message"]


async def test_an_agent_in_a_synchronous_handler_on_its_own_terms(handler, models):
    models("text", {"n": 1})
    result = await handler("""
        def a(input, ctx):
            return ctx.agent("writer", input)
    """, schema_out=NUMBER).run()  # fmt: skip
    assert result.output == {"n": 1}


async def test_an_agent_that_is_not_declared(handler, models):
    models()
    result = await handler("async def a(input, ctx):\n    return await ctx.agent('nobody')\n").run()
    assert result.error["code"] == "unknown_agent"
    assert "there are: writer" in result.error["message"]


async def test_an_agent_s_failure_may_be_handled(handler, models):
    models(ScriptedModel.refusal("no"))
    result = await handler("""
        async def a(input, ctx):
            try:
                await ctx.agent("writer", 1)
            except Failure as failure:
                return failure.code
    """).run()
    assert result.output == "refused"


# -- ctx.model -------------------------------------------------------------------------------------------------------

ASK = """
    async def a(input, ctx):
        return await ctx.model("fast", [{"role": "user", "content": "hi"}], **input)
"""


async def test_a_model_answers_a_handler(handler, models):
    model = models("hello")
    result = await handler(ASK).run({"temperature": 0.5})
    assert result.output == "hello"
    (request,) = model.seen
    assert (request.model, request.parameters["temperature"], request.schema) == ("fast", 0.5, None)
    assert [f.agent for f in effects(result)] == [""]


async def test_a_handler_s_answer_fits_its_schema(handler, models):
    model = models("x", cut('{"n": 1}'), {"n": 2})
    result = await handler(ASK).run({"schema": NUMBER})
    assert (result.output, keys(result)) == ({"n": 2}, ["1", "2", "3"])
    assert [r.schema for r in model.seen] == [NUMBER] * 3
    assert [m.role for m in model.seen[2].messages] == ["user", "assistant", "user", "assistant", "user"]


async def test_a_handler_s_answer_that_never_fits(handler, models):
    models(*["x"] * 9)
    result = await handler(ASK).run({"schema": NUMBER})
    assert (result.error["code"], len(effects(result))) == ("invalid_output", 4)


async def test_messages_that_are_none(handler, models):
    models()
    source = "async def a(input, ctx):\n    return await ctx.model('fast', [{'role': 'x'}])\n"
    assert (await handler(source).run()).error["code"] == "invalid_request"


async def test_a_model_in_a_process_of_its_own(handler, models):
    models({"n": 2})
    result = await handler(ASK, node={"isolation": "process"}).run({"schema": NUMBER})
    assert result.output == {"n": 2}


async def test_a_credential_that_changes_is_no_other_request(engine, project, stage, models, monkeypatch, tmp_path):
    """What is masked depends on the secrets that are known when a body is entered; the record of the first entry holds."""
    monkeypatch.setenv("KEY", "ollama")
    source = """
        async def a(input, ctx):
            return [await ctx.agent("writer", input), await ctx.ask("ok?")]
    """
    directory = project(
        [{"id": "s", "role": "start"}, {"id": "a", "role": "linear", "handler": "a"}, {"id": "x", "role": "exit"}],
        "s>a>x", dedent(source), agents=[{"id": "writer", "model": "fast", "instructions": "You run on ollama."}],
        models={"fast": {"use": ["p/m"]}}, providers=[{"id": "p", "type": "openai", "credential": "c"}],
        provider_credentials=[{"id": "c", "provider": "p", "auth": {"source": "env", "env_var": "KEY"}}],
    )  # fmt: skip
    models("fine")
    first, second = (engine(directory, state=str(tmp_path / "state")) for _ in range(2))
    first._models = second._models = stage
    waiting = await first.run("do it")
    assert waiting.state == "waiting"
    await first.close()
    monkeypatch.setenv("KEY", "another one")
    assert (await second.approve(waiting.run_id, "yes")).output == ["fine", "yes"]
    assert (await second.replay(waiting.run_id, handlers=True)).verdict == "identical"


# -- ctx.converse ----------------------------------------------------------------------------------------------------

CONVERSES = """
    import world
    from clew.agents.loop import Job
    from clew.gate.ports.tool import ToolSpec
    from clew.manifest.compiled import AgentPlan
    LOOK = ToolSpec(id="look", description="Looks.", inputs={"type": "object"}, repeat_safe=True, mutates=False)
    async def look(tool, arguments):
        world.did.append((tool, arguments))
        if "bad" in arguments:
            raise Failure("there is nothing", code="not_found")
        return {"seen": arguments}
    async def a(input, ctx):
        job = Job(name="Reader", agent=AgentPlan(model="fast"), input=input, instructions="Look.", tools={"look": LOOK})
        first, said = await ctx.converse(job, look)
        more = {"role": "user", "parts": [{"type": "text", "content": "And then?"}]}
        going_on = Job(name="Reader", agent=job.agent, input=None, tools=job.tools, earlier=(*said, more))
        return [first, (await ctx.converse(going_on, look))[0]]
"""


async def test_an_agent_that_no_manifest_declares(handler, models, world):
    model = models([call("look", a=1), call("look", bad=1)], "one", "two")
    engine = handler(CONVERSES)
    result = await engine.run("go")
    assert result.output == ["one", "two"], result.error
    assert world.did == [("look", {"a": 1}), ("look", {"bad": 1})]
    assert keys(result) == ["1.t1", "1.t1.c0", "1.t1.c1", "1.t2", "2.t1"]
    assert {fact.agent for fact in effects(result)} == {"Reader"}
    assert [fact.status for fact in effects(result)] == ["ok", "ok", "error", "ok", "ok"]
    roles = ["system", "user", "assistant", "tool", "assistant", "user"]
    assert [message.role for message in model.seen[-1].messages] == roles
    assert (await engine.replay(result.run_id, handlers=True)).verdict == "identical"
    assert len(model.seen) == 3


async def test_its_calls_are_one_after_the_other_in_a_part(handler):
    result = await handler("""
        import asyncio
        from clew.agents.loop import Job
        from clew.manifest.compiled import AgentPlan
        async def a(input, ctx):
            job = Job(name="Reader", agent=AgentPlan(model="fast"), input=input)
            await asyncio.gather(ctx.converse(job, None), ctx.converse(job, None))
    """).run()
    assert "began while agent 'Reader' of the same part was under way" in result.error["message"]
