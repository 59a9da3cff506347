import msgspec
import pytest

from clew.testing.provider import Call, Step
from clew.testing.provider.script import Seen, arguments_text, script_of


@pytest.mark.parametrize(
    ("step", "finish"),
    [
        (Step(text="x"), "stop"),
        (Step(calls=(Call("a"),)), "tool_call"),
        (Step(text="x", refusal=True), "content_filter"),
        (Step(calls=(Call("a"),), finish="length"), "length"),
    ],
)
def test_how_an_answer_ends(step, finish):
    assert step.ends == finish


def test_pieces_are_the_text():
    step = Step(chunk=3)
    assert step.pieces("abcdefg") == ["abc", "def", "g"]
    assert step.pieces("") == []


def test_arguments_are_sent_as_given():
    assert arguments_text(Call("a", {"x": "ä"})) == '{"x":"ä"}'
    assert arguments_text(Call("a", "{x")) == "{x"


def test_a_script_that_names_an_unknown_field_or_kind_is_refused(tmp_path):
    file = tmp_path / "steps.json"
    file.write_text('[{"text": 1}]')
    with pytest.raises(msgspec.ValidationError):
        script_of(file)


def test_a_request_without_an_object_has_no_fields():
    seen = Seen(1, "chat", "/", {}, "text")
    assert seen.asks("stream") is None
    assert not seen.streamed
