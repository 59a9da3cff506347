"""The part of the index that is not folded yet: a dictionary of small growing lists."""

from array import array
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from clew.context.sparse.postings import MOST_TF, Runs, digest

_BITS = 16


class _Lists(dict[str, "array[int]"]):
    def __missing__(self, term: str) -> "array[int]":
        made = self[term] = array("q")
        return made


class Recent:
    """Term -> row and frequency of each posting, packed into one number; rows increasing."""

    def __init__(self) -> None:
        self.rows = 0
        self._of = _Lists()

    def add(self, row: int, counts: Mapping[str, int]) -> None:
        """``counts``: 1 to ``MOST_TF``."""
        self.rows += 1
        of, code = self._of, row << _BITS
        for term, count in counts.items():
            of[term].append(code | count)

    def of(self, term: str) -> tuple[NDArray[np.int32], NDArray[np.uint16]] | None:
        """Rows and frequencies, copied."""
        postings = self._of.get(term)
        return None if postings is None else _unpacked(np.array(postings))

    def runs(self) -> Runs:
        """All of it."""
        keys = np.fromiter(map(digest, self._of), dtype=np.uint64)
        order = keys.argsort(kind="stable")
        known = list(self._of.values())
        postings: list[array[int]] = [known[i] for i in order.tolist()]
        counts = np.fromiter(map(len, postings), dtype=np.int64)
        return Runs(keys[order], counts, *_unpacked(np.frombuffer(b"".join(postings), dtype=np.int64)))

    def __len__(self) -> int:
        """Terms."""
        return len(self._of)


def _unpacked(codes: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
    return (codes >> _BITS).astype(np.int32), (codes & MOST_TF).astype(np.uint16)
