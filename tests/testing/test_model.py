"""A model that answers by script, for tests of agents."""

import pytest

from clew.core.errors import Failure, UsageError
from clew.gate.ports.model import Answered, Message, ModelAnswer, ModelRequest, Reasoning, Text, ToolCall, Usage
from clew.testing import ScriptedModel

REQUEST = ModelRequest(model="fast", messages=(Message(role="user", parts=(Text(content="hi"),)),))


async def said(answer):
    return (await ScriptedModel(answer).ask("m", REQUEST)).answer


async def test_texts_and_values():
    assert (await said("hello")).text == "hello"
    assert (await said({"n": 1})).text == '{"n":1}'
    assert (await said([1, "a"])).text == '[1,"a"]'
    assert (await said([])).text == "[]"
    assert (await said("x")).finish == "stop"


async def test_calls():
    one = await said(ScriptedModel.call("read", path="a", name="b"))
    assert one.calls == (ToolCall(id="call-1-0", name="read", arguments={"path": "a", "name": "b"}),)
    assert one.finish == "tool_call"
    many = await said(["I look.", ScriptedModel.call("a"), ToolCall(id="mine", name="b"), Reasoning(content="hm")])
    assert [c.id for c in many.calls] == ["call-1-1", "mine"]
    assert (many.text, many.parts[3]) == ("I look.", Reasoning(content="hm"))


async def test_answers_as_they_are():
    answer = ModelAnswer(parts=(Text(content="x"),), finish="length")
    assert await said(answer) is answer
    answered = Answered(answer=answer, usage=Usage(input_tokens=3))
    assert await ScriptedModel(answered).ask("m", REQUEST) is answered
    assert ScriptedModel.cut("x") == answer
    assert ScriptedModel.refusal("no").finish == "content_filter"


async def test_functions_and_failures():
    async def later(request):
        return request.model

    model = ScriptedModel(lambda request: {"model": request.model}, later, Failure("busy", code="rate_limited"))
    assert (await model.ask("m", REQUEST)).answer.text == '{"model":"fast"}'
    assert (await model.ask("m", REQUEST)).answer.text == "fast"
    with pytest.raises(Failure, match="busy"):
        await model.ask("m", REQUEST)
    assert model.seen == [REQUEST] * 3


async def test_without_an_answer_left_it_says_so():
    model = ScriptedModel("one")
    await model.ask("m", REQUEST)
    with pytest.raises(UsageError, match="asked 2 times and has no answer left"):
        await model.ask("m", REQUEST)
    await model.close()


async def test_usage_is_counted_from_lengths():
    short = (await ScriptedModel("x").ask("m", REQUEST)).usage
    long = (await ScriptedModel("x" * 4000).ask("m", REQUEST)).usage
    assert short.input_tokens == long.input_tokens > 0
    assert 1000 < long.output_tokens < 1020
    assert (await ScriptedModel("x").ask("m", REQUEST)).usage == short


async def test_it_speaks_to_whoever_listens():
    heard = []
    model = ScriptedModel([Reasoning(content="hm"), Text(content="yes"), ScriptedModel.call("t")])
    await model.ask("m", REQUEST, lambda kind, text: heard.append((kind, text)))
    assert heard == [("reasoning", "hm"), ("text", "yes")]
