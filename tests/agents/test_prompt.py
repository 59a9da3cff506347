"""What an agent is told: opening messages, shorthand, tool results within bounds."""

import pytest

from clew.agents import prompt
from clew.core.errors import Failure

CALL = {"type": "tool_call", "id": "c1", "name": "read"}


def texts(messages):
    return [(m["role"], m["parts"][0]["content"]) for m in messages]


def test_instructions_of_agent_and_node_are_one_system_message():
    told = prompt.opening(["Be brief.", "", "In French."], "hello", None, chain_of_thought=False)
    assert texts(told) == [("system", "Be brief.\n\nIn French."), ("user", "hello")]


@pytest.mark.parametrize(
    ("value", "content"),
    [({"n": 1}, '{"n":1}'), ([1], "[1]"), (0, "0"), (False, "false"), (None, "(no input)"), ("", "(no input)")],
)
def test_an_input_that_is_no_text_is_said_as_json(value, content):
    assert texts(prompt.opening([], value, None, chain_of_thought=False)) == [("user", content)]


def test_thinking_and_schema_are_asked_for():
    ((_, system), _) = texts(prompt.opening(["I."], "x", {"type": "object"}, chain_of_thought=True))
    assert system.index("I.") < system.index("step by step") < system.index('{"type":"object"}')


def test_short_and_full_messages():
    full = [{"role": "assistant", "parts": [CALL]}]
    assert prompt.messages_of([{"role": "user", "content": "hi"}, *full]) == [
        {"role": "user", "parts": [{"type": "text", "content": "hi"}]},
        {"role": "assistant", "parts": [CALL]},
    ]


@pytest.mark.parametrize(
    "message",
    [
        {"role": "nobody", "content": "x"},
        {"role": "user"},
        {"role": "user", "content": 5},
        "hi",
        {"role": "user", "parts": [{}]},
        {1: print},
    ],
)
def test_what_is_no_message_is_refused(message):
    with pytest.raises(Failure, match="message 1: ") as caught:
        prompt.messages_of([{"role": "user", "content": "x"}, message])
    assert caught.value.code == "invalid_request"


def test_a_long_result_is_cut_and_says_so():
    assert prompt.response(CALL, {"a": 1})["response"] == {"a": 1}
    for value, length in (("x" * 50_000, 50_000), (["x" * 50_000], 50_004)):
        shown = prompt.response(CALL, value)["response"]
        assert len(shown) < prompt.MOST_SHOWN + 100
        assert shown.endswith(f"[cut: 30,000 of {length:,} characters are shown]")


def test_a_failure_says_what_and_how_to_go_on():
    told = prompt.failure(CALL, {"code": "x", "message": "m", "details": [1]}, "try")
    assert told == {
        "type": "tool_call_response", "id": "c1", "name": "read", "error": True,
        "response": {"error": {"code": "x", "message": "m", "details": [1], "advice": "try"}},
    }  # fmt: skip
    assert prompt.failure(CALL, {"code": "x", "message": "m", "details": None})["response"] == {
        "error": {"code": "x", "message": "m"}
    }


@pytest.mark.parametrize("given", [None, 7, {"role": "user", "content": "x"}, "just text"])
def test_messages_that_are_no_list_are_refused(given):
    with pytest.raises(Failure, match="messages are a list, not") as caught:
        prompt.messages_of(given)
    assert caught.value.code == "invalid_request"


def test_a_message_that_cannot_be_written_down_is_refused():
    with pytest.raises(Failure, match="message 0: ") as caught:
        prompt.messages_of([{"role": "user", "content": "\ud800"}])
    assert caught.value.code == "invalid_request"
