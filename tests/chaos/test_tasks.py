"""SIGKILL at every journal write of a task with an idempotency key: asked again, the work is not done twice (W12)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.slow
def test_killed_at_any_write_and_asked_again_the_work_is_done_once(tmp_path):
    done = subprocess.run([sys.executable, HERE / "tasking.py", tmp_path], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    trials = json.loads(done.stdout)
    assert len(trials) > 20
    results = 0
    for trial in trials:
        assert trial["killed"], trial
        first, second = trial["told"]
        assert first["answer"] == second["answer"], trial
        assert first["findings"] == second["findings"] == [], trial
        assert len(set(trial["deeds"])) == len(trial["deeds"]), trial
        if first["answer"]["type"] == "AgentResult":
            results += 1
            assert trial["deeds"] == ["one", "two"], trial
            assert (first["queued"], second["queued"], second["runs"]) == (2, 2, 3), trial
        else:  # it was killed between a deed and its record: nobody can know
            assert first["answer"]["error"]["code"] == "in_doubt", trial
            assert second["runs"] == 1, trial
    assert results >= len(trials) - 8
