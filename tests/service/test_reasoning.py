"""What agents thought, did and saw, from the recorded effects alone (G5)."""

import pytest

from clew.core.errors import Failure
from clew.gate.ports.model import Reasoning
from clew.service.inspect import EffectView, NodeView
from clew.service.reasoning import turns
from clew.testing import ScriptedModel

call = ScriptedModel.call

HANDLERS = """
    from clew import Failure
    async def look(args, context):
        if args.get("at") == "no":
            raise Failure("nothing there", code="not_found")
        return {"saw": args}
    async def a(input, ctx):
        first = await ctx.model("p/m", [{"role": "user", "content": "hi"}], schema={"type": "object"})
        second = await ctx.model("p/m", [{"role": "user", "content": "hi"}])
        return [first, second]
"""


@pytest.fixture
def seen(project, engine):
    """``await seen(*answers, **fields)``: the turns of node ``a``, an agent's, after a run with these answers."""

    async def run(*answers, node=None, agents=(), **fields):
        own = {"kind": "agent", "agent": "writer", "tools": ["look"], **(node or {})}
        nodes = [{"id": "s", "role": "start"}, {"id": "a", "role": "linear", **own}, {"id": "x", "role": "exit"}]
        one = engine(
            project(
                nodes, "s>a>x", HANDLERS, agents=[{"id": "writer", "model": "p/m", "tools": ["look"], **fields}, *agents],
                tools=[{"id": "look", "handler": "handlers:look", "inputs": {"type": "object"}, "repeat_safe": True}],
                providers=[{"id": "p", "type": "openai", "prices": {"input": 1, "output": 1}}],
            )
        )  # fmt: skip
        one._models = ScriptedModel(*answers)
        result = await one.run()
        (view,) = [n for n in (await one.inspect(result.run_id)).nodes if n.node == "a"]
        return turns(view)

    return run


def told(turn):
    return [(s.kind, s.name or s.text) for s in turn.steps]


async def test_thought_action_observation_answer(seen):
    first, second = await seen(
        [Reasoning(content="Hm."), "I look.", call("look", at="a"), call("look", at="no")], "done"
    )
    assert told(first) == [
        ("thought", "Hm."), ("thought", "I look."), ("action", "look"), ("action", "look"),
        ("observation", "look"), ("observation", "look"),
    ]  # fmt: skip
    assert first.steps[2].value == {"at": "a"}
    assert [(s.value, s.failed) for s in first.steps[4:]] == [
        ({"saw": {"at": "a"}}, False), ({"code": "not_found", "message": "nothing there", "details": None}, True),
    ]  # fmt: skip
    assert told(second) == [("answer", "done")]
    assert (second.key, second.agent, second.model, second.deployment) == ("0/a#1/t2", "writer", "p/m", "p/m")
    assert second.tokens > 0
    assert second.cost


async def test_calls_that_were_not_made_show_why(seen):
    first, _ = await seen(call("nope"), "done")
    assert told(first) == [("action", "nope"), ("observation", "nope")]
    assert first.steps[1].failed
    assert first.steps[1].value["error"]["code"] == "unknown_tool"


async def test_corrections_stand_with_what_they_correct(seen):
    first, second, third = await seen("no json", "", {"n": 1}, schema_out={"type": "object"})
    assert [s.kind for s in first.steps] == ["answer", "correction"]
    assert "holds no JSON" in first.steps[1].text
    assert [s.kind for s in second.steps] == ["correction"]
    assert told(third) == [("answer", '{"n":1}')]


async def test_the_note_of_the_last_turn(seen):
    first, second = await seen(call("look"), "done", limits={"steps": 2})
    assert [s.kind for s in first.steps] == ["action", "observation", "note"]
    assert told(second) == [("answer", "done")]


async def test_a_failure_of_the_model(seen):
    (turn,) = await seen(Failure("much too long", code="context_too_long"))
    assert [(s.kind, s.name, s.failed) for s in turn.steps] == [("failure", "context_too_long", True)]


async def test_what_a_handler_asked(seen):
    node = {"kind": "deterministic", "agent": None, "handler": "a"}
    first, second, third = await seen("wrong", {"n": 1}, "free", node=node)
    assert [s.kind for s in first.steps] == ["answer", "correction"]
    assert told(second) == [("answer", '{"n":1}')]
    assert told(third) == [("answer", "free")]
    assert first.agent == ""


async def test_a_choice_from_a_pool(seen):
    choice, answer = await seen("done", node={"agent": "team"}, agents=[{"id": "team", "pool": ["writer"]}])
    assert (choice.steps[0].kind, choice.steps[0].name, choice.model) == ("choice", "writer", "")
    assert answer.agent == "writer"


def effect(seq, kind="model", **fields):
    return EffectView(seq=seq, key=f"0/a#1/t{seq}", kind=kind, name="m", status="ok", at=0, **fields)


def test_what_was_erased_or_is_still_open_is_told_as_far_as_it_is_known():
    call = {"type": "tool_call", "id": "1", "name": "look"}
    waiting = EffectView(seq=3, key="0/a#1/t2.c0", kind="tool", name="look", status="in doubt", at=0)
    asked = effect(2, output={"parts": [call, call]})
    wrong = effect(4, kind="selection", error={"code": "bad", "message": "no"})
    node = NodeView(seq=1, task="0", node="a", role="linear", attempt=1, effects=[effect(1), asked, waiting, wrong])
    erased, open_, failed = turns(node)
    assert erased.steps == []
    assert told(open_) == [("action", "look"), ("action", "look"), ("observation", "look")]
    assert open_.steps[2].text == "in doubt"
    assert told(failed) == [("failure", "bad")]
