"""Rows and text -> the best rows by BM25 (Robertson and Zaragoza 2009; idf and saturation as Lucene has them).

score(row) = Σ count in query · ln(1 + (N - df + 0.5) / (df + 0.5)) · tf / (tf + k1 (1 - b + b · length / average length))

N, df and the average count the rows that are live and have a term, at the moment of the search: they are exact after every ``add``,
``remove`` and ``fold``, and a score is the same number whenever the index was folded.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from math import log
from pathlib import Path
from threading import Lock
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from clew.context.sparse.analyze import STOP, terms
from clew.context.sparse.arrays import room
from clew.context.sparse.postings import MOST_TF, Part, Postings
from clew.context.sparse.rank import Late, Ranking, Term
from clew.context.sparse.recent import Recent

MOST_TERMS = 64
"""Different terms of a query that count: those of the greatest weight among its first ``_READ`` words."""
_READ = 4096
_COUNTED = 4096
Listed = tuple[NDArray[np.int64], NDArray[np.float32]]


class SparseIndex:
    """One writer and several readers may use it at once: a search sees each row's ``add`` or ``remove`` wholly or not at all.

    New rows go to a small part that is searchable at once and gets slower as it grows; ``fold`` moves them to the large one.
    """

    def __init__(self, base: Postings | None = None) -> None:
        self._lock = Lock()  # held to take what a search needs, and to put a row in
        self._folding = Lock()
        self._base = base or Postings.empty()
        self._recent = [Recent()]
        """The last one grows; any before it is being folded."""
        self._rows = len(self._base.lengths)
        self._lengths: NDArray[np.int32] = self._base.lengths.copy()
        self._live: NDArray[np.bool_] = self._lengths > 0
        self._count = int(np.count_nonzero(self._live))
        self._total = int(self._lengths.sum(dtype=np.int64))
        self._gone: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        """Rows of the base that died since it was made: the first ``_gone_count`` places."""
        self._gone_count = 0
        self._counted: dict[int, tuple[int, int]] = {}
        """Place of a term in the base -> how many of the gone rows were looked at, and how many of them have the term."""

    def add(self, rows: NDArray[np.int64], texts: Sequence[str]) -> None:
        """Rows increasing; rows that are not greater than all before are passed over (a log may be read twice)."""
        for row, text in zip(rows.tolist(), texts, strict=True):
            if row >= self._rows:
                self._add(row, Counter(terms(text)))

    def _add(self, row: int, counts: Mapping[str, int]) -> None:
        length = sum(counts.values())
        if length > MOST_TF:
            counts = {term: min(count, MOST_TF) for term, count in counts.items()}
        with self._lock:
            self._lengths, self._live = room(self._lengths, row + 1), room(self._live, row + 1)
            self._rows = row + 1
            if length:
                self._lengths[row], self._live[row] = length, True
                self._count += 1
                self._total += length
                self._recent[-1].add(row, counts)

    def remove(self, rows: NDArray[np.int64]) -> None:
        """They are dead and count no more. Rows that are dead already, or were never here, change nothing."""
        for row in rows.tolist():
            with self._lock:
                if not 0 <= row < self._rows or not self._live[row]:
                    continue
                self._live[row] = False
                self._count -= 1
                self._total -= int(self._lengths[row])
                if row < len(self._base.lengths):
                    self._gone = room(self._gone, self._gone_count + 1)
                    self._gone[self._gone_count] = row
                    self._gone_count += 1

    @property
    def pending(self) -> int:
        """Rows that came or died since the last fold."""
        return sum(recent.rows for recent in self._recent) + self._gone_count

    def fold(self) -> None:
        """Make all that was added one large part. May run in a thread of its own: searches, ``add`` and ``remove`` go on."""
        with self._folding:
            if not self.pending:
                return
            with self._lock:
                old, rows = list(self._recent), self._rows
                live, lengths = self._live[:rows].copy(), self._lengths[:rows].copy()
                self._recent.append(Recent())
            lengths[~live] = 0
            base = self._base
            for recent in old:
                base = base.merged(recent.runs(), lengths)
            with self._lock:
                self._base, self._recent, self._counted = base, self._recent[len(old) :], {}
                self._gone = np.flatnonzero(live & ~self._live[:rows]).astype(np.int32)
                self._gone_count = len(self._gone)

    def search(
        self, text: str, k: int, mask: NDArray[np.bool_] | None = None, allowed: int | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows and scores, best first, ties by row; rows that tie with the k-th are added, at most 1000.

        ``mask``: rows that may be found, of any length (what it does not reach may not); None: all that are live.
        ``allowed``: how many it has, where that is known.
        """
        counts = Counter(islice(terms(text), _READ))
        if not counts or k < 1 or allowed == 0:
            return _NOTHING
        with self._lock:
            if not self._count:
                return _NOTHING
            found = self._weighed(counts)
            gone = self._gone[: self._gone_count]
            mean, folded = self._total / self._count, self._base.mean
            ranking = Ranking(found, self._lengths, self._rows, mean, folded)
        return ranking.best(k, mask, gone) if found else _NOTHING

    def _weighed(self, counts: Counter[str]) -> list[Term]:
        said = [term for term in counts if term not in STOP]
        found = self._known(said, counts) or self._known([term for term in counts if term in STOP], counts)
        if len(found) > MOST_TERMS:
            least = sorted((term.weight for term in found), reverse=True)[MOST_TERMS - 1]
            found = [term for term in found if term.weight >= least][:MOST_TERMS]
        return found

    def _known(self, names: Sequence[str], counts: Counter[str]) -> list[Term]:
        """Those that a live row has."""
        found: list[Term] = []
        for name in names:
            part, late = self._base.of(name), self._late(name)
            held = (len(part.rows) - self._gone_with(part) if part else 0) + (len(late[0]) if late else 0)
            if held:
                weight = counts[name] * log(1 + (self._count - held + 0.5) / (held + 0.5))
                found.append(Term(weight, part, late))
        return found

    def _late(self, name: str) -> Late | None:
        parts = [part for recent in self._recent if (part := recent.of(name)) is not None]
        if not parts:
            return None
        rows, tfs = parts[0] if len(parts) == 1 else (np.concatenate(column) for column in zip(*parts, strict=True))
        live = self._live[rows]
        if live.all():
            return rows, tfs
        return (rows[live], tfs[live]) if live.any() else None

    def _gone_with(self, part: Part) -> int:
        """Dead rows that the term's postings in the base still have."""
        if not self._gone_count:
            return 0
        seen, count = self._counted.get(part.place, (0, 0))
        if seen < self._gone_count:
            new = np.sort(self._gone[seen : self._gone_count])
            places = part.rows.searchsorted(new)
            count += int(np.count_nonzero(part.rows.take(places, mode="clip") == new))
            if len(self._counted) >= _COUNTED:
                self._counted.clear()
            self._counted[part.place] = self._gone_count, count
        return count

    def save(self, folder: Path) -> None:
        """Folded, into a new folder. What is added meanwhile may be missing."""
        self.fold()
        self._base.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises Damaged."""
        return cls(Postings.load(folder))

    def stats(self) -> dict[str, Any]:
        """``bytes``: of the arrays that were folded."""
        with self._lock:
            base = self._base
            return {
                "rows": self._count,
                "terms": len(base.terms),
                "postings": len(base.rows),
                "pending": self.pending,
                "mean_length": round(self._total / self._count, 1) if self._count else 0.0,
                "bytes": base.size,
            }


_NOTHING = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
