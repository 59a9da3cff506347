"""Recorded histories are read and replayed for ever (R6): what affects replay cannot change unseen."""

from pathlib import Path

import pytest

from clew.service.bundles import import_run
from clew.service.engine import AsyncEngine
from clew.service.settings import MEMORY, Settings

HISTORIES = sorted(Path(__file__).parent.glob("*.clew.gz"))
TRACES = {line.split()[0]: line.split()[1] for line in (Path(__file__).parent / "traces.txt").read_text().splitlines()}
"""The trace digest of each history, as it was when it was recorded."""


@pytest.mark.parametrize("path", HISTORIES, ids=lambda p: p.name)
async def test_replays_as_it_was_recorded(path: Path, tmp_path: Path) -> None:
    for state in (MEMORY, str(tmp_path / "state")):
        async with AsyncEngine(None, Path(), Settings(state=state)) as engine:
            bundle = await import_run(engine.workspace, path)
            report = await engine.replay(bundle.run)
            assert report.divergence is None
            assert report.verdict in ("identical", "unfinished")
            assert report.trace == TRACES[path.name]
            assert await engine.verify(bundle.run) == []


def test_no_history_was_lost() -> None:
    assert {p.name for p in HISTORIES} == set(TRACES)
    assert len(HISTORIES) >= 2
