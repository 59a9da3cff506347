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
        ("one\r\ntwo\r\n\r\nthree", 5, 5),  # 5 in cl100k_base, as all that follow
        ("one\rtwo\fthree\vfour", 7, 7),  # 7
        ("def f():\n        return 1\n", 7, 9),  # 8
        ("drwx   12 root      4096", 6, 8),  # 8
        ("a" + " " * 128 + "b", 4, 10),  # 4
        ("a" + "\t" * 128 + "b", 10, 70),  # 10
        ("a" + " \t" * 128 + "b", 129, 260),  # 129
        ("a" + "\n" * 128 + "b", 6, 40),  # 6
        ("a" + "\r\n" * 128 + "b", 34, 40),  # 34
        ("a" + "\r" * 128 + "b", 130, 140),  # 130
    ],
)
def test_counts(text, least, most):
    assert least <= tokens.count(text) <= most


TEXTS = st.one_of(
    st.text(max_size=200),
    st.lists(st.sampled_from([*" \t\n\r\f\v\x1c\x85ax9.é", "\r\n", " " * 15, " " * 17, "\n" * 9]), max_size=60).map(
        "".join
    ),
)


@given(TEXTS, st.integers(0, 60))
def test_a_cut_is_a_beginning_within_bounds(text, most):
    kept = tokens.cut(text, most)
    assert text.startswith(kept)
    assert tokens.count(kept) <= most
    assert kept == text or tokens.count(text) > most


@given(TEXTS, st.integers(1, 1000))
def test_nothing_is_free_however_often_it_is_there(text, times):
    assert len(text * times) <= 25 * tokens.count(text * times) + 1
    assert len(tokens.cut(text * times, 10)) <= 251


@given(TEXTS, TEXTS)
def test_two_texts_are_no_more_than_their_sum_and_one(one, other):
    assert tokens.count(one + "\n" + other) <= tokens.count(one) + tokens.count(other) + 1
