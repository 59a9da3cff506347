"""The engine ends, by force or in order, while bodies are under way in threads and processes of their own."""

import os
import select

import pytest
from small_runs import SmallRun
from trials import Trials

pytestmark = pytest.mark.chaos

PATIENCE_MS = 10_000


def gone(pid: int) -> bool:
    """The process has ended, or does so soon."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(PATIENCE_MS))
    finally:
        os.close(handle)


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_handlers_in_processes_of_their_own_go_with_it(trials: Trials, how: str) -> None:
    run = SmallRun(trials, "apart", input=how)
    told = run.go()
    assert told["signal"] == 9 if how == "kill" else told["stopped"]
    assert gone(run.lines("apart")[0]["pid"])
    told = run.go()
    assert (told["state"], told["output"]) == ("completed", "did apart")
    assert run.performed() == ["apart"]
    events = run.look_back()["events"]
    assert [e["type"] for e in events].count("DriverStopped") == (how == "stop")


def test_an_effect_under_way_is_recorded_when_the_engine_ends_in_order(trials: Trials) -> None:
    """It is not left in doubt: it was nearly over, and the engine had time."""
    run = SmallRun(trials, "told")
    assert run.go()["stopped"]
    told = run.go()
    assert (told["state"], told["output"]) == ("completed", "did deed")
    assert run.performed() == ["deed"]
    run.look_back()
