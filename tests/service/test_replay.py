"""Replay verifies without performing anything and points at the first divergence (R3)."""

import sys

import msgspec
import pytest

from clew.core import events as ev
from clew.core.events import Event
from clew.service.replay import trace_digest
from clew.testing import ScriptedHuman, ScriptedModel

WORK = """
    import world
    async def a(input, ctx):
        first = await ctx.effect("one", lambda: world.did.append(1) or 1)
        ctx.now()
        many = await ctx.gather(*(ctx.effect("e", lambda i=i: i) for i in range(2)))
        answer = await ctx.ask("?")
        return [first, many, answer, ctx.random.random()]
"""


@pytest.fixture
async def done(solo, world):
    engine = solo(WORK)
    result = await ScriptedHuman(5).attend(engine, await engine.run())
    assert result.status == "success"
    return engine, result


def tampered(engine, run, change):
    """The journal says something else of one event: ``change(record) -> event or None``."""
    journal = engine.workspace.journal
    read = journal.read

    async def lying(name, after=0, upto=None):
        records = await read(name, after, upto)
        return [msgspec.structs.replace(r, event=change(r) or r.event) for r in records]

    journal.read = lying


@pytest.mark.parametrize("handlers", [False, True])
async def test_a_faithful_record_is_identical_and_nothing_is_performed(done, world, handlers):
    engine, result = done
    did = list(world.did)
    before = len(result.history)
    report = await engine.replay(result.run_id, handlers=handlers)
    assert (report.verdict, report.divergence, report.handlers) == ("identical", None, handlers)
    assert (report.events, report.bodies, report.effects) == (before, 3, 5)
    assert world.did == did
    assert len((await engine.result(result.run_id)).history) == before


async def test_a_run_that_has_not_ended_is_unfinished(solo):
    engine = solo("async def a(input, ctx):\n    await ctx.ask('?')\n")
    result = await engine.run()
    for handlers in (False, True):
        assert (await engine.replay(result.run_id, handlers=handlers)).verdict == "unfinished"


async def test_an_erased_run_says_so(done):
    engine, result = done
    await engine.workspace.journal.erase(result.run_id)
    report = await engine.replay(result.run_id)
    assert (report.verdict, report.divergence.seq) == ("erased", 1)


async def test_a_changed_handler_diverges_at_its_node(done, seq_of):
    engine, result = done
    path = engine.directory / "handlers.py"
    path.write_text(path.read_text().replace("return [first,", "return ['changed',"))
    _forget_modules()
    engine.workspace._worlds.clear()
    assert (await engine.replay(result.run_id)).verdict == "identical"
    report = await engine.replay(result.run_id, handlers=True)
    assert report.verdict == "diverged"
    assert report.divergence.seq == seq_of(result, "NodeCompleted", node="a")
    assert "0/a#1 gave [1, " in report.divergence.message
    assert "now ['changed', " in report.divergence.message


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"one"', '"two"', "recorded effect one"),
        ("return [first,", "await ctx.effect('more', lambda: 1)\n    return [first,", "which the record does not hold"),
        ("return [first,", "await ctx.ask('more')\n    return [first,", "which the record does not hold"),
        ("return [first,", "ctx.now(); return [first,", "reads the clock where the record does not"),
        ("return [first,", "raise ValueError('x')\n    return [first,", "ValueError: x"),
    ],
)
async def test_a_handler_that_does_something_else_diverges(done, old, new, said):
    engine, result = done
    path = engine.directory / "handlers.py"
    path.write_text(path.read_text().replace(old, new))
    _forget_modules()
    engine.workspace._worlds.clear()
    report = await engine.replay(result.run_id, handlers=True)
    assert report.verdict == "diverged"
    assert said in report.divergence.message


def _forget_modules():
    for name in [n for n in sys.modules if n.startswith("clew_project_")]:
        del sys.modules[name]


async def test_a_changed_route_diverges_where_the_machine_refuses(project, engine):
    nodes = [
        {"id": "s", "role": "start"},
        {"id": "d", "role": "decision"},
        {"id": "l", "role": "linear"},
        {"id": "r", "role": "linear"},
        {"id": "x", "role": "exit"},
    ]
    one = engine(project(nodes, "s>d d>l[left]>x d>r[right]>x"))
    result = await one.run({"route": "left"})
    tampered(
        one,
        result.run_id,
        lambda r: (
            Event(r.event.fact, {"route": "right"}, r.event.at)
            if isinstance(r.event.fact, ev.NodeCompleted) and r.event.fact.node == "d"
            else None
        ),
    )
    report = await one.replay(result.run_id)
    assert report.verdict == "diverged"
    assert "0/l#1 entry 1, wanted 0/r#1 entry 1" in report.divergence.message


async def test_a_changed_result_diverges_at_the_end(done):
    engine, result = done
    tampered(
        engine,
        result.run_id,
        lambda r: (
            Event(r.event.fact, {"output": "forged"}, r.event.at) if isinstance(r.event.fact, ev.RunFinished) else None
        ),
    )
    report = await engine.replay(result.run_id)
    assert (report.verdict, report.divergence.seq) == ("diverged", len(result.history))
    assert "forged" in report.divergence.message


async def test_a_body_that_touches_the_world_is_not_entered(solo, world):
    engine = solo("import world\nasync def a(input, ctx):\n    world.did.append(1)\n    return 1\n", effects="external")
    result = await engine.run()
    assert (await engine.replay(result.run_id, handlers=True)).verdict == "identical"
    assert world.did == [1]


async def test_a_synchronous_handler_and_a_failed_one_replay_too(solo):
    engine = solo(
        "def a(input, ctx):\n    if ctx.attempt == 1:\n        raise ValueError('x')\n    return ctx.effect('e', lambda: 3)\n",
        retry={"max_attempts": 2},
    )
    result = await (await engine.start()).result()
    assert (await engine.replay(result.run_id, handlers=True)).verdict == "identical"


async def test_the_trace_is_of_behaviour_not_of_time_or_order(solo, world, clock):
    engine = solo(WORK)
    traces = []
    for answer in (5, 5, 6):
        result = await ScriptedHuman(answer).attend(engine, await engine.run())
        traces.append(trace_digest(result.history))
        clock.advance(12345)
    assert traces[0] == traces[1] != traces[2]


async def test_a_cancelled_run_replays(solo):
    engine = solo("async def a(input, ctx):\n    await ctx.ask('?')\n")
    run = (await engine.run()).run_id
    await engine.cancel(run)
    assert (await engine.replay(run)).verdict == "identical"


# -- agents ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def agent(project, engine):
    """``agent(*answers)``: an engine whose node ``a`` is an agent's that may use the tool ``look``."""

    def make(*answers, **fields):
        nodes = [
            {"id": "start", "role": "start"},
            {"id": "a", "role": "linear", "kind": "agent", "agent": "writer", "tools": ["look"]},
            {"id": "done", "role": "exit"},
        ]
        tool = {"id": "look", "handler": "handlers:look", "inputs": {"type": "object"}, "repeat_safe": True}
        one = engine(
            project(
                nodes, "start>a>done", "async def look(args, context):\n    return args\n", tools=[tool],
                agents=[{"id": "writer", "model": "p/m", "tools": ["look"], **fields}],
                providers=[{"id": "p", "type": "openai"}],
            )
        )  # fmt: skip
        one._models = ScriptedModel(*answers)
        return one

    return make


async def test_agents_are_entered_again_without_their_project(agent):
    engine = agent(ScriptedModel.call("look", at=1), "seen")
    result = await engine.run()
    (engine.directory / "handlers.py").unlink()
    engine.workspace._worlds.clear()
    report = await engine.replay(result.run_id)
    assert (report.verdict, report.divergence, report.effects) == ("identical", None, 3)


async def test_an_agent_that_failed_fails_again(agent):
    engine = agent(*[ScriptedModel.call("look")] * 4)
    result = await engine.run()
    assert result.error["code"] == "loop_detected"
    assert (await engine.replay(result.run_id)).verdict == "identical"


async def test_an_answer_that_was_changed_diverges_at_the_agent(agent, seq_of):
    engine = agent(ScriptedModel.call("look", at=1), "seen")
    result = await engine.run()

    def change(record):
        if getattr(record.event.fact, "key", "") == "0/a#1/t1":
            payload = {**record.event.payload, "output": {"parts": [{"type": "text", "content": "no need"}]}}
            return msgspec.structs.replace(record.event, payload=payload)
        return None

    tampered(engine, result.run_id, change)
    report = await engine.replay(result.run_id)
    assert report.divergence.seq == seq_of(result, "NodeCompleted", node="a")
    assert "0/a#1 gave 'seen', now 'no need'" in report.divergence.message


@pytest.mark.parametrize(
    ("said", "now", "difference"),
    [("seen", "", "completed, now: the answer is empty"), ("", "seen", "failed (invalid_output), now: it completes")],
)
async def test_another_end_than_recorded_diverges(agent, said, now, difference):
    engine = agent(said, corrections=0)
    result = await engine.run()

    def change(record):
        if getattr(record.event.fact, "key", "") == "0/a#1/t1":
            payload = {**record.event.payload, "output": {"parts": [{"type": "text", "content": now}]}}
            return msgspec.structs.replace(record.event, payload=payload)
        return None

    tampered(engine, result.run_id, change)
    report = await engine.replay(result.run_id)
    assert report.verdict == "diverged"
    assert difference in report.divergence.message
