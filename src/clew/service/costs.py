"""What runs cost and used, added up by whatever is asked for (requirement G3). Read from facts alone."""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import date, timedelta
from typing import Any, Literal

import msgspec

from clew.core.errors import UsageError
from clew.gate.ports.journal import Journal, RunFilter, RunRow
from clew.service.inspect import origin_of
from clew.stores.costs import DAY_MS, SUMS
from clew.stores.money import from_pico
from clew.stores.projecting import MAX_ROWS

Dimension = Literal["run", "agent", "node", "model", "user", "tenant", "day", "session", "workflow"]

_PAGE = 500


class CostLine(msgspec.Struct, frozen=True, kw_only=True):
    """Effects of one group, or of all. ``cost`` does not hold what is not known (``unpriced``)."""

    group: dict[str, str]
    """Dimension -> value; an empty value: it has none."""
    calls: int
    reused: int
    """Of the calls: answered from the cache."""
    unpriced: int
    """Of the calls: their price is not known."""
    cost: str
    input_tokens: int
    """With those read from and written to the provider's cache."""
    output_tokens: int
    """With those of reasoning."""
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int


class CostReport(msgspec.Struct, frozen=True, kw_only=True):
    """Dearest first; days in order. ``run``: only of this run and its child runs."""

    run: str
    by: list[str]
    since: str
    """The first UTC day that is counted; empty: from the beginning."""
    lines: list[CostLine]
    total: CostLine
    unpriced: dict[str, int]
    """Model whose price is not known -> calls."""


async def costs(journal: Journal, by: Sequence[Dimension], *, run: str = "", since: int | None = None) -> CostReport:
    """``run``: an id, counted with its child runs; ``since``: milliseconds since 1970, counted from the start of that UTC day.

    Raises UsageError for a run with more groups of costs than can be read at once.
    """
    first = None if since is None else since // DAY_MS
    sums: dict[tuple[str, ...], Counter[str]] = {}
    unpriced: Counter[str] = Counter()
    async with aclosing(_runs(journal, run, since)) as rows:
        async for row in rows:
            session = await _session(journal, row.run) if "session" in by else ""
            for found in await _rows(journal, row.run, first):
                key = tuple(_DIMENSIONS[name](row, found, session) for name in by)
                counts = {name: found[name] for name in SUMS}
                sums.setdefault(key, Counter()).update(counts)
                if found["unpriced"]:
                    unpriced[_model(found)] += found["unpriced"]
    order = sorted(sums, key=lambda key: (key if by[0] == "day" else -sums[key]["cost"], key)) if by else [*sums]
    total: Counter[str] = Counter()
    for counted in sums.values():
        total.update(counted)
    return CostReport(
        run=run,
        by=[*by],
        since=_day(first) if first is not None else "",
        lines=[_line(dict(zip(by, key, strict=True)), sums[key]) for key in order] if by else [],
        total=_line({}, total),
        unpriced=dict(unpriced.most_common()),
    )


async def _runs(journal: Journal, run: str, since: int | None) -> AsyncGenerator[RunRow]:
    """Every run that may count, or the one with its child runs."""
    before = ""
    while page := await journal.runs(RunFilter(prefix=run, before=before, limit=_PAGE)):
        before = page[-1].run
        for row in page:
            if run and row.run != run and not row.run.startswith(run + "."):
                continue
            if since is None or row.updated >= since // DAY_MS * DAY_MS:
                yield row


async def _rows(journal: Journal, run: str, first: int | None) -> list[dict[str, Any]]:
    rows = await journal.rows("costs", {"run": run}, MAX_ROWS)
    if len(rows) == MAX_ROWS:
        raise UsageError(f"run {run} has more than {MAX_ROWS:,} groups of costs")
    return rows if first is None else [row for row in rows if row["day"] >= first]


async def _session(journal: Journal, run: str) -> str:
    return origin_of(await journal.read(run, 0, 1)).principal.session


def _model(found: dict[str, Any]) -> str:
    """The deployment; of what is no model call, what it is."""
    return found["by"] or (found["name"] if found["kind"] == "model" else f"{found['kind']} {found['name']}")


def _day(number: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=number)).isoformat()


_DIMENSIONS: dict[str, Callable[[RunRow, dict[str, Any], str], str]] = {
    "run": lambda row, found, session: row.run,
    "workflow": lambda row, found, session: row.workflow,
    "user": lambda row, found, session: row.user,
    "tenant": lambda row, found, session: row.tenant,
    "session": lambda row, found, session: session,
    "day": lambda row, found, session: _day(found["day"]),
    "node": lambda row, found, session: found["node"],
    "agent": lambda row, found, session: found["agent"],
    "model": lambda row, found, session: _model(found),
}


def _line(group: dict[str, str], sums: Counter[str]) -> CostLine:
    counts = {name: sums[name] for name in SUMS}
    return CostLine(group=group, **{**counts, "cost": from_pico(sums["cost"])})  # pyright: ignore[reportArgumentType]
