"""The judge convicts: engines that are broken on purpose do not pass."""

from typing import Any

import judge
import pytest
from trials import Trials

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize(
    ("sabotage", "kill", "said"),
    [
        ("forget_outcomes", {"point": "after 0~together/audit#1/seal"}, "performed"),
        ("leave_no_intents", {"point": "after 0~together/audit#1/seal"}, "0~together/audit#1/seal: performed 2 times"),
        ("leave_no_intents", {"point": "after 0.1/propose#1/ticket"}, "0.1/propose#1/ticket: performed 2 times"),
    ],
)
def test_a_broken_engine_is_found_out(trials: Trials, sabotage: str, kill: dict[str, Any], said: str) -> None:
    trials.reference()
    problems = trials.trial([{**kill}], everywhere={"sabotage": sabotage})
    assert any(said in problem for problem in problems), problems


def test_what_a_journal_and_a_log_may_not_say(trials: Trials) -> None:
    reference = trials.reference()
    log = reference["log"]
    assert judge.problems(reference, reference, log) == []
    seal = next(line for line in log if line["name"].endswith("/seal"))
    drive = next(line for line in log if line["name"].endswith("/drive"))
    later = {**drive, "incarnation": 2}
    cases = {
        "never performed": [line for line in log if line is not seal],
        "performed 2 times": [*log, seal],
        "performed again by 2": [*log, later],
        "not in the undisturbed run": [*log, {**seal, "name": "0/audit#2/other"}],
    }
    for said, changed in cases.items():
        problems = judge.problems(reference, reference, changed)
        assert any(said in problem for problem in problems), (said, problems)
