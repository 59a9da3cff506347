import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.core.errors import Failure
from clew.tools.mcp.results import BLOCKS, TEXT_LIMIT, value_of

ODD = st.sampled_from(
    [None, True, -1, 1.5, "", "text", "\u202e", "x" * 300, [], ["a", {}], {}, {"text": 3}, {"text": "t", "uri": []}]
)
KINDS = st.sampled_from(["text", "image", "audio", "resource", "resource_link", "?"])
BLOCK = st.fixed_dictionaries(
    {"type": KINDS}, optional=dict.fromkeys(("text", "data", "mimeType", "uri", "name", "resource"), ODD)
)


@given(st.lists(BLOCK, max_size=5))
def test_whatever_the_parts_are_they_become_a_bounded_text(blocks):
    assert len(value_of({"content": blocks})) < TEXT_LIMIT


def test_nothing_said():
    assert value_of({}) == ""
    with pytest.raises(Failure, match="does not say why") as caught:
        value_of({"isError": True, "content": []})
    assert caught.value.code == "tool_failed"


def test_many_parts_are_cut():
    text = value_of({"content": [{"type": "text", "text": "x"}] * (BLOCKS + 5)})
    assert text.endswith("[cut: 5 more parts]")


def test_an_error_wins_over_structured_content():
    with pytest.raises(Failure, match="no"):
        value_of({"isError": True, "content": [{"type": "text", "text": "no"}], "structuredContent": {"a": 1}})


def test_falsy_structured_content_is_a_value():
    assert value_of({"structuredContent": {}, "content": [{"type": "text", "text": "x"}]}) == {}


def test_asking_the_user_is_not_supported():
    with pytest.raises(Failure, match="input") as caught:
        value_of({"resultType": "input_required"})
    assert caught.value.code == "tool_failed"


def test_audio_and_a_resource_that_is_no_text():
    blocks = [
        {"type": "audio", "mimeType": "audio/wav", "data": "AAAA"},
        {"type": "resource", "resource": {"uri": "x:" + "y" * 500, "blob": "AAAA"}},
    ]
    text = value_of({"content": blocks})
    assert text.startswith("[audio audio/wav, 3 bytes, not shown]\n[resource x:yyy")
    assert len(text) < 300
