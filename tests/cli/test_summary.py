import pytest

from clew.cli.session import Session
from clew.cli.shapes import Outcome, Question
from clew.cli.summary import answer_lines, exit_code, print_outcome, worst


def outcome(**fields):
    base = {
        "run": "r1", "workflow": "w", "state": "completed", "status": "success", "output": None, "error": None, "cost": "0",
        "unpriced": 0, "duration_ms": 0, "events": 1, "paused": "", "driven": False, "waiting": [],
    }  # fmt: skip
    return Outcome(**(base | fields))


ASKED = Question(run="r1", key="0/a#1/1", task="0", node="a", kind="ask", question="?", digest="ab" * 32)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, 0),
        ({"status": "partial"}, 0),
        ({"state": "failed", "status": "failure"}, 1),
        ({"state": "cancelled", "status": None}, 1),
        ({"state": "waiting", "status": None, "waiting": [ASKED]}, 3),
        ({"state": "running", "status": None, "paused": "a"}, 3),
        ({"state": "running", "status": None}, 3),
        ({"state": "running", "status": None, "driven": True}, 0),
    ],
)
def test_exit_codes(fields, code):
    assert exit_code(outcome(**fields)) == code


def test_the_worst_of_several():
    assert [worst(c) for c in ([], [0, 0], [0, 3], [3, 1], [1, 2])] == [0, 0, 3, 1, 2]


def test_the_exact_commands():
    approve, reject = answer_lines(Session(), ASKED, alone=False)
    assert approve == "clew approve r1 --key '0/a#1/1' --digest abababababab --value JSON"
    assert reject == "clew reject r1 --key '0/a#1/1' --digest abababababab --why TEXT"
    assert "--key" not in answer_lines(Session(), ASKED, alone=True)[0]


class Sheet:
    """Takes what would be printed."""

    def __init__(self):
        self.text = ""

    def __getattr__(self, name):
        def take(*parts, **_):
            self.text += " ".join(str(p[0] if isinstance(p, tuple) else p) for p in parts) + "\n"

        return take


def test_a_failed_run_still_shows_its_output():
    """An exit that always fails carries what was found: where the fault most likely is, what was tried."""
    sheet = Sheet()
    failed = outcome(
        state="failed",
        status="failure",
        error={"code": "always_fail", "message": "exit"},
        output={"suspects": ["a.py:3"]},
    )
    print_outcome(Session(), sheet, failed)
    assert "always_fail" in sheet.text
    assert "a.py:3" in sheet.text
