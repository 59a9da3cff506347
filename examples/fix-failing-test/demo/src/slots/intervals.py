"""Half-open intervals of time and sets of them."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, order=True)
class Interval:
    """From ``start`` up to, but not including, ``end``."""

    start: datetime
    end: datetime

    def __post_init__(self):
        if self.end <= self.start:
            raise ValueError("an interval ends after it starts: {} .. {}".format(self.start, self.end))

    @property
    def duration(self):
        return self.end - self.start

    def contains(self, moment):
        return self.start <= moment < self.end

    def overlaps(self, other):
        return self.start < other.end and other.start < self.end

    def intersection(self, other):
        """The common part, or None."""
        if not self.overlaps(other):
            return None
        return Interval(max(self.start, other.start), min(self.end, other.end))

    def shifted(self, delta):
        return Interval(self.start + delta, self.end + delta)

    def padded(self, before=timedelta(0), after=timedelta(0)):
        return Interval(self.start - before, self.end + after)


class IntervalSet:
    """Disjoint intervals in ascending order; intervals that touch or overlap are merged."""

    def __init__(self, intervals=()):
        self._intervals = []
        for interval in sorted(intervals):
            self._append(interval)

    def _append(self, interval):
        if self._intervals and interval.start <= self._intervals[-1].end:
            last = self._intervals.pop()
            interval = Interval(last.start, max(last.end, interval.end))
        self._intervals.append(interval)

    def __iter__(self):
        return iter(self._intervals)

    def __len__(self):
        return len(self._intervals)

    def __bool__(self):
        return bool(self._intervals)

    def __eq__(self, other):
        return isinstance(other, IntervalSet) and self._intervals == other._intervals

    def __repr__(self):
        return "IntervalSet({!r})".format(self._intervals)

    @property
    def duration(self):
        return sum((interval.duration for interval in self), timedelta(0))

    def contains(self, moment):
        """Binary search for the interval that may hold ``moment``."""
        low, high = 0, len(self._intervals)
        while low < high:
            middle = (low + high) // 2
            if self._intervals[middle].end <= moment:
                low = middle + 1
            else:
                high = middle
        return low < len(self._intervals) and self._intervals[low].contains(moment)

    def union(self, other):
        return IntervalSet([*self, *other])

    def intersection(self, other):
        """Walk both sets side by side; each step leaves the interval that ends first."""
        mine, theirs = list(self), list(other)
        found = []
        i = j = 0
        while i < len(mine) and j < len(theirs):
            common = mine[i].intersection(theirs[j])
            if common is not None:
                found.append(common)
            if mine[i].end <= theirs[j].end:
                i += 1
            else:
                j += 1
        return IntervalSet(found)

    def difference(self, other):
        """What is in this set and not in ``other``."""
        found = []
        for interval in self:
            start = interval.start
            for hole in other:
                if hole.end <= start:
                    continue
                if hole.start >= interval.end:
                    break
                if hole.start > start:
                    found.append(Interval(start, hole.start))
                start = hole.end
            if start < interval.end:
                found.append(Interval(start, interval.end))
        return IntervalSet(found)

    def gaps(self, within):
        """The parts of ``within`` that no interval of this set covers."""
        return IntervalSet([within]).difference(self)
