"""Token counts: an estimate on the high side, and cuts that keep to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.context import tokens


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("", 0, 0),
        ("Hello, world!", 4, 4),  # 4 in o200k_base
        ("The quick brown fox jumps over the lazy dog.", 10, 11),  # 10
        ("antidisestablishmentarianism", 6, 7),  # 6
        ("def add(a: int, b: int) -> int:\n    return a + b", 16, 24),  # 20
        ("1234567890", 4, 4),  # 4
        ("日本語", 2, 3),
        ("\n\n\n", 1, 1),
    ],
)
def test_counts(text, least, most):
    assert least <= tokens.count(text) <= most


@given(st.text(max_size=200), st.integers(0, 60))
def test_a_cut_is_a_beginning_within_bounds(text, most):
    kept = tokens.cut(text, most)
    assert text.startswith(kept)
    assert tokens.count(kept) <= most
    assert kept == text or tokens.count(text) > most


@given(st.text(max_size=100), st.text(max_size=100))
def test_two_texts_are_no_more_than_their_sum_and_one(one, other):
    assert tokens.count(one + "\n" + other) <= tokens.count(one) + tokens.count(other) + 1
