from datetime import datetime, timedelta

import pytest

from slots import Daily, Interval, Monthly, Weekly
from slots.recurrence import add_months


def hour(year, month, day, start=9):
    return Interval(datetime(year, month, day, start), datetime(year, month, day, start + 1))


def dates(occurrences):
    return [(o.start.year, o.start.month, o.start.day) for o in occurrences]


def test_every_moves_forward():
    with pytest.raises(ValueError):
        Daily(hour(2024, 1, 1), every=0)


def test_daily():
    assert dates(Daily(hour(2024, 2, 28), count=3)) == [(2024, 2, 28), (2024, 2, 29), (2024, 3, 1)]
    assert dates(Daily(hour(2024, 1, 1), every=10).take(3)) == [(2024, 1, 1), (2024, 1, 11), (2024, 1, 21)]


def test_until_is_the_last_possible_start():
    rule = Daily(hour(2024, 1, 1), until=datetime(2024, 1, 3, 9))
    assert dates(rule) == [(2024, 1, 1), (2024, 1, 2), (2024, 1, 3)]


def test_between_gives_what_overlaps_the_window():
    rule = Daily(hour(2024, 1, 1))
    window = Interval(datetime(2024, 1, 3, 9, 30), datetime(2024, 1, 5, 9))
    assert dates(rule.between(window)) == [(2024, 1, 3), (2024, 1, 4)]


def test_weekly():
    assert dates(Weekly(hour(2024, 3, 5)).take(3)) == [(2024, 3, 5), (2024, 3, 12), (2024, 3, 19)]
    assert dates(Weekly(hour(2024, 3, 5), every=2).take(2)) == [(2024, 3, 5), (2024, 3, 19)]


def test_weekly_on_several_days_begins_with_the_first_occurrence():
    rule = Weekly(hour(2024, 3, 6), weekdays=[0, 2, 4])  # a Wednesday
    assert dates(rule.take(4)) == [(2024, 3, 6), (2024, 3, 8), (2024, 3, 11), (2024, 3, 13)]


def test_weekdays_are_checked():
    with pytest.raises(ValueError):
        Weekly(hour(2024, 3, 6), weekdays=[7])


def test_monthly_within_a_year():
    assert dates(Monthly(hour(2024, 1, 15)).take(3)) == [(2024, 1, 15), (2024, 2, 15), (2024, 3, 15)]


def test_monthly_keeps_to_the_end_of_short_months():
    assert dates(Monthly(hour(2023, 1, 31)).take(4)) == [(2023, 1, 31), (2023, 2, 28), (2023, 3, 31), (2023, 4, 30)]


def test_monthly_over_the_turn_of_the_year():
    assert dates(Monthly(hour(2024, 11, 20)).take(4)) == [(2024, 11, 20), (2024, 12, 20), (2025, 1, 20), (2025, 2, 20)]


def test_quarterly():
    expected = [(2024, 2, 1), (2024, 5, 1), (2024, 8, 1), (2024, 11, 1), (2025, 2, 1)]
    assert dates(Monthly(hour(2024, 2, 1), every=3, count=5)) == expected


@pytest.mark.parametrize(
    ("start", "count", "expected"),
    [
        ((2024, 1, 31), 1, (2024, 2, 29)),
        ((2024, 5, 5), 0, (2024, 5, 5)),
        ((2024, 12, 10), 1, (2025, 1, 10)),
        ((2024, 6, 30), 20, (2026, 2, 28)),
        ((2024, 3, 31), -1, (2024, 2, 29)),
        ((2024, 1, 15), -2, (2023, 11, 15)),
    ],
)
def test_add_months(start, count, expected):
    assert add_months(datetime(*start), count) == datetime(*expected)


def test_occurrences_keep_their_duration():
    assert {o.duration for o in Monthly(hour(2024, 1, 31)).take(14)} == {timedelta(hours=1)}
