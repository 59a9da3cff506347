"""Journals on a temporary path."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from clew.stores.projections import shipped
from clew.stores.sqlite.journal import SqliteJournal
from clew.testing import ManualClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


@pytest.fixture
async def opened(path: Path, clock: ManualClock) -> AsyncIterator[Callable[..., SqliteJournal]]:
    """Opens journals that are closed at the end of the test."""
    made: list[SqliteJournal] = []

    def make(where: Path = path, **given: Any) -> SqliteJournal:
        made.append(SqliteJournal.open(where, **{"projections": shipped(), "clock": clock, **given}))
        return made[-1]

    yield make
    for journal in made:
        await journal.close()


@pytest.fixture
def journal(opened: Callable[..., SqliteJournal]) -> SqliteJournal:
    return opened()
