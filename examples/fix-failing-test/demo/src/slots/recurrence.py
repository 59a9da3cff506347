"""Rules for meetings that come again: daily, weekly, monthly."""

from calendar import monthrange
from datetime import timedelta
from itertools import islice

from slots.intervals import Interval


def add_months(moment, count):
    """``moment`` moved by ``count`` months; the day is cut to the length of the month it falls in."""
    month = moment.month - 1 + count
    month = month % 12 + 1
    year = moment.year + month // 12
    day = min(moment.day, monthrange(year, month)[1])
    return moment.replace(year=year, month=month, day=day)


class Rule:
    """A first interval and how to get from one occurrence to the next.

    ``every`` skips occurrences, ``count`` and ``until`` end the series; ``until`` is the last possible start.
    """

    def __init__(self, first, every=1, count=None, until=None):
        if every < 1:
            raise ValueError("a rule moves forward: every={}".format(every))
        self.first = first
        self.every = every
        self.count = count
        self.until = until

    def start_of(self, number):
        """Start of occurrence ``number``, counted from 0."""
        raise NotImplementedError

    def __iter__(self):
        number = 0
        while self.count is None or number < self.count:
            start = self.start_of(number)
            if self.until is not None and start > self.until:
                return
            yield Interval(start, start + self.first.duration)
            number += 1

    def take(self, count):
        return list(islice(self, count))

    def between(self, window):
        """Occurrences that overlap ``window``, in order."""
        for occurrence in self:
            if occurrence.start >= window.end:
                return
            if occurrence.overlaps(window):
                yield occurrence


class Daily(Rule):
    def start_of(self, number):
        return self.first.start + timedelta(days=number * self.every)


class Weekly(Rule):
    """Every ``every`` weeks on the given weekdays (Monday is 0); by default on that of the first occurrence."""

    def __init__(self, first, every=1, count=None, until=None, weekdays=None):
        super().__init__(first, every, count, until)
        days = {first.start.weekday()} if weekdays is None else set(weekdays)
        if not days <= set(range(7)):
            raise ValueError("weekdays are 0 (Monday) to 6: {}".format(sorted(days)))
        self.weekdays = sorted(days | {first.start.weekday()})

    def start_of(self, number):
        index = number + self.weekdays.index(self.first.start.weekday())
        weeks, place = divmod(index, len(self.weekdays))
        days = self.weekdays[place] - self.first.start.weekday()
        return self.first.start + timedelta(weeks=weeks * self.every, days=days)


class Monthly(Rule):
    """Every ``every`` months on the day of the first occurrence, or on the last day of a shorter month."""

    def start_of(self, number):
        return add_months(self.first.start, number * self.every)
