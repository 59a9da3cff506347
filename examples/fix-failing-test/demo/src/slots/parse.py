"""Reading durations (``1h30m``) and intervals (``2024-03-01 09:00 / 1h``)."""

import re
from datetime import datetime, timedelta

from slots.intervals import Interval

_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_PART = re.compile(r"(\d+)([wdhms])")


def parse_duration(text):
    """``2h``, ``1h30m``, ``1w2d``; units go from large to small, each at most once."""
    compact = text.replace(" ", "").lower()
    parts = _PART.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise ValueError("not a duration: {!r}".format(text))
    order = [list(_UNITS).index(unit) for _, unit in parts]
    if order != sorted(set(order)):
        raise ValueError("units go from large to small, each once: {!r}".format(text))
    return timedelta(**{_UNITS[unit]: int(number) for number, unit in parts})


def parse_moment(text):
    for form in ("%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d"):
        try:
            return datetime.strptime(text.strip(), form)
        except ValueError:
            continue
    raise ValueError("not a moment: {!r}".format(text))


def parse_interval(text):
    """``<moment> / <duration>`` or ``<moment> / <moment>``."""
    first, separator, second = text.partition("/")
    if not separator:
        raise ValueError("an interval has two parts with / between them: {!r}".format(text))
    start = parse_moment(first)
    try:
        return Interval(start, start + parse_duration(second))
    except ValueError:
        return Interval(start, parse_moment(second))
