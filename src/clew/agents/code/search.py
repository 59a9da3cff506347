"""Which candidates are judged next, and which of those that pass is chosen.

Pure: the caller judges a batch and tells the verdicts. Order and choice depend on rank and on verdicts alone, never
on which candidate was faster; tries bound the search, time only keeps it from running on for ever.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

Verdict = Literal["passed", "killed", "regressed", "timeout", "invalid"]
Reason = Literal["", "exhausted", "tries", "time", "stuck"]

FIRST_BATCH = 24
LARGEST_BATCH = 256


class Batch(msgspec.Struct, frozen=True):
    """Ranks ``start`` to ``start + count`` of the candidates."""

    start: int
    count: int


class Search:
    """``next_batch()`` and ``take(verdicts, seconds)`` by turns until ``next_batch()`` gives None.

    ``drain()`` hands out the ranks that have passed, best first; when the whole suite refuses them all, the search can
    go on with the next batch. A batch is always judged to its end.
    """

    def __init__(self, total: int, max_tries: int, time_limit: float) -> None:
        self.total = total
        self.max_tries = max_tries
        self.time_limit = time_limit
        self.tried = 0
        self.seconds = 0.0
        self.passed: list[int] = []
        self.counts: dict[str, int] = {}
        self._size = FIRST_BATCH
        self._empty = 0

    @property
    def reason(self) -> Reason:
        """Why there is no next batch; empty while there is one."""
        if self._empty > 1:
            return "stuck"
        if self.tried >= self.total:
            return "exhausted"
        if self.tried >= self.max_tries:
            return "tries"
        return "time" if self.seconds >= self.time_limit else ""

    def next_batch(self) -> Batch | None:
        if self.reason:
            return None
        return Batch(self.tried, min(self._size, self.total - self.tried, self.max_tries - self.tried))

    def drain(self) -> list[int]:
        """Ranks that have passed since the last call, best first."""
        passed, self.passed = self.passed, []
        return passed

    def take(self, verdicts: Sequence[Verdict | None], seconds: float) -> None:
        """Verdicts of the last batch by rank; from the first None on they were not reached and are asked for again."""
        self.seconds += seconds
        start, judged = self.tried, 0
        for verdict in verdicts:
            if verdict is None:
                break
            judged += 1
            self.counts[verdict] = self.counts.get(verdict, 0) + 1
            if verdict == "passed":
                self.passed.append(start + judged - 1)
        self.tried += judged
        self._empty = 0 if judged else self._empty + 1
        self._size = min(LARGEST_BATCH, self._size * 3)
