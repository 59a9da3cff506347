"""The assembler: order, room, reasons."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.context import tokens
from clew.context.window import CUT, Candidate, assemble, enough


def candidate(name, text="some words of a text", *, at=0, score=0.0, **found):
    return Candidate(id=name, scope="project:p", text=text, at=at, score=score, found=found)


def test_the_best_come_first_and_say_why():
    window = assemble(
        [
            candidate("a", "one", score=0.1, sparse_rank=2),
            candidate("b", "two", score=0.2, dense_rank=1, sparse_rank=3),
        ],
        100,
        "hybrid",
    )
    assert [item.id for item in window.items] == ["b", "a"]
    assert window.items[0].reason == "found by dense rank 1, sparse rank 3; 1st of 2"
    assert window.tokens == 2


def test_recency_goes_by_time():
    window = assemble([candidate("a", "x", at=1), candidate("b", "y", at=3), candidate("c", "z", at=2)], 100, "recency")
    assert [item.id for item in window.items] == ["b", "c", "a"]
    assert window.items[0].reason.startswith("among the latest")


def test_what_does_not_fit_is_cut_or_left_out_and_said():
    long = "word " * 500
    window = assemble([candidate("a", long, score=2), candidate("b", long + "!", score=1)], 200, "hybrid")
    assert [item.cut for item in window.items] == [True]
    assert window.items[0].text.endswith(CUT)
    assert window.left_out[0]["id"] == "b"
    assert "no room" in window.left_out[0]["why"]


def test_a_smaller_one_fills_the_room_that_a_larger_one_leaves():
    window = assemble([candidate("a", "word " * 60, score=2), candidate("b", "brief", score=1)], 50, "hybrid")
    assert [item.id for item in window.items] == ["b"]


def test_the_same_text_is_shown_once():
    window = assemble([candidate("a", score=2), candidate("b", score=1)], 100, "hybrid")
    assert [item.id for item in window.items] == ["a"]
    assert window.left_out == ({"id": "b", "scope": "project:p", "why": "says the same as a"},)


def test_what_is_empty_for_the_most_part_takes_room():
    far = "pump" + " " * 3_000_000 + "x"
    window = assemble([candidate("a", far, score=2), candidate("b", "\n \r\n\t" * 300_000, score=1)], 200, "hybrid")
    assert [(item.id, item.text) for item in window.items if item.id == "a"] == [("a", "pump" + CUT)]
    assert sum(len(item.text) for item in window.items) < 25 * 200


candidates = st.lists(
    st.builds(candidate, st.uuids().map(str), st.text(max_size=400), at=st.integers(0, 5), score=st.floats(0, 1)),
    max_size=8,
)


@given(candidates, st.integers(0, 300), st.sampled_from(["recency", "semantic", "hybrid"]))
def test_the_budget_holds_and_order_of_arrival_does_not_matter(given_ones, budget, policy):
    window = assemble(given_ones, budget, policy)
    assert window.tokens == sum(item.tokens for item in window.items) <= budget
    assert all(item.tokens == tokens.count(item.text) for item in window.items)
    assert len(window.items) + len(window.left_out) == len(given_ones)
    assert assemble(given_ones[::-1], budget, policy) == window


@pytest.mark.parametrize(("tokens", "k"), [(1, 10), (500, 12), (4000, 100), (999_999, 1000)])
def test_as_many_documents_are_looked_at_as_the_room_may_hold(tokens, k):
    assert enough(tokens) == k
