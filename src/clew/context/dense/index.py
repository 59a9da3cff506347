"""Rows with vectors -> the nearest by cosine, under any filter.

Few rows that may be found (or few at all): their inner products, exactly. Else: the nearest few hundred by their
codes (``scan``), ranked anew by their inner products. Rows that have no code yet are always compared exactly, so that
what was added is found at once.

What is found hangs on the rows and vectors alone, not on how they were added: a codebook is learned from the first
5,000, 10,000, 20,000 … vectors. Learning and coding run in a thread of their own (``deterministic``: within ``add``);
searches meanwhile use what there is.
"""

import threading
from math import isfinite, sqrt
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from clew.context.damage import Damaged
from clew.context.dense.files import VECTORS, Saved, read, write
from clew.context.dense.scan import Codes, Floats, Ints, Mask
from clew.context.dense.vectors import Vectors, grown
from clew.core.errors import UsageError

FIRST = 5000
"""Vectors from which on there are codes."""
_SAMPLE = 8192
_CANDIDATES = 300
"""Ranked exactly, at least. On LSA and on clustered embeddings 0.997 of the ten nearest are among 300, 0.98 among 100."""
_GUARDED = 10
_TIES = 1000


class _View(NamedTuple):
    """What a search sees; replaced whole."""

    vectors: Vectors
    rows: Ints
    """Of each vector, ascending."""
    zeros: Ints
    """Rows whose vector is zero: they are like nothing, and have no place among the others."""
    codes: Codes | None

    def allowed(self, mask: Mask | None) -> Mask | None:
        """By place. Rows that are newer than the mask are not allowed."""
        if mask is None:
            return None
        known = min(int(np.searchsorted(self.rows, len(mask))), len(self.rows))
        plain = known == 0 or self.rows[known - 1] == known - 1  # no gaps: place and row are the same
        found = mask[:known] if plain else mask[self.rows[:known]]
        return found if known == len(self.rows) else np.pad(found, (0, len(self.rows) - known))


class DenseIndex:
    """One thread may add while others search: each search sees all of an ``add`` or nothing of it."""

    def __init__(self, dims: int, *, deterministic: bool = False) -> None:
        """``dims``: of every vector. ``deterministic``: learn and code within ``add`` and ``load``."""
        if dims < 1:
            raise UsageError(f"vectors need at least one dimension, not {dims}")
        self.dims = dims
        self.deterministic = deterministic
        nothing = np.empty(0, np.int64)
        self._view = _View(Vectors.none(dims), nothing, nothing, None)
        self._lock = threading.Lock()
        self._worker: threading.Thread | None = None
        self._fault = ""

    # -- growing -----------------------------------------------------------------------------------------------

    def add(self, rows: Ints, vectors: Floats) -> None:
        """Found by every search from now on. ``rows``: ascending, above all that are there. Raises UsageError."""
        rows = np.asarray(rows, np.int64)
        units, there = _units(np.asarray(vectors), self.dims)
        if rows.shape != there.shape:
            raise UsageError(f"{rows.size} rows for {len(there)} vectors")
        with self._lock:
            view = self._view
            last = max([-1, *(int(known[-1]) for known in (view.rows, view.zeros) if len(known))])
            if len(rows) and (rows[0] <= last or (np.diff(rows) <= 0).any()):
                raise UsageError(f"rows are added in ascending order, and above {last}")
            if not there.all():
                view = view._replace(zeros=_after(view.zeros, rows[~there]))
                rows, units = rows[there], units[there]
            self._view = view._replace(vectors=view.vectors.plus(units), rows=_after(view.rows, rows))
        self._catch_up()

    def rows(self) -> Ints:
        """Those that have a vector, in no order."""
        return np.concatenate((self._view.rows, self._view.zeros))

    def settle(self) -> None:
        """Wait until every vector is coded that is to be."""
        while (worker := self._worker) is not None:
            worker.join()

    def _catch_up(self) -> None:
        with self._lock:
            if self._worker is not None or self._fault or not _due(self._view):
                return
            if not self.deterministic:
                worker = threading.Thread(target=self._work, name="clew-dense")
                worker.start()
                self._worker = worker
                return
        self._work()

    def _work(self) -> None:
        while True:
            view = self._view
            try:
                codes = _coded(view)
            except Exception as error:  # whatever it is: searches stay exact, and slow
                self._fault = f"{type(error).__name__}: {error}"
                codes = view.codes
            with self._lock:
                self._view = self._view._replace(codes=codes)
                if self._fault or not _due(self._view):
                    self._worker = None
                    return

    # -- searching ---------------------------------------------------------------------------------------------

    def search(
        self, vector: Floats, k: int, mask: Mask | None = None, allowed: int | None = None, *, exact: bool = False
    ) -> tuple[Ints, Floats]:
        """Rows and their cosines, best first, ties by row; all that tie with the k-th (at most 1,000 of them) are there as well.

        ``mask``: which rows may be found, by row; those behind its end may not. ``allowed``: how many it has. ``exact``:
        compare all of them, and look at no codes. Raises UsageError, Damaged.
        """
        if k < 0:
            raise UsageError(f"k is how many rows are wanted, not {k}")
        if mask is not None and (mask.dtype != np.bool_ or mask.ndim != 1):
            raise UsageError("a mask has one bool per row")
        unit = _unit(np.asarray(vector), self.dims)
        view = self._view
        if not k:
            return _NOTHING
        kept = view.allowed(mask)
        many = len(view.rows) if kept is None else int(np.count_nonzero(kept)) if allowed is None else allowed
        places, scores = _nearest(view, unit, k, kept, many if unit.any() and not exact else 0)
        rows = view.rows[places]
        if len(view.zeros) and (len(rows) < k or scores[k - 1] <= 0):
            zeros = view.zeros if mask is None else view.zeros[: np.searchsorted(view.zeros, len(mask))]
            zeros = zeros if mask is None else zeros[mask[zeros]]
            rows, scores = np.append(rows, zeros), np.append(scores, np.zeros(len(zeros), np.float32))
            order = np.argsort(rows)
            rows, scores = _best(rows[order], scores[order], k)
        return rows, scores

    # -- files -------------------------------------------------------------------------------------------------

    def save(self, folder: Path, previous: Path | None = None) -> None:
        """Into a folder of its own; from then on the vectors are mapped from there, also when it is renamed or removed.

        ``previous``: the folder of the last ``save`` or ``load``, wherever it is now: its vectors are not written
        again but linked, and new ones written behind them, where it does not look. The caller sees to fsync.
        """
        view = self._view
        count, codes = len(view.rows), view.codes
        write(folder, previous, Saved(view.vectors, view.rows, view.zeros, codes))
        with self._lock:
            now = self._view
            self._view = now._replace(vectors=now.vectors.saved(folder / VECTORS, count))

    @classmethod
    def load(cls, folder: Path, *, deterministic: bool = False) -> Self:
        """What was saved there. Raises Damaged."""
        saved = read(folder)
        self = cls(saved.vectors.dims, deterministic=deterministic)
        self._view = _View(saved.vectors, saved.rows, saved.zeros, saved.codes)
        self._catch_up()
        return self

    def stats(self) -> dict[str, Any]:
        """``rows`` with a vector, how many are ``coded`` and ``learned`` from, vectors in memory (``unsaved``), ``fault``."""
        view = self._view
        codes = view.codes
        return {
            "dims": self.dims,
            "rows": len(view.rows) + len(view.zeros),
            "coded": len(codes) if codes is not None else 0,
            "learned": codes.learned if codes is not None else 0,
            "unsaved": view.vectors.total - len(view.vectors.mapped),
            "fault": self._fault,
        }


def _after(array: Ints, more: Ints) -> Ints:
    """Both, in place where there is room behind the first; whoever holds ``array`` sees no difference."""
    used = len(array)
    room = grown(array if array.base is None else array.base, used, len(more))
    room[used : used + len(more)] = more
    return room[: used + len(more)]


_NOTHING = np.empty(0, np.int64), np.empty(0, np.float32)


def _units(vectors: NDArray[Any], dims: int) -> tuple[Floats, Mask]:
    """The vectors at length one, zero ones as they are; and which are not zero. Raises UsageError."""
    if vectors.ndim != 2 or vectors.shape[1] != dims:
        raise UsageError(f"vectors of {dims} dimensions are needed, not of shape {vectors.shape}")
    wide = vectors.astype(np.float64)
    largest = np.abs(wide).max(axis=1, initial=0)
    if not np.isfinite(largest).all():
        raise UsageError("a vector has a number that is not finite")
    there: Mask = largest > 0
    wide /= np.where(there, largest, 1)[:, None]  # so that no square is too large or too small
    lengths = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    return (wide / np.where(there, lengths, 1)[:, None]).astype(np.float32), there


def _unit(vector: NDArray[Any], dims: int) -> Floats:
    """As ``_units`` does for one vector, which takes a third of the time. Raises UsageError."""
    if vector.shape != (dims,):
        raise UsageError(f"vectors of {dims} dimensions are needed, not of shape {vector.shape}")
    wide = vector.astype(np.float64)
    largest = float(np.abs(wide).max())
    if not isfinite(largest):
        raise UsageError("a vector has a number that is not finite")
    if largest:
        wide /= largest
        wide /= sqrt(float(wide @ wide))
    return wide.astype(np.float32)


def _level(count: int) -> int:
    """From how many vectors the codebook of so many is learned."""
    return FIRST << ((count // FIRST).bit_length() - 1)


def _goal(count: int) -> int:
    """How many of so many vectors are to have codes."""
    return count - count % max(500, _level(count) // 128)


def _due(view: _View) -> bool:
    count, codes = len(view.rows), view.codes
    return count >= FIRST and (codes is None or codes.learned < _level(count) or len(codes) < _goal(count))


def _coded(view: _View) -> Codes:
    count, codes = len(view.rows), view.codes
    level = _level(count)
    if codes is None or codes.learned < level:
        places = np.linspace(0, level - 1, min(level, _SAMPLE)).astype(np.int64)
        codes = Codes.learn(view.vectors.at(places), level)
    return codes.plus(view.vectors.parts(len(codes), _goal(count)))


def _nearest(view: _View, query: Floats, k: int, allowed: Mask | None, many: int) -> tuple[Ints, Floats]:
    """Places and cosines; ``many``: how many are allowed."""
    count, codes = len(view.rows), view.codes
    some = max(_CANDIDATES, 4 * k)
    if codes is not None and many > max(1500, count // 50, 2 * some):
        sure = 3.0 if 2 * many > count else 3.5  # a filter may leave what is equally unlike the query
        for wanted in (some, some + 1000):
            found = _by_codes(view, codes, query, (k, wanted, sure), allowed)
            if found is not None:
                return found
    if allowed is None:
        return _best(np.arange(count), view.vectors.dots(query), k)
    places = np.flatnonzero(allowed)
    return _best(places, view.vectors.dots(query, places), k)


def _by_codes(
    view: _View, codes: Codes, query: Floats, effort: tuple[int, int, float], allowed: Mask | None
) -> tuple[Ints, Floats] | None:
    """The best among those that seem nearest by code, or have none. ``effort``: k, candidates, standard deviations.

    None where better ones may be left out: the tenth best (or the k-th, if that comes first) is not so many standard
    deviations of the codes' error above what the last candidate seemed to be, or all candidates tie.
    """
    k, wanted, sure = effort
    coded, count = len(codes), len(view.rows)
    near, guessed = codes.nearest(query, wanted, None if allowed is None else allowed[:coded])
    behind = np.arange(coded, count) if allowed is None else np.flatnonzero(allowed[coded:]) + coded
    order = np.argsort(near)
    places = np.concatenate([near[order], behind])
    scores = view.vectors.dots(query, places)
    found = _best(places, scores, k)
    if len(near) == wanted:
        exact = np.empty_like(guessed)
        exact[order] = scores[:wanted]
        errors = (exact - guessed)[wanted // 2 :]
        gap = found[1][min(k, _GUARDED) - 1] - guessed[-1] - errors.mean()
        if gap < sure * errors.std() or found[1][k - 1] <= exact.min():
            return None
    return found


def _best(places: Ints, scores: Floats, k: int) -> tuple[Ints, Floats]:
    """The best ``k`` of those in ascending order, and what ties with the last of them. Raises Damaged."""
    if len(scores) and not scores.max() < 1.01:  # not a number, or not of unit length
        raise Damaged("vectors are not what was saved")
    if len(scores) > k:
        kept = np.flatnonzero(scores >= np.partition(scores, -k)[-k])
        places, scores = places[kept], scores[kept]
    order = np.argsort(-scores, kind="stable")[: k + _TIES]
    return places[order], scores[order]
