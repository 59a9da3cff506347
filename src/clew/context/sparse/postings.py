"""The folded part of the index: per term the rows that have it, as compressed sparse rows that never change."""

from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from clew.context.damage import Damaged
from clew.context.sparse.analyze import NAME
from clew.context.sparse.arrays import load, save

K1, B = 1.2, 0.75
MOST_TF = 2**16 - 1
"""A term counts at most this often in a document."""
STEPS = 255
_KIND = "clew bm25 1"
_DTYPES = {
    "terms": "<u8",
    "starts": "<i8",
    "rows": "<i4",
    "tfs": "<u2",
    "impacts": "u1",
    "tops": "u1",
    "lengths": "<i4",
}
_COMMON = 8
"""A term that more than every 8th row has gets a column."""
_COLUMNS = 64
_REMEMBERED = 4096
_CHUNK = 1 << 20


T = TypeVar("T", bound=np.generic)


class Part(NamedTuple):
    """One term's postings, ``rows`` increasing. ``impacts``: tf / (tf + K) in steps of 1/255, rounded up."""

    rows: NDArray[np.int32]
    tfs: NDArray[np.uint16]
    impacts: NDArray[np.uint8]
    top: int
    place: int
    column: NDArray[np.uint8] | None
    """The impacts of all rows, for a term that many of them have."""
    counts: NDArray[np.uint16] | None
    """Their frequencies."""


class Postings:
    """Terms are known by 64 bits of their BLAKE2b digest: of n terms two are taken for one with a probability of n²/2⁶⁵.

    ``mean``: the average document length that the impacts were computed with. ``lengths``: per row, 0 for a row without terms.
    """

    def __init__(self, found: dict[str, NDArray[Any]], mean: float) -> None:
        self.terms: NDArray[np.uint64] = found["terms"]
        self.starts: NDArray[np.int64] = found["starts"]
        self.rows: NDArray[np.int32] = found["rows"]
        self.tfs: NDArray[np.uint16] = found["tfs"]
        self.impacts: NDArray[np.uint8] = found["impacts"]
        self.tops: NDArray[np.uint8] = found["tops"]
        self.lengths: NDArray[np.int32] = found["lengths"]
        self.mean = mean
        self._columns = 0
        self._asked: dict[str, Part | None] = {}

    @classmethod
    def empty(cls) -> Self:
        found = {name: np.zeros(0, dtype=dtype) for name, dtype in _DTYPES.items()}
        return cls({**found, "starts": np.zeros(1, dtype=np.int64)}, 1.0)

    def of(self, term: str) -> Part | None:
        """Remembered for a while: questions have words in common."""
        if term not in self._asked:
            if len(self._asked) >= _REMEMBERED:
                self._asked.clear()
            self._asked[term] = self._part(term)
        return self._asked[term]

    def _part(self, term: str) -> Part | None:
        if not len(self.terms):
            return None
        key = np.uint64(digest(term))
        place = int(self.terms.searchsorted(key))
        if place == len(self.terms) or self.terms[place] != key:
            return None
        here = slice(int(self.starts[place]), int(self.starts[place + 1]))
        rows, impacts = self.rows[here], self.impacts[here]
        tfs, top = self.tfs[here], int(self.tops[place])
        if len(rows) * _COMMON < len(self.lengths) or len(rows) < _COMMON:
            return Part(rows, tfs, impacts, top, place, None, None)
        if self._columns >= _COLUMNS:
            self._asked.clear()
            self._columns = 0
        self._columns += 1
        return Part(rows, tfs, impacts, top, place, self._column(rows, impacts), self._column(rows, tfs))

    def _column(self, rows: NDArray[np.int32], values: NDArray[T]) -> NDArray[T]:
        column = np.zeros(len(self.lengths), dtype=values.dtype)
        column[rows] = values
        return column

    def merged(self, newer: "Runs", lengths: NDArray[np.int32]) -> "Postings":
        """With ``newer``, whose rows all come after these, and without the rows that have no length any more."""
        parts = [Runs(self.terms, np.diff(self.starts), self.rows, self.tfs).living(lengths), newer.living(lengths)]
        terms = np.union1d(parts[0].terms, parts[1].terms)
        counts = [np.zeros(len(terms), dtype=np.int64) for _ in parts]
        for part, count in zip(parts, counts, strict=True):
            count[terms.searchsorted(part.terms)] = part.counts
        starts = np.concatenate([[0], np.cumsum(counts[0] + counts[1])]).astype(np.int64)
        found: dict[str, NDArray[Any]] = {"terms": terms, "starts": starts, "lengths": lengths}
        for name in ("rows", "tfs"):
            found[name] = np.empty(int(starts[-1]), dtype=_DTYPES[name])
        for part, count, first in zip(parts, counts, (starts[:-1], starts[:-1] + counts[0]), strict=True):
            to = np.arange(len(part.rows)) + np.repeat(
                first - np.cumsum(count) + count, count
            )  # each run moves as a whole
            found["rows"][to], found["tfs"][to] = part.rows, part.tfs
        held = lengths[lengths > 0]
        mean = float(held.mean(dtype=np.float64)) if len(held) else 1.0
        found["impacts"] = _impacts(found["rows"], found["tfs"], lengths, mean)
        found["tops"] = np.maximum.reduceat(found["impacts"], starts[:-1]) if len(terms) else np.zeros(0, np.uint8)
        return Postings(found, mean)

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(getattr(self, name).nbytes for name in _DTYPES)

    def save(self, folder: Path) -> None:
        save(folder, _KIND, {name: getattr(self, name) for name in _DTYPES}, {"mean": self.mean, "terms": NAME})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Mapped into memory. Raises Damaged."""
        found, facts = load(folder, _KIND, _DTYPES)
        mean = facts.get("mean")
        if not isinstance(mean, float) or not mean >= 1:
            raise Damaged(f"{folder}: no mean length")
        if facts.get("terms") != NAME:
            raise Damaged(f"{folder}: the terms were made by {facts.get('terms')!r}, now they are by {NAME!r}")
        self = cls(found, mean)
        sizes = np.diff(self.starts)
        if (
            not len(self.starts) == len(self.terms) + 1 == len(self.tops) + 1
            or not int(self.starts[-1]) == len(self.rows) == len(self.tfs) == len(self.impacts)
            or self.starts[0] != 0
            or (len(sizes) and sizes.min() < 1)
            or (len(self.rows) and not 0 <= int(self.rows.min()) <= int(self.rows.max()) < len(self.lengths))
        ):
            raise Damaged(f"{folder}: the arrays do not agree")
        return self


class Runs(NamedTuple):
    """Postings one after the other, by term and row; ``counts`` per term."""

    terms: NDArray[np.uint64]
    counts: NDArray[np.int64]
    rows: NDArray[np.int32]
    tfs: NDArray[np.uint16]

    def living(self, lengths: NDArray[np.int32]) -> "Runs":
        """Without rows of no length, and without terms that no row is left of."""
        alive = lengths[self.rows] > 0
        if alive.all():
            return self
        before = np.concatenate([[0], np.cumsum(alive)])
        counts = np.diff(before[np.concatenate([[0], np.cumsum(self.counts)])])
        left = counts > 0
        return Runs(self.terms[left], counts[left], self.rows[alive], self.tfs[alive])


def digest(term: str) -> int:
    return int.from_bytes(blake2b(term.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def slack(lengths: NDArray[Any], mean: float) -> NDArray[np.float64]:
    """K of BM25: what a term frequency is measured against in documents of these lengths."""
    return K1 * (1 - B + B / mean * lengths)


def _impacts(
    rows: NDArray[np.int32], tfs: NDArray[np.uint16], lengths: NDArray[np.int32], mean: float
) -> NDArray[np.uint8]:
    made = np.empty(len(rows), dtype=np.uint8)
    against = slack(lengths, mean)
    for start in range(0, len(rows), _CHUNK):  # bounds the memory for the 64-bit numbers
        here = slice(start, start + _CHUNK)
        tf = tfs[here].astype(np.float64)
        made[here] = np.ceil(STEPS * tf / (tf + against[rows[here]]))
    return made
