"""The best rows for some terms: MaxScore (Turtle and Flood 1995) over whole posting lists, exact in the end.

Scores are first summed from impacts that are rounded up, a term at a time, the weightiest first. As soon as the k-th best row
of those so far cannot be reached with the terms that are left, only rows that may still be among the best are kept; these
are scored anew from frequencies and lengths, in double precision and always in the same order of terms. So a score does not depend
on when the index was folded, on the mask, or on what was skipped.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from clew.context.sparse.postings import STEPS, Part, slack

MOST_TIES = 1000
_NEVER = -1e30
_LONG = 2000
"""Postings of a term that are worth a look at whether it can be skipped."""
_FEW = 200
_MANY = 1000
"""Rows that are worth a look at whether the rounding of rare words keeps them, which weigh much and which they have not."""
_FEW_ALLOWED = 1000
"""Rows that are scored one by one if no others are allowed."""
_DEARER = 8
"""A posting that is looked for costs as much as so many that are all added."""
_ROUNDING = 1e-5
Floats = NDArray[np.float32]
Numbers = NDArray[Any]
Late = tuple[NDArray[np.int32], NDArray[np.uint16]]
"""Rows and frequencies that are not folded yet."""


class Term:
    """A term of a query. ``weight``: its idf times its count in the query."""

    def __init__(
        self, weight: float, part: Part | None, late: tuple[NDArray[np.int32], NDArray[np.uint16]] | None
    ) -> None:
        self.weight, self.part, self.late = weight, part, late
        self.size = (len(part.rows) if part else 0) + (len(late[0]) if late else 0)


class Ranking:
    """One query over ``rows`` rows. ``mean``: average length now; ``folded``: that of the impacts."""

    def __init__(self, terms: list[Term], lengths: NDArray[np.int32], rows: int, mean: float, folded: float) -> None:
        self.terms, self.lengths, self.rows, self.mean = terms, lengths, rows, mean
        # tf / (tf + K) changes at most by the factor that K changes by
        self.high, self.low = max(1.0, mean / folded), min(1.0, mean / folded)

    def best(self, k: int, mask: NDArray[np.bool_] | None, dead: NDArray[np.int32]) -> tuple[NDArray[np.int64], Floats]:
        """Best first, equal ones by row; ties with the k-th are added. ``dead``: rows that a missing mask does not exclude."""
        if mask is not None and np.count_nonzero(mask) <= _FEW_ALLOWED:
            return _ordered(*self._matching(np.flatnonzero(mask[: self.rows]).astype(np.int32)), k)
        total = self._start(mask, dead)
        terms = sorted(self.terms, key=self._most, reverse=True)
        left = [sum(map(self._most, terms[i:])) for i in range(len(terms) + 1)]
        done, floor = 0, 0.0
        while done < len(terms):
            if terms[done].size > _LONG and left[0] - left[done] > left[done]:
                floor = self._reach(total, k, terms[:done]) - left[done]
                if floor > 0 and np.count_nonzero(total >= floor) * _DEARER < sum(t.size for t in terms[done:]):
                    break
            self._add(total, terms[done])
            done += 1
        else:
            floor = self._reach(total, k, terms)
        found = np.flatnonzero(total >= floor if floor > 0 else total > 0).astype(np.int32)
        sums = total[found]
        while done < len(terms) and len(found) > _FEW:
            self._add_to(sums, found, terms[done])
            done += 1
            kept = np.flatnonzero(sums >= self._reach(sums, k, terms[:done]) - left[done])
            found, sums = found[kept], sums[kept]
        if len(found) > max(_MANY, 4 * k):
            found = self._narrowed(found, sums + left[done], k)
        return _ordered(found, self._scored(found), k)

    def _narrowed(self, found: NDArray[np.int32], most: Floats, k: int) -> NDArray[np.int32]:
        """Without the rows that can have at ``most`` less than k rows have: those that seem best have true scores."""
        seeming = np.sort(found[np.argpartition(most, len(most) - k)[len(most) - k :]])
        return found[most >= self._scored(seeming).min() * (1 - _ROUNDING)]

    def _matching(self, found: NDArray[np.int32]) -> tuple[NDArray[np.int32], Floats]:
        scores = self._scored(found)
        return found[scores > 0], scores[scores > 0]

    def _start(self, mask: NDArray[np.bool_] | None, dead: NDArray[np.int32]) -> Floats:
        total: Floats = np.zeros(self.rows, dtype=np.float32)
        if mask is None:
            total[dead] = _NEVER
        else:
            held = min(len(mask), self.rows)
            np.subtract(mask[:held].view(np.uint8), 1, out=total[:held], dtype=np.float32)
            total[held:] = -1
            total *= -_NEVER
        return total

    def _most(self, term: Term) -> float:
        """The most that the term gives to any row, without a look at the late ones."""
        return term.weight * (1.0 if term.late or not term.part else min(1.0, term.part.top / STEPS * self.high))

    def _add(self, total: Floats, term: Term) -> None:
        if term.part:
            factor = np.float32(term.weight * self.high / STEPS)
            if term.part.column is not None:
                total[: len(term.part.column)] += np.multiply(term.part.column, factor, dtype=np.float32)
            else:
                np.add.at(total, term.part.rows, np.multiply(term.part.impacts, factor, dtype=np.float32))
        if term.late:
            rows, tfs = term.late
            np.add.at(total, rows, self._gain(term.weight, tfs, rows).astype(np.float32))

    def _add_to(self, sums: Floats, found: NDArray[np.int32], term: Term) -> None:
        if term.part:
            impacts = _at(term.part.rows, term.part.impacts, term.part.column, found)
            factor = np.float32(term.weight * self.high / STEPS)
            sums += np.multiply(impacts, factor, dtype=np.float32)
        if term.late:
            rows, tfs = term.late
            sums += self._gain(term.weight, _at(rows, tfs, None, found), found).astype(np.float32)

    def _gain(self, weight: float, tfs: NDArray[np.uint16], rows: NDArray[np.int32]) -> NDArray[np.float64]:
        tf = tfs.astype(np.float64)
        return weight * tf / (tf + slack(self.lengths[rows], self.mean))

    def _reach(self, sums: Floats, k: int, terms: list[Term]) -> float:
        """A bound that at least k rows' true scores reach by these terms; 0 where fewer than k rows have one."""
        kth = _kth(sums, k)
        rounded = sum(term.weight for term in terms) * self.low / STEPS
        return max(0.0, kth * self.low / self.high * (1 - _ROUNDING) - rounded)

    def _scored(self, found: NDArray[np.int32]) -> Floats:
        """The true scores."""
        tfs = np.zeros((len(self.terms), len(found)), dtype=np.float64)
        for tf, term in zip(tfs, self.terms, strict=True):
            if term.part:
                tf += _at(term.part.rows, term.part.tfs, term.part.counts, found)
            if term.late:
                tf += _at(*term.late, None, found)
        gains = tfs / (tfs + slack(self.lengths[found], self.mean))
        gains *= np.array([[term.weight] for term in self.terms])
        return gains.sum(axis=0).astype(np.float32)  # a term after the other: numpy adds pairs within a row only


def _at(rows: NDArray[np.int32], values: Numbers, column: Numbers | None, found: NDArray[np.int32]) -> Numbers:
    """The values of the rows that are ``found``, 0 for one that has none. ``column``: the same by row, where it is there."""
    if column is not None:
        return column.take(found, mode="clip") * (found < len(column))
    places = rows.searchsorted(found)
    return values.take(places, mode="clip") * (rows.take(places, mode="clip") == found)


def _kth(sums: Floats, k: int) -> float:
    """At most the k-th largest: that of the largest ones of disjoint groups, which is quicker to get."""
    if len(sums) < k:
        return 0.0
    groups = len(sums) // max(1, min(64, len(sums) // (8 * k)))
    if groups * 2 <= len(sums):
        sums = sums[: len(sums) // groups * groups].reshape(-1, groups).max(axis=0)
    return max(0.0, float(np.partition(sums, len(sums) - k)[len(sums) - k]))


def _ordered(found: NDArray[np.int32], scores: Floats, k: int) -> tuple[NDArray[np.int64], Floats]:
    order = np.lexsort((found, -scores))
    if len(order) > k:
        ties = int(np.count_nonzero(scores >= scores[order[k - 1]]))
        order = order[: min(ties, k + MOST_TIES)]
    return found[order].astype(np.int64), scores[order]
