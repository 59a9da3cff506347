import pytest

from clew.core.errors import Failure, IllegalMove
from clew.core.events import RunPaused
from clew.testing import MachineScript, graph_of

LINE = graph_of("s:start a:linear x:exit", "s>a>x")


def test_a_walk_goes_to_the_end_with_the_outcomes_given():
    script = MachineScript(LINE).begin(1).walk({"a": lambda value: value + 1, "x": "out"})
    assert (script.machine.state, script.machine.output) == ("completed", "out")
    assert script.ran == ["0/s#1", "0/a#1", "0/x#1"]
    assert script.state("0") == "completed/success"


def test_a_failure_raised_by_an_outcome_fails_the_body():
    def bad(_):
        raise Failure("no", code="mine", details=[1])

    script = MachineScript(LINE).begin().walk({"a": bad})
    assert script.machine.error == {"code": "mine", "message": "no", "details": [1]}


def test_the_history_gives_the_same_machine():
    script = MachineScript(LINE).begin(1).done("0").done("0", 2)
    assert script.again().snapshot() == script.machine.snapshot()


def test_what_the_machine_refuses_is_not_in_the_history():
    script = MachineScript(LINE).begin()
    script.apply(RunPaused())
    count = len(script.history)
    with pytest.raises(IllegalMove):
        script.apply(RunPaused())
    assert len(script.history) == count
    script.walk()
    assert script.machine.state == "running"


def test_only_what_is_offered_can_be_started():
    with pytest.raises(KeyError):
        MachineScript(LINE).begin().start("0.1")
