"""Killed between the intent and the outcome of one effect: what happens then is what its node or tool declares (R2)."""

import pytest
from small_runs import SmallRun
from trials import Trials

pytestmark = pytest.mark.chaos

KINDS = ("effect", "body", "tool")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", KINDS)
def test_fail(trials: Trials, kind: str, when: str) -> None:
    run = SmallRun(trials, f"{kind}_fail")
    assert run.go(kill_at=f"{when} deed")["signal"] == 9
    told = run.go()
    assert told["state"] == "failed"
    assert told["error"]["code"] == "in_doubt"
    assert run.performed() == ["deed"] * (when == "after")
    run.look_back()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", KINDS)
def test_ask_and_do_it_again(trials: Trials, kind: str, when: str) -> None:
    run = SmallRun(trials, f"{kind}_ask", verdict="approve")
    assert run.go(kill_at=f"{when} deed")["signal"] == 9
    told = run.go()
    assert (told["state"], told["output"]) == ("completed", "did deed")
    assert run.performed() == ["deed"] * (1 + (when == "after"))
    run.look_back()


@pytest.mark.parametrize("kind", KINDS)
def test_ask_and_leave_it(trials: Trials, kind: str) -> None:
    run = SmallRun(trials, f"{kind}_ask", verdict="reject")
    assert run.go(kill_at="after deed")["signal"] == 9
    told = run.go()
    assert (told["state"], told["error"]["code"]) == ("failed", "in_doubt")
    assert run.performed() == ["deed"]
    run.look_back()


@pytest.mark.parametrize("kind", KINDS)
def test_killed_again_while_it_asks(trials: Trials, kind: str) -> None:
    """The question and its answer are recorded like any other: it is asked once."""
    run = SmallRun(trials, f"{kind}_ask", verdict="approve")
    assert run.go(kill_at="after deed")["signal"] == 9
    assert run.go(kill_at="before deed")["signal"] == 9  # agreed, entered again, killed again: in doubt as before
    told = run.go()
    assert (told["state"], told["output"]) == ("completed", "did deed")
    asked = [e for e in run.look_back()["events"] if e["type"] == "EffectStarted" and e["key"].endswith("/ask")]
    assert len(asked) == 1
    assert run.performed() == ["deed", "deed"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("start", ["effect_retry", "body_retry", "tool_retry", "effect_safe"])
def test_retry(trials: Trials, start: str, when: str) -> None:
    run = SmallRun(trials, start)
    assert run.go(kill_at=f"{when} deed")["signal"] == 9
    told = run.go()
    assert (told["state"], told["output"]) == ("completed", "did deed")
    assert run.performed() == ["deed"] * (1 + (when == "after"))
    run.look_back()


def test_once_is_not_done_again_by_a_later_attempt(trials: Trials) -> None:
    run = SmallRun(trials, "once")
    assert run.go(kill_at="after again1")["signal"] == 9
    assert run.go(kill_at="before again2")["signal"] == 9
    told = run.go()
    assert (told["state"], told["output"]) == ("completed", ["did deed", "did again2"])
    assert run.performed() == ["deed", "again1", "again1", "again2"]
    run.look_back()


def test_once_in_doubt_stays_so_for_later_attempts(trials: Trials) -> None:
    run = SmallRun(trials, "once")
    assert run.go(kill_at="after deed")["signal"] == 9
    told = run.go()
    assert (told["state"], told["error"]["code"]) == ("failed", "in_doubt")
    assert run.performed() == ["deed"]
    run.look_back()
