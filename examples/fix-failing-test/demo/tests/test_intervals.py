from datetime import datetime, timedelta

import pytest

from slots import Interval, IntervalSet


def at(hour, minute=0, day=4):
    return datetime(2024, 3, day, hour, minute)


def span(first, last):
    return Interval(at(first), at(last))


def test_an_interval_has_a_positive_length():
    with pytest.raises(ValueError):
        span(10, 10)


def test_the_end_is_not_part_of_it():
    assert span(9, 10).contains(at(9))
    assert not span(9, 10).contains(at(10))


def test_touching_intervals_do_not_overlap():
    assert not span(9, 10).overlaps(span(10, 11))
    assert span(9, 11).overlaps(span(10, 12))


def test_intersection():
    assert span(9, 11).intersection(span(10, 12)) == span(10, 11)
    assert span(9, 10).intersection(span(11, 12)) is None


def test_shift_and_padding():
    assert span(9, 10).shifted(timedelta(hours=2)) == span(11, 12)
    assert span(10, 11).padded(timedelta(hours=1), timedelta(hours=2)) == span(9, 13)


def test_touching_and_overlapping_are_merged():
    assert IntervalSet([span(9, 10), span(10, 11)]) == IntervalSet([span(9, 11)])
    assert IntervalSet([span(9, 12), span(10, 11)]) == IntervalSet([span(9, 12)])
    assert len(IntervalSet([span(9, 10), span(11, 12)])) == 2


def test_duration_counts_nothing_twice():
    assert IntervalSet([span(9, 11), span(10, 12)]).duration == timedelta(hours=3)


@pytest.mark.parametrize(("hour", "inside"), [(8, False), (9, True), (10, False), (12, True), (13, True), (14, False)])
def test_set_contains(hour, inside):
    assert IntervalSet([span(9, 10), span(12, 14)]).contains(at(hour)) is inside


def test_union_and_intersection():
    mornings, middles = IntervalSet([span(8, 10), span(11, 12)]), IntervalSet([span(9, 13)])
    assert mornings.union(middles) == IntervalSet([span(8, 13)])
    assert mornings.intersection(middles) == IntervalSet([span(9, 10), span(11, 12)])


def test_difference():
    day = IntervalSet([span(8, 18)])
    assert day.difference(IntervalSet([span(9, 10), span(12, 13)])) == IntervalSet(
        [span(8, 9), span(10, 12), span(13, 18)]
    )
    assert not day.difference(IntervalSet([span(7, 19)]))


def test_gaps():
    assert IntervalSet([span(9, 10), span(12, 14)]).gaps(span(8, 13)) == IntervalSet([span(8, 9), span(10, 12)])
