"""Retention erases what finished runs held, and nothing else."""

import pytest

from clew.core.errors import UsageError
from clew.stores import retention
from clew.stores.retention import Keep, Pruned, prune
from clew.testing.clock import START_MS

from_start = START_MS
DAY = 86_400_000


@pytest.fixture
async def filled(journal, story):
    """Three finished runs (r0 the oldest) and one that runs."""
    for number in range(3):
        await story.whole(journal, f"r{number}")
    await journal.append(story.start("running"))
    return journal


async def erased(journal):
    return [
        row.run
        for row in await journal.runs(retention.RunFilter())
        if any(r.erased for r in await journal.read(row.run))
    ]


async def test_the_newest_are_kept(filled):
    assert await prune(filled, Keep(runs=2), from_start) == Pruned(1, 5, 0)
    assert await erased(filled) == ["r0"]
    assert await prune(filled, Keep(runs=2), from_start) == Pruned(0, 0, 0)
    assert await filled.verify() == []


async def test_the_young_are_kept(filled):
    assert (await prune(filled, Keep(days=1), from_start + DAY)).runs == 0
    assert (await prune(filled, Keep(days=1), from_start + 2 * DAY)).runs == 3
    assert await erased(filled) == ["r2", "r1", "r0"]


async def test_either_rule_keeps(filled):
    assert (await prune(filled, Keep(days=1, runs=1), from_start + 2 * DAY)).runs == 2
    assert await erased(filled) == ["r1", "r0"]


async def test_other_workflows_are_left(filled):
    assert (await prune(filled, Keep(runs=0, workflow="other"), from_start)).runs == 0


async def test_page_by_page(filled, monkeypatch):
    monkeypatch.setattr(retention, "_PAGE", 1)
    assert (await prune(filled, Keep(runs=0), from_start)).runs == 3


async def test_a_run_that_is_driven_is_skipped(filled):
    await filled.claim("r1")
    assert await prune(filled, Keep(runs=0), from_start) == Pruned(2, 10, 1)


async def test_rules_that_are_none(journal):
    for keep in (Keep(), Keep(days=-1), Keep(runs=-1)):
        with pytest.raises(UsageError):
            await prune(journal, keep, from_start)
