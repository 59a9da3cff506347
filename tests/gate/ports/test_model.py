import msgspec

from clew.gate.ports.model import Message, ModelAnswer, ModelRequest, Reasoning, Text, ToolCall, ToolResponse

THOUGHT = Reasoning(content="hm", opaque={"signature": "s"})


def test_a_request_is_json_and_comes_back_the_same():
    request = ModelRequest(
        model="fast",
        messages=(
            Message("system", (Text(content="be brief"),)),
            Message("assistant", (THOUGHT, ToolCall(id="1", name="t", arguments={"a": 1}))),
            Message("tool", (ToolResponse(id="1", name="t", response=[1], error=True),)),
        ),
    )  # fmt: skip
    plain = msgspec.to_builtins(request)
    assert plain["messages"][1]["parts"][1] == {"type": "tool_call", "id": "1", "name": "t", "arguments": {"a": 1}}
    assert "tools" not in plain, "what is not said is not recorded"
    assert msgspec.convert(plain, ModelRequest) == request


def test_an_answers_text_and_calls():
    call = ToolCall(id="1", name="t")
    answer = ModelAnswer(parts=(Reasoning(content="hm"), Text(content="a"), call, Text(content="b")))
    assert answer.text == "ab"
    assert answer.calls == (call,)
