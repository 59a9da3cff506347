"""Runs of the small workflows: the steps of a trial, one process each, with what they left behind."""

import json
from pathlib import Path
from typing import Any

from trials import HERE, Trials, count, read_log

RUN = "r00000000c4a05"


class SmallRun:
    """One run of a small workflow, from its start to whatever comes of it."""

    def __init__(self, trials: Trials, start: str, **options: Any) -> None:
        self.trials = trials
        self.directory = trials.directory()
        self.job = {
            "directory": str(self.directory),
            "project": str(HERE / "small"),
            "start": start,
            "input": None,
            **options,
        }
        self.processes = 0

    def go(self, kill_at: str = "", **options: Any) -> dict[str, Any]:
        """Drive it in a process of its own, which dies at the point ``kill_at``."""
        self.processes += 1
        if kill_at:
            (self.directory / "kill-at-point").write_text(kill_at)
        told = self.trials.forked({**self.job, "do": "drive", "incarnation": self.processes, **options})
        count(told, False, {"point": kill_at} if kill_at else {})
        assert "raised" not in told, told["traceback"]
        return told

    def look_back(self) -> dict[str, Any]:
        """What the journal says, found sound."""
        seen = self.trials.forked({**self.job, "do": "examine", "incarnation": self.processes + 1})
        assert "raised" not in seen, seen["traceback"]
        assert seen["findings"] == []
        run = seen["runs"][RUN]
        assert run["verdict"] == "identical", run["divergence"]
        return run

    def performed(self) -> list[str]:
        return [line["name"] for line in read_log(self.directory)]

    def lines(self, name: str) -> list[dict[str, Any]]:
        path = Path(self.directory / name)
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
