"""From an answer to an output that fits (G4): parsing, repair of what is closed, corrections, and never a truncated output."""

import json
import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.agents.output import Output, parse
from clew.core.errors import Failure

NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


def answer(text, finish="stop", *more):
    return {"parts": [{"type": "text", "content": text}, *more], "finish": finish}


def content(messages):
    return [(m["role"], m["parts"][0]["content"]) for m in messages]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"n": 1}', {"n": 1}),
        ("  [1, 2]\n", [1, 2]),
        ("3", 3),
        ('"word"', "word"),
        ('```json\n{"n": 1}\n```', {"n": 1}),
        ('First I think {a lot}.\n```\n{"n": 1}\n```\n', {"n": 1}),
        ('It is {"n": 1}, I believe.', {"n": 1}),
        ('Not {"n": 1} but {"n": 2}', {"n": 2}),
        ('```json\n{"n": "a``b"}\n```', {"n": "a``b"}),
        ("{'n': 1,}", {"n": 1}),
        ("{n: 1}", {"n": 1}),
        ('{"n": True, "m": None}', {"n": True, "m": None}),
        ('{"n": 1 "m": 2}', {"n": 1, "m": 2}),
        ('{"n": 1, // one\n "m": 2}', {"n": 1, "m": 2}),
        ('{"a": "line\nbreak"}', {"a": "line\nbreak"}),
        ("{'a': 'it {is'}", {"a": "it {is"}),
        ('{"a": "…, and so on..."}', {"a": "…, and so on..."}),
        ('{"a": "\\"}"} ', {"a": '"}'}),
    ],
)
def test_json_is_found_and_repaired(text, value):
    assert parse(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "", "no JSON at all", "{", '{"n": 1', '{"a": {"n": 1}', '{"a": [{"n": 1}, {"n": 2', '{"n": "abc', "[1, 2",
        '{"n": [1, 2}', '```json\n{"n": 1,\n```', '{"n": [1, 2, ...]}', '{"n": [1, …]}', '{"n": }', '{"n": [1,,2]}',
        '{...}', '{"n": 1}}{', '{"n": \'abc}', "[" * 100_000, "{'a':" * 20_000 + "1" + "}" * 20_000,
        '{"n": "' + "x" * 300_000 + '",}',
    ],
)  # fmt: skip
def test_what_is_cut_off_left_out_or_no_json_never_passes(text):
    with pytest.raises(Failure) as caught:
        parse(text)
    assert caught.value.code == "invalid_output"


@pytest.mark.parametrize(
    "text",
    [
        "{'n': 1e999}", "{'n': 1e99999999999999999999}",
        "{'n': -Infinity}", "{'n': NaN}", "{'n': 12:30}", "{'n': 10%}", "{'n': 010}", "{'n': 1,000}",
        "{'n': \"x\" \"y\"}", "{'n': 'it's'}", "{'n': 'e''}", "{'n': 1, 'n': 2,}", '{"n": {"m": 1}, "o"}', '{"n": "1", "2"}',
        "{'n': <value>}", "{'n': [1, 2, etc]}", '{"n": {m: 1} [] []}', '["x" [] []]', "{n: //host\n}", "{n: #fff\n}",
        '{"n": 1}, as in {braces}', '{"n": "a" b "c"}', '{"n": tru}',
    ],
)  # fmt: skip
def test_a_repair_that_would_change_what_was_said_never_passes(text):
    with pytest.raises(Failure) as caught:
        parse(text)
    assert caught.value.code == "invalid_output"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(JSON.filter(lambda v: isinstance(v, dict | list)), st.data())
def test_every_prefix_of_an_object_is_refused(value, data):
    text = msgspec.json.encode(value).decode()
    assert parse(text) == value
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    with pytest.raises(Failure):
        parse(cut)
    with pytest.raises(Failure):
        parse(f"Here it is:\n```json\n{cut}")


@given(JSON.filter(lambda v: isinstance(v, dict | list)), st.data())
def test_a_repaired_value_is_the_one_that_was_meant(value, data):
    """Written with the faults of models; where that leaves two readings it may be refused, never changed."""

    def written(one):
        if isinstance(one, dict):
            fields = [f"{text(name)}: {written(inner)}" for name, inner in one.items()]
            return "{" + joined(fields) + "}"
        if isinstance(one, list):
            return f"[{joined([written(inner) for inner in one])}]"
        return text(one) if isinstance(one, str) else str(one) if data.draw(st.booleans()) else json.dumps(one)

    def text(said):
        quoted = json.dumps(said, ensure_ascii=data.draw(st.booleans()))
        return quoted if data.draw(st.booleans()) else "'" + quoted[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"

    def joined(parts):
        return ", ".join(parts) + data.draw(st.sampled_from(["", ",", " // so\n", ", /* so */"]))

    try:
        found = parse(written(value))
    except Failure:
        return
    assert json.dumps(found) == json.dumps(value)


def test_the_library_of_repairs_is_loaded_when_it_is_needed():
    code = "import sys, clew.agents.loop; print('json_repair' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_without_a_schema_the_text_is_the_output():
    assert Output().take(answer("as it is")) == "as it is"


def test_text_parts_are_one_text_and_thoughts_are_none_of_it():
    parts = [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "a"}, {"type": "text", "content": "b"}]
    assert Output().take({"parts": parts}) == "ab"


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_answer_is_none(text):
    output = Output()
    with pytest.raises(Failure, match="empty") as caught:
        output.take(answer(text))
    (message,) = output.correction(answer(text), caught.value)
    assert message["role"] == "user"


def test_violations_go_back_until_corrections_are_used_up():
    output = Output(NUMBER, corrections=2)
    wrong = answer('{"n": "x"}')
    for _ in range(2):
        with pytest.raises(Failure) as caught:
            output.take(wrong)
        assistant, user = output.correction(wrong, caught.value)
        assert assistant == {"role": "assistant", "parts": wrong["parts"]}
        assert '$.n: "x" is not of type "integer"' in user["parts"][0]["content"]
    with pytest.raises(Failure) as caught:
        output.take(wrong)
    with pytest.raises(Failure) as given_up:
        output.correction(wrong, caught.value)
    assert given_up.value is caught.value
    assert given_up.value.code == "invalid_output"
    assert given_up.value.details == [{"path": "$.n", "message": '"x" is not of type "integer"'}]


def test_a_schema_of_text_needs_no_quotes():
    output = Output({"type": "string", "enum": ["yes", "no"]})
    assert output.take(answer(" yes\n")) == "yes"
    assert output.take(answer('"no"')) == "no"
    with pytest.raises(Failure, match="does not fit"):
        output.take(answer("maybe"))


def test_a_decision_names_one_of_its_labels():
    output = Output({"type": "object"}, ("left", "right"))
    assert output.take(answer('{"route": "left"}')) == {"route": "left"}
    with pytest.raises(Failure, match="its edges are left, right") as caught:
        output.take(answer('{"route": "up"}'))
    assert caught.value.code == "invalid_output"


def test_a_cut_off_answer_goes_back_without_what_breaks_off():
    output = Output()
    cut = answer("so f", "length", {"type": "reasoning", "content": "h"}, {"type": "tool_call", "id": "1", "name": "t"})
    with pytest.raises(Failure) as caught:
        output.complete(cut)
    assert caught.value.code == "truncated"
    assistant, user = output.correction(cut, caught.value)
    assert assistant["parts"] == [{"type": "text", "content": "so f"}]
    assert "cut off" in user["parts"][0]["content"]
    assert "shorter" in user["parts"][0]["content"]


def test_calls_that_nobody_made_are_not_handed_back():
    output = Output(NUMBER)
    both = answer("x", "stop", {"type": "tool_call", "id": "1", "name": "t"})
    with pytest.raises(Failure) as caught:
        output.take(both)
    assert output.correction(both, caught.value)[0]["parts"] == both["parts"][:1]


@pytest.mark.parametrize(("finish", "code"), [("content_filter", "refused"), ("error", "provider_error")])
def test_what_no_correction_mends(finish, code):
    output = Output()
    said = answer("I will not.", finish)
    with pytest.raises(Failure) as caught:
        output.complete(said)
    assert caught.value.code == code
    with pytest.raises(Failure) as again:
        output.correction(said, caught.value)
    assert again.value is caught.value
    assert finish == "error" or caught.value.details == {"text": "I will not."}


def test_an_unusable_schema_says_so():
    with pytest.raises(Failure) as caught:
        Output({"type": "nonsense"})
    assert caught.value.code == "invalid_schema"


def test_what_is_nested_too_deeply_is_no_output():
    assert parse("[" * 100 + "]" * 100)
    with pytest.raises(Failure, match="deeper than 100"):
        parse('{"a":' * 101 + "1" + "}" * 101)
