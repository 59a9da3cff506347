from datetime import datetime, time, timedelta

import pytest

from slots import Calendar, Conflict, Daily, Interval, Monthly, Weekly


def span(day, first, last, month=3, year=2024):
    return Interval(datetime(year, month, day, first), datetime(year, month, day, last))


def day(number, month=3, year=2024):
    start = datetime(year, month, number)
    return Interval(start, start + timedelta(days=1))


def hours(slots):
    return [(s.start.day, s.start.hour, s.end.hour) for s in slots]


def test_an_empty_day_is_free_in_working_hours():
    assert hours(Calendar().free(day(4))) == [(4, 9, 17)]


def test_nothing_is_free_at_the_weekend():
    week = Interval(datetime(2024, 3, 1), datetime(2024, 3, 5))
    assert hours(Calendar().free(week)) == [(1, 9, 17), (4, 9, 17)]


def test_meetings_cut_the_day():
    calendar = Calendar()
    calendar.add("review", span(4, 11, 12), ["ann"])
    assert hours(calendar.free(day(4))) == [(4, 9, 11), (4, 12, 17)]
    assert hours(calendar.free(day(4), ["bob"])) == [(4, 9, 17)]


def test_overlapping_meetings_of_the_same_people_conflict():
    calendar = Calendar()
    calendar.add("review", span(4, 11, 13), ["ann", "bob"])
    with pytest.raises(Conflict) as caught:
        calendar.add("lunch", span(4, 12, 13), ["ann"])
    assert caught.value.others == ["review"]
    calendar.add("other lunch", span(4, 12, 13), ["cid"])
    assert len(calendar.meetings) == 2


def test_a_buffer_is_kept_on_both_sides():
    calendar = Calendar(buffer=timedelta(hours=1))
    calendar.add("review", span(4, 12, 13))
    assert hours(calendar.free(day(4))) == [(4, 9, 11), (4, 14, 17)]


def test_short_slots_are_left_out():
    calendar = Calendar()
    calendar.add("review", span(4, 10, 16))
    assert hours(calendar.free(day(4), at_least=timedelta(hours=2))) == []
    assert hours(calendar.free(day(4), at_least=timedelta(hours=1))) == [(4, 9, 10), (4, 16, 17)]


def test_first_free():
    calendar = Calendar(opening=time(8), closing=time(12))
    calendar.add("stand-up", Daily(span(4, 8, 9), count=3))
    assert calendar.first_free(day(4), timedelta(hours=2)) == span(4, 9, 11)
    assert calendar.first_free(day(4), timedelta(hours=5)) is None


def test_a_series_without_end_needs_a_horizon():
    calendar = Calendar()
    with pytest.raises(ValueError):
        calendar.add("weekly", Weekly(span(4, 9, 10)))
    meeting = calendar.add("weekly", Weekly(span(4, 9, 10)), horizon=datetime(2024, 4, 1))
    assert len(meeting.occurrences) == 4


def test_the_monthly_board_meets_in_january_too():
    calendar = Calendar()
    calendar.add("board", Monthly(span(15, 10, 12, month=10), count=6))
    assert hours(calendar.free(day(15, month=1, year=2025))) == [(15, 9, 10), (15, 12, 17)]
    assert hours(calendar.free(day(15, month=1, year=2024))) == [(15, 9, 17)]
