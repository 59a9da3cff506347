"""Fork: a causal cut, edited, driven on; what stood before is reused (R3)."""

import asyncio
import json

import pytest

from clew.core import events as ev
from clew.core.errors import Conflict, Erased, UsageError
from clew.service import fork as forking
from clew.service.fork import ForkRequest
from clew.service.runs import load_project
from clew.testing import ScriptedHuman, ScriptedModel, write_project

HANDLERS = """
    import world
    async def one(input, ctx):
        return await ctx.effect("one", lambda n: world.did.append("one") or n + 1, input["n"])
    async def two(input, ctx):
        first = await ctx.effect("first", lambda n: world.did.append("first") or n * 10, input)
        second = await ctx.effect("second", lambda n: world.did.append("second") or n + 1, first)
        return [input, second]
"""
NODES = [
    {"id": "s", "role": "start"}, {"id": "a", "role": "linear", "handler": "one"},
    {"id": "b", "role": "linear", "handler": "two"}, {"id": "x", "role": "exit"},
]  # fmt: skip
CHAIN = "s>a>b>x"


@pytest.fixture
async def done(project, engine, world):
    one = engine(project(NODES, CHAIN, HANDLERS))
    result = await one.run({"n": 1})
    assert result.output == [2, 21]
    world.did.clear()
    return one, result


async def test_a_fork_names_its_parent_and_keeps_what_stood(done, world, seq_of):
    engine, result = done
    at = seq_of(result, "NodeCompleted", node="a")
    forked = await engine.fork(result.run_id, at)
    origin = forked.history[0].event.fact
    assert (origin.fork_of.run, origin.fork_of.seq, origin.fork_of.hash) == (
        result.run_id,
        at,
        result.history[at - 1].hash,
    )
    assert forked.output == [2, 21]
    assert world.did == ["first", "second"]
    assert (await engine.replay(forked.run_id, handlers=True)).verdict == "identical"
    assert await engine.verify() == []


async def test_an_edited_output_goes_on_from_there(done, world, seq_of):
    engine, result = done
    forked = await engine.fork(result.run_id, seq_of(result, "NodeCompleted", node="a"), {"": 5})
    assert forked.output == [5, 51]
    assert world.did == ["first", "second"]


async def test_an_edited_input_runs_everything_anew(done, world):
    engine, result = done
    forked = await engine.fork(result.run_id, 1, {"n": 7})
    assert forked.output == [8, 81]
    assert world.did == ["one", "first", "second"]
    assert forked.history[0].event.payload["input"] == {"n": 7}
    assert (await engine.result(result.run_id)).output == [2, 21]


async def test_an_edited_effect_is_what_the_body_is_given(done, world, seq_of):
    """The body is entered again: what it had asked before the cut is answered, what follows differs and is performed."""
    engine, result = done
    at = seq_of(result, "EffectFinished", name="first")
    forked = await engine.fork(result.run_id, at, {"": 100})
    assert forked.output == [2, 101]
    assert world.did == ["second"]


async def test_copied_effects_are_reused_up_to_the_first_that_differs(done, world, seq_of):
    """Cut after the second effect, with the first one edited away by another handler: the copy is forgotten from there on."""
    engine, result = done
    at = seq_of(result, "EffectFinished", name="second")
    changed = HANDLERS.replace("n * 10, input)", "n * 10, input + 1)")
    directory = engine.directory.with_name("changed")
    write_project(directory, json.loads((engine.directory / "clew.yaml").read_text()), changed)
    forked = await engine.fork(result.run_id, at, project=directory)
    assert forked.output == [2, 31]
    assert world.did == ["first", "second"]
    assert (await engine.replay(forked.run_id, handlers=True)).verdict == "identical"


async def test_an_edited_failure_becomes_a_success(solo, seq_of):
    engine = solo("""
        from clew import Failure
        def bad():
            raise Failure("down", code="down")
        async def a(input, ctx):
            return await ctx.effect("call", bad)
    """)
    result = await engine.run()
    assert result.error["code"] == "down"
    forked = await engine.fork(result.run_id, seq_of(result, "EffectFinished"), {"rows": [1]})
    assert forked.output == {"rows": [1]}


async def test_other_manifests(done, project, world, seq_of):
    engine, result = done
    more = [*NODES[:3], {"id": "c", "role": "linear"}, NODES[3]]
    directory = project(more, "s>a>b>c>x", HANDLERS, name="other")
    forked = await engine.fork(result.run_id, seq_of(result, "NodeCompleted", node="a"), project=directory)
    assert [r.event.fact.node for r in forked.history if isinstance(r.event.fact, ev.NodeStarted)] == [
        "s",
        "a",
        "b",
        "c",
        "x",
    ]
    assert world.did == ["first", "second"]


async def test_manifests_under_which_the_cut_cannot_be(done, project, seq_of):
    engine, result = done
    fewer = [NODES[0], NODES[2], NODES[3]]
    directory = project(fewer, "s>b>x", HANDLERS, name="other")
    with pytest.raises(Conflict, match="cannot be under these manifests") as caught:
        await engine.fork(result.run_id, seq_of(result, "NodeCompleted", node="a"), project=directory)
    assert "fork at an earlier event" in str(caught.value)
    renamed = [{"id": "begin", "role": "start"}, *NODES[1:]]
    with pytest.raises(Conflict, match="no start 's'"):
        await engine.fork(result.run_id, 1, project=project(renamed, "begin>a>b>x", HANDLERS, name="third"))


async def test_the_preflight_says_what_is_kept_and_what_performed(done, project, seq_of):
    engine, result = done
    at = seq_of(result, "EffectFinished", name="first")
    other = project([*NODES[:3], {"id": "c", "role": "linear"}, NODES[3]], "s>a>b>c>x", HANDLERS, name="other")
    plan, directory = load_project(other)
    prepared = await engine.prepare_fork(ForkRequest(run=result.run_id, at=at, plan=plan, directory=directory))
    flight = prepared.preflight
    assert flight.kept_nodes == ("0/s#1", "0/a#1")
    assert flight.reused_effects == ("0/b#1/1",)
    assert flight.entered_again == ("0/b",)
    assert flight.performed_anew == ("effect second (0/b#1/2)",)
    assert any("c" in change for change in flight.changes)
    assert len(await engine.runs()) == 1


async def test_a_fork_at_a_question_asks_again(solo, seq_of):
    engine = solo("async def a(input, ctx):\n    return await ctx.ask('?')\n")
    result = await ScriptedHuman(1).attend(engine, await engine.run())
    forked = await engine.fork(result.run_id, seq_of(result, "EffectStarted"))
    assert forked.state == "waiting"
    assert (await ScriptedHuman(2).attend(engine, forked)).output == 2
    changed = await engine.fork(result.run_id, seq_of(result, "EffectFinished"), {"value": 3})
    assert changed.output == 3


@pytest.mark.parametrize(("sets", "said"), [({"x": 1}, "no place 'x' in a int")])
async def test_a_place_that_is_not_there(done, seq_of, sets, said):
    engine, result = done
    with pytest.raises(UsageError, match=said):
        await engine.fork(result.run_id, seq_of(result, "NodeCompleted", node="a"), sets)


async def test_places_that_are_made_and_found(project, engine):
    one = engine(project([NODES[0], NODES[3]], "s>x"))
    result = await one.run({"rows": [{"n": 1}, {"n": 2}]})
    forked = await one.fork(result.run_id, 1, {"rows.1.n": 9, "new.deep": True})
    assert forked.output == {"rows": [{"n": 1}, {"n": 9}], "new": {"deep": True}}


@pytest.mark.parametrize("kind", ["DriverStarted", "NodeStarted"])
async def test_an_event_without_content_cannot_be_edited(done, seq_of, kind):
    engine, result = done
    with pytest.raises(UsageError, match="has no content to set"):
        await engine.fork(result.run_id, seq_of(result, kind), {"": 1})


async def test_places_where_no_fork_can_be(done):
    engine, result = done
    last = len(result.history)
    with pytest.raises(UsageError, match="is no place to fork at"):
        await engine.fork(result.run_id, last)
    for at in (0, last + 1):
        with pytest.raises(UsageError, match=f"has events 1 to {last}, not {at}"):
            await engine.fork(result.run_id, at)


async def test_every_other_event_is_one(done):
    engine, result = done
    made = 0
    for at in range(1, len(result.history)):
        forked = await _forked(engine, result.run_id, at)
        if forked is not None:
            assert forked.output == [2, 21]
            assert (await engine.replay(forked.run_id)).verdict == "identical"
            made += 1
    assert made > len(result.history) / 2


async def _forked(engine, run, at):
    try:
        return await engine.fork(run, at)
    except UsageError:
        return None


async def test_an_erased_parent_cannot_be_forked(done, seq_of):
    engine, result = done
    await engine.workspace.journal.erase(result.run_id)
    with pytest.raises(Erased):
        await engine.fork(result.run_id, 5)


async def test_a_fork_of_a_run_that_still_waits(solo, world):
    engine = solo("import world\nasync def a(input, ctx):\n    return [input, await ctx.ask('?')]\n")
    result = await engine.run(1)
    forked = await engine.fork(result.run_id, 1, {"": 2})
    assert forked.state == "waiting"
    assert (await engine.approve(result.run_id, "a")).output == [1, "a"]
    assert (await engine.approve(forked.run_id, "b")).output == [2, "b"]


async def test_promote_and_discard_are_said_in_both_journals(done):
    engine, result = done
    forked = await engine.fork(result.run_id, 1)
    await forking.promote(engine.workspace, forked.run_id, "ada")
    said = [(await engine.result(r)).history[-1].event for r in (forked.run_id, result.run_id)]
    assert [(e.fact.name, e.payload) for e in said] == [
        ("promoted", {"over": result.run_id}),
        ("superseded", {"by": forked.run_id}),
    ]
    await forking.discard(engine.workspace, forked.run_id, "ada")
    assert (await engine.result(forked.run_id)).history[-1].event.fact.name == "discarded"
    with pytest.raises(UsageError, match="is no fork"):
        await forking.promote(engine.workspace, result.run_id, "ada")


async def test_discarding_a_fork_that_still_runs_ends_it(solo):
    engine = solo("async def a(input, ctx):\n    await ctx.ask('?')\n")
    result = await engine.run()
    forked = await engine.fork(result.run_id, 1)
    await forking.discard(engine.workspace, forked.run_id, "ada")
    assert (await engine.result(forked.run_id)).state == "cancelled"
    assert (await engine.result(result.run_id)).state == "waiting"


async def test_a_fork_of_a_fork(done, seq_of):
    engine, result = done
    forked = await engine.fork(result.run_id, seq_of(result, "NodeCompleted", node="a"), {"": 5})
    again = await engine.fork(forked.run_id, seq_of(forked, "EffectFinished", name="second"), {"": 0})
    assert again.output == [5, 0]
    assert again.history[0].event.fact.fork_of.run == forked.run_id


async def test_what_was_in_flight_at_the_cut_is_performed_anew_not_in_doubt(done, world, seq_of):
    engine, result = done
    forked = await engine.fork(result.run_id, seq_of(result, "NodeStarted", node="b"))
    assert forked.output == [2, 21]
    await asyncio.sleep(0)


# -- agents ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def planner(project, engine):
    """``planner(*answers, **fields)``: an engine on one agent node that plans milestones; its script is ``engine._models``."""

    def make(*answers, **fields):
        tools = ["plan_milestones"]
        directory = project(
            [{"id": "s", "role": "start"}, {"id": "a", "kind": "agent", "role": "linear", "agent": "w", "tools": tools},
             {"id": "x", "role": "exit"}], "s>a>x", "", models={"fast": {"use": ["p/m"]}},
            tools=[{"id": "plan_milestones", "type": "builtin"}],
            agents=[{"id": "w", "model": "fast", "tools": tools, **fields}],
            providers=[{"id": "p", "type": "openai", "prices": {"input": 1, "output": 2}}],
        )  # fmt: skip
        one = engine(directory)
        one._models = ScriptedModel(*answers)
        return one

    return make


def plan(name, title="t"):
    return ScriptedModel.call("plan_milestones", goal="g", milestones=[{"id": name, "title": title}])


@pytest.mark.parametrize("limits", [{"cost": 1}, {"tokens": 100_000}])
async def test_an_agents_limits_count_what_its_parent_spent(planner, seq_of, limits):
    """Its turns are the parent's to the letter, so none is asked again; what they cost is not paid twice."""
    engine = planner(plan("m1"), plan("m2"), "done", "other", limits=limits)
    result = await engine.run("x")
    forked = await engine.fork(result.run_id, seq_of(result, "EffectFinished", key="0/a#1/t2.c0"))
    assert (forked.output, len(engine._models.seen)) == ("other", 4)
    assert [r.event.fact.cost for r in forked.history if getattr(r.event.fact, "kind", "") == "model"][:2] == ["", ""]
    again = await engine.fork(forked.run_id, seq_of(forked, "EffectFinished", key="0/a#1/t2.c0"))
    assert "script" in again.error["message"]  # it got as far as asking
    assert (await engine.replay(forked.run_id)).verdict == "identical"


async def test_what_a_fork_does_not_hold_to_was_not_planned(planner, seq_of):
    engine = planner(plan("m1", "old"), "done", plan("m1", "new"), "done")
    result = await engine.run("x")
    other = planner(instructions="Otherwise.").directory
    forked = await engine.fork(result.run_id, seq_of(result, "EffectFinished", kind="tool"), project=other)
    rows = await engine.workspace.journal.rows("milestones", {"run": forked.run_id})
    assert (forked.output, [row["title"] for row in rows]) == ("done", ["new"])
    assert (await engine.replay(forked.run_id)).verdict == "identical"
