"""Sentences that stand for a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.context import condense, tokens
from clew.context.condense import central, sentences


def told(*said):
    return [(f"user: {one}", one) for one in said]


@pytest.mark.parametrize("text", ["", "   ", "?!", "a" * 5000, "no full stop", "One. Two! Three?\nFour"])
def test_sentences_lose_nothing_but_spaces(text):
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


def test_what_many_speak_of_stands_for_all_in_its_order():
    said = told("The pump in hall three leaks.", "Lunch was late.", "The pump in hall four leaks too.", "It rained.")
    assert central(said, 24) == ["user: The pump in hall three leaks.", "user: The pump in hall four leaks too."]


def test_the_same_is_not_said_twice():
    assert central(told(*["The pump leaks in hall three."] * 9, "The pump was bought."), 24) == [
        "user: The pump leaks in hall three.", "user: The pump was bought."
    ]  # fmt: skip


def test_each_of_thousands_is_not_compared_with_each(monkeypatch):
    looked_at = []

    def counting(*some, **key):
        looked_at.append(len(some[0]) if key else 0)
        return max(*some, **key)

    monkeypatch.setattr(condense, "max", counting, raising=False)
    assert central(told(*(f"Number {i} is about thing {i % 97} and thing {i % 89}." for i in range(3000))), 400)
    assert sum(looked_at) < 500 * 500, "time by the square of a text's length"


def test_what_all_have_in_common_is_summed_once(monkeypatch):
    summed = 0

    def counting(values):
        nonlocal summed
        values = list(values)
        summed += len(values)
        return sum(values)

    monkeypatch.setattr(condense, "sum", counting, raising=False)
    said = [" ".join(f"word{7 * i % 5000 + k}" for k in range(12)) + "." for i in range(5000)]
    assert central(told(*said), 100)
    assert summed < 1_000_000, "time by the number of sentences and by that of all words"


@given(st.lists(st.text(max_size=60), max_size=20), st.integers(0, 100))
def test_it_fits(said, room):
    made = central([(one, one) for one in said], room)
    assert sum(tokens.count(one) + 2 for one in made) <= room
