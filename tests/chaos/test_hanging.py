"""Bodies that do not stop when they are told to: their arms end all the same, and nothing they try later is let through (W9)."""

import os
from typing import Any

import pytest
from small_runs import SmallRun
from trials import Trials

pytestmark = pytest.mark.chaos

HUNG = ["hung_thread", "busy_thread", "busy_process", "swallows", "ignores", "hung_effect"]


def test_hung_bodies_starve_nobody(trials: Trials) -> None:
    run = SmallRun(trials, "hang", grace_ms=150)
    (run.directory / "effects.log").touch()
    told = run.go()
    assert told["state"] == "completed"
    (merged,) = told["output"]
    assert [m["node_id"] for m in merged["merge_inputs"]] == ["good1", "good2"]
    assert {f["node_id"]: f["error"]["code"] for f in merged["failures"]} == dict.fromkeys(HUNG, "timeout")
    assert sorted(run.performed()) == ["good1/work", "good2/work"]
    run.look_back()
    (busy,) = run.lines("busy")
    with pytest.raises(ProcessLookupError):
        os.kill(busy["pid"], 0)


def test_a_late_effect_is_recorded_and_not_delivered(trials: Trials) -> None:
    """It ends after the time-out, within the grace that what is in flight has."""
    run = SmallRun(trials, "late", input="within the grace")
    told = run.go()
    assert (told["state"], told["output"]) == ("completed", {"code": "timeout"})
    assert run.performed() == ["slow deed"]
    late = the_late_effect(run)
    assert (late["status"], late["payload"]["output"]) == ("ok", "late")


def test_an_effect_later_than_the_grace_is_recorded_as_interrupted(trials: Trials) -> None:
    run = SmallRun(trials, "late", grace_ms=150)
    told = run.go()
    assert (told["state"], told["output"]) == ("completed", {"code": "timeout"})
    assert run.performed() == ["slow deed"]
    late = the_late_effect(run)
    assert (late["status"], late["payload"]["error"]["code"]) == ("error", "interrupted")


def the_late_effect(run: SmallRun) -> dict[str, Any]:
    (late,) = [e for e in run.look_back()["events"] if e["type"] == "EffectFinished" and e["name"] == "slow"]
    return late
