"""A body that kills its process every time ends with ``crashed``; those that ran beside it do not suffer (R2)."""

import pytest
from small_runs import SmallRun
from trials import Trials

pytestmark = pytest.mark.chaos


def test_crashes_three_times_and_is_given_up(trials: Trials) -> None:
    run = SmallRun(trials, "crash")
    deaths = 0
    while (told := run.go())["signal"] == 9:
        deaths += 1
        assert deaths <= 3, "the same body may kill its process three times, and no more"
    assert deaths == 3
    assert told["state"] == "completed"
    (merged,) = told["output"]
    assert [m["node_id"] for m in merged["merge_inputs"]] == ["innocent1", "innocent2", "innocent3"]
    assert [f["error"]["code"] for f in merged["failures"]] == ["crashed"]
    assert len(run.lines("crashes")) == 3
    run.look_back()
