"""Intervals of time, recurring meetings, and the free slots between them."""

from slots.calendar import Calendar, Conflict, Meeting
from slots.intervals import Interval, IntervalSet
from slots.parse import parse_duration, parse_interval
from slots.recurrence import Daily, Monthly, Weekly

__all__ = [
    "Calendar",
    "Conflict",
    "Daily",
    "Interval",
    "IntervalSet",
    "Meeting",
    "Monthly",
    "Weekly",
    "parse_duration",
    "parse_interval",
]
