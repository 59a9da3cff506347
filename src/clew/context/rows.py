"""Rows: what the derived indexes call a document's version. Every put gives a new row; the row that it replaces is dead."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import compress
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from clew.context.damage import Damaged

_FIRST = 1024
_ARRAYS = ("live", "places", "times", "lengths")
UNLIKE = -1
"""In place of a length: the vector is of another embedder, or no point."""


class Rows:
    """Row -> document id, place in the log and time of writing; document id -> its live row.

    ``given``: live rows by the length of the vector that their document has, or ``UNLIKE``.
    """

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.by_id: dict[str, int] = {}
        self._live = np.zeros(_FIRST, dtype=np.bool_)
        self._places = np.zeros(_FIRST, dtype=np.int64)
        self._times = np.zeros(_FIRST, dtype=np.int64)
        self._lengths = np.zeros(_FIRST, dtype=np.int32)  # 0: there is no vector
        self.given = Counter[int]()

    def __len__(self) -> int:
        """Rows, dead ones included."""
        return len(self.ids)

    @property
    def dead(self) -> int:
        """Rows that are."""
        return len(self.ids) - len(self.by_id)

    @property
    def live(self) -> NDArray[np.bool_]:
        return self._live[: len(self.ids)]

    @property
    def places(self) -> NDArray[np.int64]:
        """Place in the log, per row."""
        return self._places[: len(self.ids)]

    @property
    def times(self) -> NDArray[np.int64]:
        """Written, ms since the epoch, per row."""
        return self._times[: len(self.ids)]

    @property
    def lengths(self) -> NDArray[np.int32]:
        """As ``given`` counts them, per row; 0: there is no vector."""
        return self._lengths[: len(self.ids)]

    def add(self, id: str, place: int, at: int) -> int:  # noqa: A002 - the word of the contract
        """A live row for a document that has none."""
        row = len(self.ids)
        if row == len(self._live):
            arrays = (self._live, self._places, self._times, self._lengths)
            self._live, self._places, self._times, self._lengths = map(_doubled, arrays)
        self._live[row], self._places[row], self._times[row] = True, place, at
        self.ids.append(id)
        self.by_id[id] = row
        return row

    def kill(self, id: str) -> int | None:  # noqa: A002 - as above
        """The row that the document had until now, if any."""
        row = self.by_id.pop(id, None)
        if row is not None:
            self._live[row] = False
            self._count([int(self._lengths[row])], -1)
        return row

    def give(self, rows: NDArray[np.int64], lengths: Sequence[int]) -> None:
        """To live ones."""
        self._count(self._lengths[rows].tolist(), -1)
        self._lengths[rows] = lengths
        self._count(lengths, 1)

    def _count(self, lengths: Iterable[int], by: int) -> None:
        for length in lengths:
            if length:
                self.given[length] += by

    def most_given(self) -> int:
        """The length that most live rows' vectors have, the longest of several; 0: there is no vector that can be compared."""
        return max(((count, length) for length, count in self.given.items() if length > 0 < count), default=(0, 0))[1]

    def named(self, rows: Sequence[int]) -> list[str]:
        return [self.ids[row] for row in rows]

    def save(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "ids.msgpack").write_bytes(msgspec.msgpack.encode(self.ids))
        for name in _ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises Damaged."""
        rows = cls()
        try:
            rows.ids = msgspec.msgpack.decode((folder / "ids.msgpack").read_bytes(), type=list[str])
            live, places, times, lengths = (np.load(folder / f"{name}.npy") for name in _ARRAYS)
        except (OSError, ValueError, EOFError, msgspec.DecodeError) as error:
            raise Damaged(f"rows in {folder}: {error}") from error
        for array, kind in ((live, np.bool_), (places, np.int64), (times, np.int64), (lengths, np.int32)):
            if array.dtype != kind or array.shape != (len(rows.ids),):
                raise Damaged(f"rows in {folder}: arrays and ids do not agree")
        rows._live, rows._places, rows._times, rows._lengths = live, places, times, lengths
        values, counts = np.unique(lengths[live & (lengths != 0)], return_counts=True)
        rows.given = Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        alive: list[int] = np.flatnonzero(live).tolist()
        rows.by_id = dict(zip(compress(rows.ids, live.tolist()), alive, strict=True))
        if len(rows.by_id) != len(alive):
            raise Damaged(f"rows in {folder}: a document has two live rows")
        return rows


def _doubled(array: NDArray[Any]) -> NDArray[Any]:
    grown = np.zeros(max(_FIRST, 2 * len(array)), dtype=array.dtype)
    grown[: len(array)] = array
    return grown
