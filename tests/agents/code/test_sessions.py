"""What one session says of the suite."""

from clew.agents.code import records
from clew.agents.code.records import Session
from clew.agents.code.sessions import counts, seconds, why_not


def session(*tests, not_run=()):
    return Session(tests=list(tests), complete=True, not_run=list(not_run), python="3.11")


def test_counts_and_times():
    told = session(
        records.Test("a", "passed", 0.25), records.Test("b", "failed", 0.5), records.Test("c", "skipped"), not_run=["d"]
    )
    assert counts(told) == {"passed": 1, "failed": 2, "skipped": 1}
    assert seconds(told) == 0.75


def test_why_a_failing_test_is_of_no_use():
    assert why_not(records.Test("a", "failed"), True) == ""
    assert "did not fail" in why_not(records.Test("a", "passed"), True)
    assert "no numpy" in why_not(records.Test("a", "failed", missing="numpy"), True)
    assert "socket" in why_not(records.Test("a", "failed", network=True), True)
    assert "cannot be collected: x" in why_not(records.Test("a", "failed", collect=True, message="x"), False)
    assert "runs no code" in why_not(records.Test("a", "failed"), False)
