"""Recorded histories are read and replayed for ever (R6): what affects replay cannot change unseen."""

import runpy
from pathlib import Path
from typing import Any

import pytest

from clew.runtime.host import Surroundings
from clew.service import replay
from clew.service.bundles import import_run
from clew.service.engine import AsyncEngine, open_project
from clew.service.settings import MEMORY, Settings
from clew.service.wiring import Workspace

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


@pytest.mark.parametrize("path", [p for p in HISTORIES if "memory" in p.name], ids=lambda p: p.name)
async def test_bodies_ask_of_memory_what_they_asked_then(path: Path, tmp_path: Path, monkeypatch: Any) -> None:
    project = runpy.run_path(str(Path(__file__).parent / "record_memory.py"))["project"](tmp_path / "project")

    async def world_of(workspace: Workspace, run: str) -> Surroundings:
        """Of the same project, which has another place now."""
        origin: Any = (await workspace.journal.read(run, 0, 1))[0].event.fact
        return await workspace.recorded_world(origin.plan, project)

    monkeypatch.setattr(replay, "world_of", world_of)
    async with open_project(project, tmp_path / "state") as engine:
        bundle = await import_run(engine.workspace, path)
        report = await engine.replay(bundle.run, handlers=True)
        assert (report.verdict, report.divergence) == ("identical", None)
        assert report.trace == TRACES[path.name]


def test_no_history_was_lost() -> None:
    assert {p.name for p in HISTORIES} == set(TRACES)
    assert len(HISTORIES) >= 3
