import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.core.errors import Failure
from clew.gate.ports.model import FAULTS, Message, ModelRequest, Text, ToolCall, ToolOffer, ToolResponse
from clew.models.offline import OfflineClient
from clew.models.offline.client import SAYS, input_of

PATH = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
SIZE = {"type": "object", "properties": {"size": {"type": "integer"}}, "required": ["size"]}


def request(given, *more, tools=(), schema=None, offline=None):
    text = given if isinstance(given, str) else json.dumps(given)
    messages = (Message("system", (Text(content="Do it."),)), Message("user", (Text(content=text),)), *more)
    parameters = {"temperature": 0} if offline is None else {"offline": offline}
    return ModelRequest(model="m", messages=messages, tools=tuple(tools), schema=schema, parameters=parameters)


async def converse(first, results):
    """Ask until there is an answer; tool calls are answered from ``results`` by name."""
    asked, client = first, OfflineClient()
    for _ in range(10):
        answer = (await client.ask("any", asked)).answer
        if not answer.calls:
            await client.close()
            return answer, asked
        said = tuple(
            ToolResponse(id=c.id, name=c.name, response=results[c.name], error=isinstance(results[c.name], str))
            for c in answer.calls
        )
        turn = (Message("assistant", answer.parts), Message("tool", said))
        asked = ModelRequest(
            **{f: getattr(asked, f) for f in asked.__struct_fields__} | {"messages": asked.messages + turn}
        )
    raise AssertionError("no answer")


async def test_a_plan_is_followed_and_answered():
    tools = [ToolOffer(name="measure", parameters=PATH)]
    plan = {
        "steps": [{"call": "measure", "args": {"path": "{{input.path}}"}}],
        "answer": {"size": "{{results.measure.size}}"},
    }
    answer, asked = await converse(
        request({"path": "a"}, tools=tools, schema=SIZE, offline=plan), {"measure": {"size": 5}}
    )
    assert (json.loads(answer.text), answer.finish, answer.model) == ({"size": 5}, "stop", "offline/any")
    calls = asked.messages[2].parts
    assert calls[0].content == f"{SAYS} step 1 of 1 of the plan: measure"
    assert calls[1].arguments == {"path": "a"}


async def test_without_a_plan_tools_are_called_by_name_and_fields_filled():
    tools = [
        ToolOffer(name="measure", parameters=PATH),
        ToolOffer(name="other", parameters=SIZE),
        ToolOffer(name="remove", parameters=PATH, mutates=True),
    ]
    answer, _ = await converse(request({"path": "a"}, tools=tools, schema=SIZE), {"measure": {"size": 5}, "other": {}})
    assert json.loads(answer.text) == {"size": 5}


async def test_a_goal_is_planned_where_it_splits_itself():
    tools = [ToolOffer(name="plan_milestones", parameters={"type": "object", "required": ["goal", "milestones"]})]
    goal = {"goal": "write it, then test it"}
    answer, asked = await converse(request(goal, tools=tools), {"plan_milestones": {"milestones": 2}})
    assert [m["title"] for m in asked.messages[2].parts[1].arguments["milestones"]] == ["write it", "test it"]
    assert answer.text == f"{SAYS} plan_milestones: milestones = 2"


async def test_prose_says_that_it_is_offline():
    tools = [ToolOffer(name="measure", parameters=PATH)]
    answer, _ = await converse(request({"path": "a"}, tools=tools), {"measure": {"size": 5}})
    assert answer.text == f"{SAYS} measure: size = 5"
    told = await OfflineClient().ask("m", request("Just a question?", offline={"answer": "You said: {{input.text}}"}))
    assert told.answer.text == f"{SAYS} You said: Just a question?"


async def test_a_failed_tool_is_not_called_again_and_fills_nothing():
    tools = [ToolOffer(name="measure", parameters=PATH)]
    with pytest.raises(Failure, match=r"\$\.size"):
        await converse(request({"path": "a"}, tools=tools, schema=SIZE), {"measure": "not_found"})


async def test_steps_without_an_answer_are_answered_from_their_results():
    tools = [ToolOffer(name="measure", parameters=PATH), ToolOffer(name="never")]
    plan = {"steps": [{"call": "measure", "args": {"path": "x"}}]}
    answer, _ = await converse(request({}, tools=tools, schema=SIZE, offline=plan), {"measure": {"size": 5}})
    assert json.loads(answer.text) == {"size": 5}


async def test_what_it_writes_is_told_while_it_speaks():
    heard = []
    told = await OfflineClient().ask("m", request("Hello there."), lambda kind, text: heard.append((kind, text)))
    assert heard == [("text", told.answer.text)]


async def test_usage_counts_words():
    told = await OfflineClient().ask("m", request("one two three", offline={"answer": "four five"}))
    assert (told.usage.input_tokens, told.usage.output_tokens) == (5, 7)
    assert told == await OfflineClient().ask("m", request("one two three", offline={"answer": "four five"}))


async def test_an_answer_that_does_not_fit_is_never_given():
    with pytest.raises(Failure, match="does not fit the schema") as caught:
        await OfflineClient().ask("m", request({}, schema=SIZE, offline={"answer": {"size": "big"}}))
    assert caught.value.code == "offline_cannot"


async def test_corrections_take_a_model():
    first = request({"size": 1}, schema=SIZE)
    said = (await OfflineClient().ask("m", first)).answer
    sent_back = Message("assistant", said.parts), Message("user", (Text(content="$.size: too small"),))
    with pytest.raises(Failure, match=r"takes a model: \$\.size: too small") as caught:
        await OfflineClient().ask("m", request({"size": 1}, *sent_back, schema=SIZE))
    assert caught.value.code == "offline_cannot"
    assert not FAULTS["offline_cannot"]


async def test_what_another_model_said_wrong_may_be_said_right():
    """It stands at the end of a chain of models and takes over in the middle of a conversation."""
    wrong = (
        Message("assistant", (Text(content='{"size": "big"}'),)),
        Message("user", (Text(content="$.size: no integer"),)),
    )
    told = await OfflineClient().ask("m", request({"size": 1}, *wrong, schema=SIZE))
    assert json.loads(told.answer.text) == {"size": 1}


async def test_advice_after_a_call_is_no_correction():
    call = ToolCall(id="offline-t", name="t")
    said = ToolResponse(id="offline-t", name="t", response={"size": 1})
    more = (
        Message("assistant", (call,)),
        Message("tool", (said,)),
        Message("user", (Text(content="That repeats itself."),)),
    )
    told = await OfflineClient().ask("m", request({}, *more, schema=SIZE))
    assert json.loads(told.answer.text) == {"size": 1}


def test_input_is_read_as_json_or_as_text():
    assert input_of(request({"a": 1}).messages) == {"a": 1}
    assert input_of(request("[1, 2").messages) == {"text": "[1, 2"}
    assert input_of(()) == {"text": ""}
    assert input_of(request("[" * 100_000).messages) == {"text": "[" * 100_000}
    with pytest.raises(Failure, match="more than"):
        input_of(request("x" * (17 << 20)).messages)


async def test_an_answer_is_bounded():
    big = {"answer": {"a": ["{{input.t}}"] * 60}}
    with pytest.raises(Failure, match="more than") as caught:
        await OfflineClient().ask("m", request({"t": "x" * 100_000}, schema={"type": "object"}, offline=big))
    assert caught.value.code == "offline_cannot"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["{{input}}", "{{", "$ref", "object"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ODD_SCHEMA = st.fixed_dictionaries(
    {}, optional={"type": JSON, "properties": JSON, "required": JSON, "$defs": JSON, "enum": JSON, "$ref": JSON}
)


@settings(max_examples=300, deadline=None)
@given(JSON, ODD_SCHEMA, JSON, JSON, ODD_SCHEMA)
async def test_whatever_comes_it_answers_or_says_why_not(value, schema, offline, result, parameters):
    said = Message("tool", (ToolResponse(id="offline-1", name="t", response=result),))
    asked = request(value, said, tools=[ToolOffer(name="t2", parameters=parameters)], schema=schema, offline=offline)
    code = ""
    try:
        answer = (await OfflineClient().ask("m", asked)).answer
    except Failure as failure:
        code = failure.code
    assert code in ("offline_cannot", "invalid_request") if code else answer.calls or answer.text


async def test_no_tool_is_called_where_none_may_be():
    asked = request({"path": "a"}, tools=[ToolOffer(name="measure", parameters=PATH)])
    told = msgspec.structs.replace(asked, parameters={"tool_choice": "none"})
    assert (await OfflineClient().ask("any", asked)).answer.calls
    assert not (await OfflineClient().ask("any", told)).answer.calls
