"""Retention (W16): forget what finished runs held, keep what they did. Chains stay whole; only payloads go."""

import msgspec

from clew.core.errors import Conflict, UsageError
from clew.gate.ports.journal import Journal, RunFilter, RunRow
from clew.stores.runcard import ENDED

_PAGE = 500


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept. ``days``: payloads of runs whose last event is younger; ``runs``: those of so many newest finished runs.

    With both, a run is kept while either keeps it. None: that rule keeps nothing.
    """

    days: float | None = None
    runs: int | None = None
    workflow: str = ""
    """Only runs of this workflow are looked at."""


class Pruned(msgspec.Struct, frozen=True):
    """``skipped``: runs that somebody drives just now."""

    runs: int
    payloads: int
    skipped: int


async def prune(journal: Journal, keep: Keep, now: int) -> Pruned:
    """Erase the payloads of finished runs that ``keep`` does not keep; ``now`` in ms since the epoch.

    Raises UsageError when ``keep`` names no rule, since that would erase everything.
    """
    if keep.days is None and keep.runs is None:
        raise UsageError("retention names neither days nor runs", hint="say days, runs or both")
    if (keep.days or 0) < 0 or (keep.runs or 0) < 0:
        raise UsageError("retention counts from 0 up")
    oldest = None if keep.days is None else now - int(keep.days * 86_400_000)
    seen = runs = payloads = skipped = 0
    before = ""
    while page := await journal.runs(RunFilter(states=ENDED, workflow=keep.workflow, before=before, limit=_PAGE)):
        before = page[-1].run
        for row in page:
            seen += 1
            if not _goes(row, seen, keep.runs, oldest):
                continue
            try:
                count = await journal.erase(row.run)
            except Conflict:
                skipped += 1
                continue
            payloads += count
            runs += 1 if count else 0
    return Pruned(runs, payloads, skipped)


def _goes(row: RunRow, place: int, newest: int | None, oldest: int | None) -> bool:
    """Whether no rule keeps the run; ``place`` counts from the newest."""
    return not (newest is not None and place <= newest) and not (oldest is not None and row.updated >= oldest)
