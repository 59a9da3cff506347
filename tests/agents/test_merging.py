"""What of a model's answer is taken to settle conflicts, and what it is asked."""

from typing import Any

import pytest

from clew.agents.merging import ROOM, SCHEMA, question, settled
from clew.core.errors import Failure
from clew.gate.schema import Validator


def conflict(
    part: str = "text", base: str = "b\n", ours: str = "o\n", theirs: str = "t\n", **place: str
) -> dict[str, Any]:
    return {"name": "x", "part": part, "base": base, "ours": ours, "theirs": theirs, "pointer": "", **place}


def settle(conflicts: list[dict[str, Any]], *said: Any) -> list[dict[str, str]]:
    made = [one if isinstance(one, dict) else {"number": n, "text": one, "why": ""} for n, one in enumerate(said, 1)]
    answer = {"conflicts": made}
    Validator(SCHEMA).check(answer, code="x", what="x")
    return settled(conflicts, answer)


def failure(conflicts: list[dict[str, Any]], *said: Any) -> tuple[str, str]:
    with pytest.raises(Failure) as caught:
        settle(conflicts, *said)
    return caught.value.code, str(caught.value)


def test_the_question_has_what_is_needed_and_no_more() -> None:
    lines = conflict(above="up", below="")
    value = conflict("metadata", "", "1", "2", pointer="/k")
    assert question("d", [lines, value]) == {
        "document": "d",
        "conflicts": [
            {
                "number": 1,
                "kind": "lines",
                "part": "text",
                "base": "b\n",
                "ours": "o\n",
                "theirs": "t\n",
                "above": "up",
            },
            {"number": 2, "kind": "value", "part": "metadata", "base": "", "ours": "1", "theirs": "2", "pointer": "/k"},
        ],
    }


def test_in_any_order_each_once() -> None:
    two = [conflict(), conflict("document")]
    found = settle(
        two,
        {"number": 2, "text": "", "why": "gone\n\x1b[31mfor\tgood " + "y" * 300},
        {"number": 1, "text": "x", "why": ""},
    )
    assert [one["text"] for one in found] == ["x", ""]
    assert found[1]["why"].startswith("gone [31mfor good y")
    assert len(found[1]["why"]) == 200
    assert failure(two, "x") == ("bad_answer", "the answer says nothing of conflict 2")
    for odd in (0, 1, 3, -1):
        code, said = failure(two, "x", "y", {"number": odd, "text": "z", "why": ""})
        assert code == "bad_answer"
        assert f"a conflict {odd} " in said


@pytest.mark.parametrize(("why", "said"), [("who is right?", "who is right?"), (" \n", "no reason given")])
def test_what_is_left_open_says_why(why: str, said: str) -> None:
    assert failure([conflict()], {"number": 1, "text": None, "why": why}) == (
        "unsettled",
        f"conflict 1 is left open: {said}",
    )


@pytest.mark.parametrize(
    ("where", "text", "said"),
    [
        (conflict(), "<<<<<<< ours\nx", "markers"),
        (conflict(), "x\n=======\ny", "markers"),
        (conflict(), "||||||| base\r\n", "markers"),
        (conflict("document"), ">>>>>>>", "markers"),
        (conflict(theirs="a\n=======\n"), "a\n=======", ""),
        (conflict(), "a <<<<<<< b\n========\n<<<<<<<<", ""),
        (conflict(), "x" * (6 + ROOM), ""),
        (conflict(), "x" * (7 + ROOM), "the text has 1,007 characters, and at most 1,006 can stand there"),
        (conflict("json"), "on", "no JSON"),
        (conflict("metadata"), '{"a": ', "no JSON"),
        (conflict("json"), "[" * 300 + "]" * 300, "too deeply"),
        (conflict("json", base=" " * 10_000), "[" * 5_000 + "]" * 5_000, "no JSON"),
        (conflict("json"), "", ""),
        (conflict("json"), ' {"a": 1}', ""),
    ],
)  # fmt: skip
def test_what_cannot_stand_there(where: dict[str, Any], text: str, said: str) -> None:
    if said:
        code, message = failure([where], text)
        assert code == "bad_answer"
        assert said in message
    else:
        assert settle([where], text) == [{"text": text, "why": ""}]
