from datetime import datetime, timedelta

import pytest

from slots import Interval, parse_duration, parse_interval


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90m", timedelta(minutes=90)),
        ("1h30m", timedelta(minutes=90)),
        ("1w 2d", timedelta(days=9)),
        ("45S", timedelta(seconds=45)),
    ],
)
def test_durations(text, expected):
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "h", "1", "30m1h", "1h1h", "1x", "1h-30m"])
def test_what_is_not_a_duration(text):
    with pytest.raises(ValueError):
        parse_duration(text)


def test_interval_by_duration_and_by_end():
    expected = Interval(datetime(2024, 3, 1, 9), datetime(2024, 3, 1, 10, 30))
    assert parse_interval("2024-03-01 09:00 / 1h30m") == expected
    assert parse_interval("2024-03-01T09:00/2024-03-01 10:30") == expected


@pytest.mark.parametrize("text", ["2024-03-01", "soon / 1h", "2024-03-01 / 2024-02-01"])
def test_what_is_not_an_interval(text):
    with pytest.raises(ValueError):
        parse_interval(text)
