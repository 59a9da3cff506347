import re

from clew.gate.ports.model import Message, ModelAnswer, ModelRequest, Text, ToolCall, ToolOffer, ToolResponse
from clew.models.adapters.names import Names


def request(*names: str) -> ModelRequest:
    return ModelRequest(
        model="m",
        tools=tuple(ToolOffer(name=name) for name in names),
        messages=(
            Message("user", (Text(content="go"),)),
            Message("assistant", tuple(ToolCall(id=name, name=name) for name in names)),
            Message("tool", tuple(ToolResponse(id=name, name=name, response=1) for name in names)),
        ),
    )


def test_plain_names_go_as_they_are():
    plain = request("read_file", "a-b", "X9")
    assert Names(plain).sent(plain) is plain
    answer = ModelAnswer(parts=(ToolCall(id="1", name="read_file"),))
    assert Names(plain).received(answer) is answer


def test_others_are_renamed_everywhere_and_come_back():
    ours = ("fs.read", "fs/read", "fs_read", "lang" * 20, "größe")
    asked = request(*ours)
    names = Names(asked)
    sent = names.sent(asked)
    theirs = [tool.name for tool in sent.tools]
    assert theirs[2] == "fs_read"
    assert len(set(theirs)) == len(ours)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in theirs)
    assert [part.name for message in sent.messages[1:] for part in message.parts] == theirs * 2
    assert sent.messages[0] == asked.messages[0]
    calls = tuple(ToolCall(id=str(i), name=name) for i, name in enumerate([*theirs, "made_up"]))
    assert [call.name for call in names.received(ModelAnswer(parts=calls)).calls] == [*ours, "made_up"]
    assert Names(asked).sent(asked) == sent, "the same request is sent the same"
