"""What a provider said comes back to it as it was, also after it was written down as JSON."""

import msgspec
import pytest
from pydantic_ai import messages as theirs

from clew.core.errors import Failure
from clew.gate.ports.model import Message, ModelAnswer, Reasoning, Text, ToolCall, ToolResponse
from clew.models.adapters.messages import answer_of, history_of
from clew.testing.provider import Call, FakeProvider, Step

SAID = Step(
    reasoning="let me think",
    text="I look it up",
    calls=(Call("lookup", {"id": 1}), Call("lookup", {"id": 2})),
)
RESULT = {"found": [1, 2], "name": "ä"}


def written_down(answer: ModelAnswer) -> ModelAnswer:
    return msgspec.json.decode(msgspec.json.encode(answer), type=ModelAnswer)


async def told_again(one, ask_of, *, streamed, fake, after=()):
    """Ask, write the answer down, ask again with it and its tools' results; returns the second request's body."""
    first = ask_of()
    answer = written_down((await one.ask(first, streamed=streamed)).answer)
    results = [ToolResponse(call.id, call.name, RESULT) for call in answer.calls]
    if results:
        results[-1] = ToolResponse(answer.calls[-1].id, "lookup", "no such id", error=True)
    messages = (*first.messages, Message("assistant", answer.parts), Message("tool", tuple(results)), *after)
    await one.ask(ask_of(messages=messages))
    return fake.seen[-1].body


@pytest.mark.parametrize("streamed", [False, True])
async def test_responses_items(asker, ask_of, streamed):
    async with FakeProvider(SAID, Step(text="done")) as fake:
        body = await told_again(asker("responses", fake), ask_of, streamed=streamed, fake=fake)
    items = {(item.get("type"), item.get("id")): item for item in body["input"]}
    assert body["store"] is False
    assert items["reasoning", "rs_1"]["encrypted_content"] == "sealed-1"
    assert items["reasoning", "rs_1"]["summary"] == [{"type": "summary_text", "text": "let me think"}]
    assert items["message", "msg_1"]["content"][0]["text"] == "I look it up"
    assert items["function_call", "fc_1_0"]["call_id"] == "call_1_0"
    assert items["function_call", "fc_1_1"]["arguments"] == '{"id":2}'
    order = [item.get("id") or item.get("call_id") for item in body["input"]]
    assert order == [None, None, "rs_1", "msg_1", "fc_1_0", "fc_1_1", "call_1_0", "call_1_1"]
    outputs = [item["output"] for item in body["input"] if item.get("type") == "function_call_output"]
    assert msgspec.json.decode(outputs[0]) == RESULT
    assert "no such id" in outputs[1]


@pytest.mark.parametrize("streamed", [False, True])
async def test_anthropic_signatures(asker, ask_of, streamed):
    async with FakeProvider(SAID, Step(text="done")) as fake:
        body = await told_again(asker("anthropic", fake), ask_of, streamed=streamed, fake=fake)
    _, assistant, results = body["messages"]
    assert assistant["content"] == [
        {"type": "thinking", "thinking": "let me think", "signature": "signed-1"},
        {"type": "text", "text": "I look it up"},
        {"type": "tool_use", "id": "toolu_1_0", "name": "lookup", "input": {"id": 1}},
        {"type": "tool_use", "id": "toolu_1_1", "name": "lookup", "input": {"id": 2}},
    ]
    assert [(block["tool_use_id"], block["is_error"]) for block in results["content"]] == [
        ("toolu_1_0", False),
        ("toolu_1_1", True),
    ]


@pytest.mark.parametrize("streamed", [False, True])
async def test_gemini_thought_signatures(asker, ask_of, streamed):
    async with FakeProvider(SAID, Step(text="done")) as fake:
        body = await told_again(asker("gemini", fake), ask_of, streamed=streamed, fake=fake)
    calls = [part for part in body["contents"][1]["parts"] if "functionCall" in part]
    assert calls[0]["thoughtSignature"] == "c2lnbmVk"
    assert "thoughtSignature" not in calls[1]
    answers = [part["functionResponse"]["response"] for part in body["contents"][2]["parts"]]
    assert answers == [RESULT, {"error": "no such id"}]


@pytest.mark.parametrize("streamed", [False, True])
async def test_chat_reasoning_goes_back_in_its_field(asker, ask_of, streamed):
    async with FakeProvider(SAID, Step(text="done")) as fake:
        body = await told_again(asker("chat", fake), ask_of, streamed=streamed, fake=fake)
    assistant = body["messages"][2]
    assert assistant["reasoning_content"] == "let me think"
    assert assistant["content"] == "I look it up"
    assert [call["id"] for call in assistant["tool_calls"]] == ["call_1_0", "call_1_1"]
    assert [m["role"] for m in body["messages"]] == ["system", "user", "assistant", "tool", "tool"]


@pytest.mark.parametrize("kind", ["chat", "responses", "anthropic", "gemini"])
async def test_the_same_written_down_answer_makes_the_same_bytes(asker, ask_of, kind):
    async with FakeProvider(script=lambda seen: SAID if seen.number in (1, 3) else Step(text="done")) as fake:
        answer = written_down((await asker(kind, fake).ask()).answer)
        messages = (*ask_of().messages, Message("assistant", answer.parts), Message("user", (Text("go on"),)))
        one, two = asker(kind, fake), asker(kind, fake)
        await one.ask(ask_of(messages=messages))
        await two.ask(ask_of(messages=messages))
    assert fake.seen[1].raw == fake.seen[2].raw


@pytest.mark.parametrize("kind", ["chat", "responses", "anthropic", "gemini"])
@pytest.mark.parametrize("other", ["chat", "responses", "anthropic", "gemini"])
async def test_another_provider_takes_over_a_conversation(asker, ask_of, kind, other):
    """A fallback: the words go along, the first one's sealed data does not."""
    if kind == other:
        return
    async with FakeProvider(SAID) as first, FakeProvider(Step(text="done")) as second:
        answer = written_down((await asker(kind, first).ask()).answer)
        results = tuple(ToolResponse(call.id, call.name, RESULT) for call in answer.calls)
        messages = (*ask_of().messages, Message("assistant", answer.parts), Message("tool", results))
        await asker(other, second).ask(ask_of(messages=messages))
    body = second.seen[0].raw
    assert b"I look it up" in body
    if {kind, other} != {"chat", "responses"}:
        for sealed in (b"sealed-1", b"signed-1", b"c2lnbmVk", b"rs_1"):
            assert sealed not in body


@pytest.mark.parametrize("kind", ["chat", "responses", "anthropic", "gemini"])
async def test_arguments_that_were_no_object_go_back(asker, ask_of, kind):
    call = ToolCall(id="call_1", name="lookup", arguments='{"id": ')
    listed = ToolCall(id="call_2", name="lookup", arguments=[1])
    failed = tuple(ToolResponse(c.id, c.name, "arguments are no object", error=True) for c in (call, listed))
    messages = (*ask_of().messages, Message("assistant", (call, listed)), Message("tool", failed))
    async with FakeProvider(Step(text="sorry")) as fake:
        await asker(kind, fake).ask(ask_of(messages=messages))
    assert fake.seen[0].raw.count(b"INVALID_JSON") == 2, "marked, so that the model sees what it did"


async def test_several_texts_and_a_late_system_message(asker, ask_of):
    messages = (
        Message("system", (Text("one"), Text("two"))),
        Message("user", (Text("three"), Text("four"))),
        Message("assistant", (Text("five"), Reasoning("", opaque={"of": "tool_call", "id": "lost"}), Text("six"))),
        Message("system", (Text("seven"),)),
    )
    async with FakeProvider(Step(text="x")) as fake:
        await asker("chat", fake).ask(ask_of(messages=messages))
    sent = fake.seen[0].body["messages"]
    assert [m["role"] for m in sent] == ["system", "user", "assistant", "system"]
    assert sent[0]["content"] == "one\n\ntwo"
    assert [part["text"] for part in sent[1]["content"]] == ["three", "four"]
    assert sent[2]["content"] == "five\n\nsix"


def test_no_message_is_an_empty_request():
    (request,) = history_of(())
    assert isinstance(request, theirs.ModelRequest)


def test_a_tool_response_in_an_assistants_mouth_is_left_out():
    _, answer = history_of(
        (Message("user", (Text("a"),)), Message("assistant", (ToolResponse("1", "t", "x"), Text("b"))))
    )
    assert [part.part_kind for part in answer.parts] == ["text"]


@pytest.mark.parametrize("levels", [100, 500, 5000])
def test_arguments_nested_without_end_stay_text(levels):
    deep = '{"a":' * levels + "1" + "}" * levels
    response = theirs.ModelResponse(parts=[theirs.ToolCallPart("t", deep, "1")], finish_reason="stop")
    answer = answer_of(response)
    assert answer.calls[0].arguments == deep
    assert answer.finish == "tool_call"


def test_what_was_not_asked_for_is_refused():
    image = theirs.FilePart(theirs.BinaryContent(b"x", media_type="image/png"))
    with pytest.raises(Failure, match="not asked for: file") as failure:
        answer_of(theirs.ModelResponse(parts=[image], finish_reason="stop"))
    assert failure.value.code == "bad_answer"


def test_an_end_that_the_library_has_no_word_for_is_an_error():
    response = theirs.ModelResponse(parts=[theirs.TextPart("x")], provider_details={"finish_reason": "OTHER"})
    assert answer_of(response).finish == "error"


def test_half_characters_of_an_answer_are_joined_or_replaced():
    response = theirs.ModelResponse(
        parts=[
            theirs.ThinkingPart("\ud83d\ude00"),
            theirs.TextPart("bad \ud800 half"),
            theirs.ToolCallPart("t\udfff", '{"a": "\ud800"}', "c\ud800"),
        ],
        model_name="m\ud800",
        provider_response_id="r\ud800",
        finish_reason="stop",
        provider_details={"refusal": "no\ud800"},
    )
    answer = answer_of(response)
    assert written_down(answer) == answer
    assert answer.parts == (
        Reasoning("😀"),
        Text("bad \ufffd half"),
        ToolCall(id="c\ufffd", name="t\ufffd", arguments={"a": "\ufffd"}),
        Text("no\ufffd"),
    )


async def test_what_a_failed_call_says_is_not_wrapped_twice(asker, ask_of):
    told = {"code": "not_found", "message": 'no "x"'}
    said = Message("assistant", (ToolCall(id="c1", name="lookup", arguments={"id": 1}),))
    result = Message("tool", (ToolResponse("c1", "lookup", {"error": told}, error=True),))
    async with FakeProvider(Step(text="done")) as fake:
        request = ask_of()
        await asker("chat", fake).ask(ask_of(messages=(*request.messages, said, result)))
    assert msgspec.json.decode(fake.seen[-1].body["messages"][-1]["content"]) == {"error": told}
