"""Fusion against its definitions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.context.fusion import Ranked, fuse, ordered

DENSE = Ranked("dense", ["a", "b", "c"], [0.9, 0.5, 0.1], 0.5)
SPARSE = Ranked("sparse", ["c", "a"], [12.0, 4.0], 0.5)


def test_reciprocal_rank():
    fused = dict(fuse([DENSE, SPARSE], "RECIPROCAL_RANK", 60, 10))
    assert fused == pytest.approx({"a": 0.5 / 61 + 0.5 / 62, "c": 0.5 / 63 + 0.5 / 61, "b": 0.5 / 62})
    assert list(fused) == ["a", "c", "b"]


def test_weighted_sum_scales_each_list():
    assert dict(fuse([DENSE, SPARSE], "WEIGHTED_SUM", 60, 10)) == pytest.approx({"a": 0.5, "c": 0.5, "b": 0.25})


def test_the_larger_share_counts():
    assert dict(fuse([DENSE, SPARSE], "MAX_SCORE", 60, 10)) == pytest.approx({"a": 0.5, "c": 0.5, "b": 0.25})


def test_equal_scores_are_ordered_by_id():
    assert [one for one, _ in fuse([Ranked("sparse", ["z", "b"], [1.0, 1.0], 1.0)], "WEIGHTED_SUM", 60, 10)] == [
        "b",
        "z",
    ]
    assert ordered(["z", "b", "a"], [1.0, 1.0, 2.0], 2) == (["a", "b"], [2.0, 1.0])


def test_a_list_without_weight_has_no_say():
    silent = Ranked("dense", ["x", "y"], [1.0, 0.5], 0.0)
    assert fuse([silent, SPARSE], "RECIPROCAL_RANK", 60, 2)[0][0] == "c"


def test_nothing():
    assert fuse([], "RECIPROCAL_RANK", 60, 10) == []
    assert fuse([Ranked("dense", [], [], 1.0)], "WEIGHTED_SUM", 60, 10) == []


scored = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(-5, 5, width=32), max_size=8)


@given(scored, scored, st.sampled_from(["RECIPROCAL_RANK", "WEIGHTED_SUM", "MAX_SCORE"]), st.integers(1, 8))
def test_every_fusion_is_bounded_ordered_and_a_function_of_its_lists(one, other, how, limit):
    def lists():
        return [
            Ranked(name, *ordered(list(found), list(found.values()), 8), weight)
            for name, found, weight in (("dense", one, 0.3), ("sparse", other, 0.7))
        ]

    fused = fuse(lists(), how, 60, limit)
    assert len(fused) == min(limit, len(one.keys() | other.keys()))
    assert fused == sorted(fused, key=lambda item: (-item[1], item[0]))
    assert all(0 <= score <= 1.0 + 1e-9 for _, score in fused)
    assert fused == fuse(lists()[::-1], how, 60, limit) or how == "RECIPROCAL_RANK"
    assert fuse(lists(), how, 60, 8)[:limit] == fused
