"""What every journal driver is held to: the drivers by name."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from clew.stores.memory.journal import MemoryJournal
from clew.stores.projections import shipped
from clew.stores.sqlite.journal import SqliteJournal
from clew.testing import ManualClock


@pytest.fixture(params=["sqlite", "memory"])
async def opened(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Callable[[], Any]]:
    """Opens fresh journals of one driver, closed at the end of the test."""
    made: list[Any] = []

    def make() -> Any:
        if request.param == "memory":
            made.append(MemoryJournal(projections=shipped(), clock=clock))
        else:
            path = tmp_path / f"state{len(made)}" / "journal.db"
            made.append(SqliteJournal.open(path, projections=shipped(), clock=clock))
        return made[-1]

    yield make
    for journal in made:
        await journal.close()


@pytest.fixture
def journal(opened: Callable[[], Any]) -> Any:
    return opened()
