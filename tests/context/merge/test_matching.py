"""Pairs of equal lines: right for any texts, and done in time for the worst."""

import time
from difflib import Match, SequenceMatcher
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.context.merge import matching
from clew.context.merge.matching import matches

TEXTS = st.lists(st.sampled_from("abcdef"), max_size=25)


@given(old=TEXTS, new=TEXTS)
@settings(max_examples=100, deadline=None)
def test_pairs_are_equal_lines_in_order(old: list[str], new: list[str]) -> None:
    found = matches(old, new)
    assert all(old[i] == new[j] for i, j in found)
    assert all(a < c and b < d for (a, b), (c, d) in pairwise(found))


@given(text=TEXTS)
@settings(max_examples=50, deadline=None)
def test_equal_texts_are_paired_whole(text: list[str]) -> None:
    assert matches(text, text) == [(i, i) for i in range(len(text))]


@given(text=TEXTS, place=st.integers(0, 25))
@settings(max_examples=50, deadline=None)
def test_one_added_line_leaves_all_others_paired(text: list[str], place: int) -> None:
    assert len(matches(text, [*text[:place], "new", *text[place:]])) == len(text)


def test_a_moved_block_keeps_the_larger_part() -> None:
    old = [*"ABCDEFG"]
    assert matches(old, [*"EFGABCD"]) == [(0, 3), (1, 4), (2, 5), (3, 6)]


def test_the_lines_that_recur_are_paired_around_those_that_do_not() -> None:
    old, new = ["{", "a", "}", "{", "b", "}"], ["{", "a", "}", "{", "c", "}", "{", "b", "}"]
    assert len(matches(old, new)) == 6


def test_a_large_stretch_without_a_line_of_its_own_costs_little() -> None:
    old, new = ["x", "y"] * 20_000, ["y", "y", "x"] * 15_000
    begun = time.perf_counter()
    found = matches(old, new)
    assert time.perf_counter() - begun < 5
    assert all(old[i] == new[j] for i, j in found)


def test_many_lines_of_their_own() -> None:
    old = [f"line {n}" for n in range(50_000)]
    new = [line for line in old if not line.endswith("7")]
    assert len(matches(old, new)) == 45_000


def nested(levels: int) -> tuple[list[str], list[str]]:
    """Each line that is paired leaves a stretch with one line of its own, about as large as before."""
    old = ["x2", "x1", *(line for k in range(2, levels) for line in (f"x{k + 1}", f"x{k}"))]
    return old, [*(line for n, one in enumerate(old) for line in (f"new {n}", one)), "end"]


def test_lines_are_looked_at_a_few_times_however_stretches_are_nested(monkeypatch: pytest.MonkeyPatch) -> None:
    looked, inner = 0, matching._unique

    def counting(old: list[str], new: list[str], low: int, high: int, start: int, end: int) -> list[tuple[int, int]]:
        nonlocal looked
        looked += high - low + end - start
        return inner(old, new, low, high, start, end)

    monkeypatch.setattr(matching, "_unique", counting)
    old, new = nested(2000)
    found = matches(old, new)
    assert looked <= 10 * (len(old) + len(new))
    assert found
    assert all(old[i] == new[j] for i, j in found)
    assert all(a < c and b < d for (a, b), (c, d) in pairwise(found))


def test_many_stretches_without_a_line_of_their_own_cost_little_together(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0

    class Counting(SequenceMatcher[str]):
        def find_longest_match(self, *some: int) -> Match:
            nonlocal steps
            steps += some[1] - some[0]
            return super().find_longest_match(*some)

    monkeypatch.setattr(matching, "SequenceMatcher", Counting)
    old = [line for n in range(100) for line in [*["x", "m"] * 120, f"own {n}"]]
    new = [line for n in range(100) for line in [*["x", "n"] * 120, f"own {n}"]]
    assert len(matches(old, new)) > 300, "the own ones and a stretch"
    assert steps < 500_000
