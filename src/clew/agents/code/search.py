"""Which candidates are judged next, and which of those that pass is chosen.

Pure: the caller judges a batch and tells the verdicts. Order and choice depend on rank and on verdicts alone, never
on which candidate was faster; tries bound the search, time only keeps it from running on for ever.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

Verdict = Literal["passed", "partial", "killed", "regressed", "timeout", "invalid"]
Reason = Literal["", "exhausted", "tries", "time", "stuck"]

FIRST_BATCH = 24
LARGEST_BATCH = 256
DOUBT = 72
"""Tries that are spent on finding a better one after one of a doubtful kind has passed."""
PATIENCE = 150
"""Tries that are spent on finding a repair of everything after one of a part was found."""


class Batch(msgspec.Struct, frozen=True):
    """Ranks ``start`` to ``start + count`` of the candidates."""

    start: int
    count: int


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate that makes the targets ``repaired`` pass and breaks nothing that runs its line.

    ``near``: the targets that run its line; ``score``: how likely it is, ``sure``: nothing speaks against its kind.
    """

    rank: int
    repaired: list[int]
    near: list[int]
    file: str = ""
    line: int = 0
    operator: str = ""
    score: float = 0.0
    sure: bool = True

    @property
    def explains(self) -> bool:
        """Whether it repairs every target that runs its line."""
        return set(self.near) <= set(self.repaired)


class Search:
    """``next_batch()`` and ``take(result)`` by turns until ``next_batch()`` gives None.

    ``drain()`` hands out the candidates that repair everything, best first; when the whole suite refuses them all, the
    search can go on with the next batch. ``part()`` is the one of those that repair some of the targets with which it is
    best to go on, as soon as it is no longer worth it to look for a repair of all of them. A batch is always judged to its
    end, in several goes where the time of one is not enough, before anything is handed out: where it ends is a matter of
    tries alone. ``whole``: whether the targets have a line in common; ``misses``: see the job ``evaluate``.
    """

    def __init__(self, total: int, max_tries: int, time_limit: float, *, whole: bool = True) -> None:
        self.total = total
        self.max_tries = max_tries
        self.time_limit = time_limit
        self.whole = whole
        self.tried = 0
        self.seconds = 0.0
        self.passed: list[Repair] = []
        self.parts: list[Repair] = []
        self.counts: dict[str, int] = {}
        self._free: set[int] = set()
        self._ripe: int | None = None
        self._size = FIRST_BATCH
        self._end = 0
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
        if self.tried >= self._end:
            self._end = min(self.tried + self._size, self.total, self.max_tries)
            self._size = min(LARGEST_BATCH, self._size * 3)
        return Batch(self.tried, self._end - self.tried)

    @property
    def _doubtful(self) -> bool:
        first = min((repair.rank for repair in self.passed), default=self.tried)
        return self.tried < first + DOUBT and not self.reason and not any(repair.sure for repair in self.passed)

    @property
    def _midway(self) -> bool:
        return self.tried < self._end and not self.reason

    def drain(self) -> list[Repair]:
        """Candidates that have passed since the last call, best first; those of doubtful kinds alone are held back a while."""
        if self._midway or self._doubtful:
            return []
        passed, self.passed = self.passed, []
        return sorted(passed, key=lambda repair: (-repair.score, repair.rank))

    def part(self) -> Repair | None:
        """The best of the partial repairs when it is time to take one; it is handed out once."""
        early = self._ripe is not None and self.tried < self._ripe and not self.reason
        if not self.parts or early or self._midway or self.passed:
            return None
        best = min(self.parts, key=lambda r: (not r.explains, -len(r.repaired), -r.score, r.rank))
        self.parts.remove(best)
        return best

    def take(self, verdicts: Sequence[Verdict | None], seconds: float, repairs: Sequence[dict[str, Any]] = ()) -> None:
        """Verdicts of the last batch by rank; from the first None on they were not reached and are asked for again."""
        self.seconds += seconds
        start, judged = self.tried, 0
        for verdict in verdicts:
            if verdict is None:
                break
            judged += 1
            self.counts[verdict] = self.counts.get(verdict, 0) + 1
        self.tried += judged
        self._empty = 0 if judged else self._empty + 1
        for repair in msgspec.convert(list(repairs), list[Repair]):
            if repair.rank >= self.tried:
                continue
            if verdicts[repair.rank - start] == "passed":
                self.passed.append(repair)
            else:
                self._keep(repair)

    def ignore(self, targets: Sequence[int]) -> None:
        """These pass on their own with the code as it is: repairing them says nothing."""
        self._free.update(targets)

    def _keep(self, repair: Repair) -> None:
        repaired = [target for target in repair.repaired if target not in self._free]
        near = [target for target in repair.near if target not in self._free]
        if not repaired:
            return
        self.parts.append(msgspec.structs.replace(repair, repaired=repaired, near=near))
        sure = repair.sure and self.parts[-1].explains and not self.whole
        ripe = repair.rank if sure else max(3 * repair.rank, repair.rank + PATIENCE)
        self._ripe = ripe if self._ripe is None else min(self._ripe, ripe)
