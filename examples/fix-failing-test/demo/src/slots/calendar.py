"""A calendar: meetings, conflicts between them, and what is still free."""

from dataclasses import dataclass, field
from datetime import datetime, time, timedelta

from slots.intervals import Interval, IntervalSet


class Conflict(Exception):
    """A meeting overlaps others; ``others`` are their titles."""

    def __init__(self, title, others):
        super().__init__("{} overlaps {}".format(title, ", ".join(others)))
        self.others = others


@dataclass
class Meeting:
    title: str
    occurrences: list
    attendees: frozenset = field(default_factory=frozenset)

    def within(self, window):
        return [o for o in self.occurrences if o.overlaps(window)]


class Calendar:
    """Meetings of several people. ``buffer`` is kept free before and after each meeting."""

    def __init__(self, opening=time(9), closing=time(17), buffer=timedelta(0)):
        if closing <= opening:
            raise ValueError("the day ends after it begins")
        self.opening = opening
        self.closing = closing
        self.buffer = buffer
        self.meetings = []

    def add(self, title, when, attendees=(), horizon=None):
        """Book an interval, or the occurrences of a rule up to ``horizon``. Raises Conflict, and then books nothing."""
        occurrences = [when] if isinstance(when, Interval) else self._expand(when, horizon)
        meeting = Meeting(title, occurrences, frozenset(attendees))
        others = self.conflicts(meeting)
        if others:
            raise Conflict(title, others)
        self.meetings.append(meeting)
        return meeting

    def _expand(self, rule, horizon):
        if horizon is not None:
            return list(rule.between(Interval(rule.first.start, horizon)))
        if rule.count is None and rule.until is None:
            raise ValueError("a series without end needs a horizon")
        return list(rule)

    def conflicts(self, meeting):
        """Titles of the meetings with a common attendee at an overlapping time, in order of booking."""
        titles = []
        for other in self.meetings:
            if meeting.attendees and other.attendees and not meeting.attendees & other.attendees:
                continue
            if any(a.overlaps(b) for a in meeting.occurrences for b in other.occurrences):
                titles.append(other.title)
        return titles

    def busy(self, window, attendees=()):
        """When any of ``attendees`` (or anybody, when none is named) is in a meeting, buffer included."""
        wanted = frozenset(attendees)
        found = []
        for meeting in self.meetings:
            if wanted and meeting.attendees and not wanted & meeting.attendees:
                continue
            for occurrence in meeting.within(window.padded(self.buffer, self.buffer)):
                common = occurrence.padded(self.buffer, self.buffer).intersection(window)
                if common is not None:
                    found.append(common)
        return IntervalSet(found)

    def working_hours(self, window):
        """Opening hours of the working days in ``window``."""
        day = window.start.date()
        found = []
        while day <= window.end.date():
            if day.weekday() < 5:
                hours = Interval(datetime.combine(day, self.opening), datetime.combine(day, self.closing))
                common = hours.intersection(window)
                if common is not None:
                    found.append(common)
            day += timedelta(days=1)
        return IntervalSet(found)

    def free(self, window, attendees=(), at_least=timedelta(0)):
        """Free parts of the working hours, the short ones left out."""
        slots = self.working_hours(window).difference(self.busy(window, attendees))
        return [slot for slot in slots if slot.duration >= at_least]

    def first_free(self, window, duration, attendees=()):
        """The earliest slot of exactly ``duration``, or None."""
        for slot in self.free(window, attendees, at_least=duration):
            return Interval(slot.start, slot.start + duration)
        return None
