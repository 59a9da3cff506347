"""Workflows of code agents killed at every step: they go on in the round, and at the step of it, where they were."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.sandbox]

TESTS = "from sums import total\n\n\ndef test_total():\n    assert total([1, 2]) == 3\n"
CAUSE = {"diagnosis": "values are left out", "target": "sums.py", "instructions": "sum all values"}
READ = ["read_file", {"path": "sums.py"}]
OUTSIDE = ["read_file", {"path": "../undisturbed/asked"}]
WRONG_THEN_RIGHT = [
    {"when": ["find out why", "Tried before"], "says": {**CAUSE, "diagnosis": "still too few"}, "looks": [READ]},
    {"when": ["find out why"], "says": CAUSE, "looks": [["search_files", {"query": "total"}], READ, OUTSIDE]},
    {
        "when": ["change one file", "return sum(values[1:])"],
        "says": {"summary": "wrong", "edits": [{"old": "values[1:]", "new": "values[:1]"}]},
    },
    {
        "when": ["change one file", "return sum(values[:1])"],
        "says": {"summary": "right", "edits": [{"old": "values[:1]", "new": "values"}]},
    },
]


@pytest.fixture
def drive(tmp_path):
    top = tmp_path / "repo"
    top.mkdir()
    (top / "sums.py").write_text("def total(values):\n    return sum(values[1:])\n")
    (top / "test_sums.py").write_text(TESTS)

    def process(directory: str, **kill: Any) -> dict[str, Any] | None:
        """What the process says, or None where it was killed."""
        place = tmp_path / directory
        place.mkdir(exist_ok=True)
        job = {
            "project": str(EXAMPLES / "debug-loop"),
            "input": {"repo": str(top), "model": "coder"},
            "directory": str(place),
            "answers": WRONG_THEN_RIGHT,
            **kill,
        }
        command = [sys.executable, str(HERE / "debugging.py"), json.dumps(job)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == -9:
            return None
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return process


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_killed_after_every_effect(drive, tmp_path):
    undisturbed = drive("undisturbed")
    assert undisturbed["status"] == "success"
    assert len(undisturbed["output"]["rounds"]) == 2
    processes, told = 0, None
    while told is None:
        processes += 1
        told = drive("killed", phase="after", at=1)
        assert processes < 60
    assert told["output"] == undisturbed["output"]
    assert drive("killed") == told  # verified and replayed
    recorded = Counter(lines(tmp_path / "killed" / "effects"))
    assert processes == len(recorded) + 1 > 20
    assert Counter(lines(tmp_path / "killed" / "asked")) == Counter(["0 looks", "1 looks", *"0123"])
    assert any(line.endswith(" read_file") for line in recorded)


def test_killed_before_effects_are_recorded(drive, tmp_path):
    """What was done and not recorded is done again, and nothing else."""
    told, processes = None, 0
    while told is None:
        processes += 1
        told = drive("killed", phase="before", at=4)
        assert processes < 40
    assert told["status"] == "success"
    assert processes > 4
    assert drive("killed")["output"] == told["output"]
    recorded = lines(tmp_path / "killed" / "effects")
    assert len(recorded) == len(set(recorded))
