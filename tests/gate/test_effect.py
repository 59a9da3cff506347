import pytest

from clew.core.errors import Failure
from clew.gate.effect import Effect, Outcome, denied, failed


def effect(**fields):
    return Effect(**{"key": "k", "kind": "tool", "name": "n", "request": {"a": 1}, "task": "0", "node": "a", **fields})


def test_the_digest_is_of_what_was_asked_for():
    assert effect().digest == effect(key="other", repeat_safe=True, due=5).digest
    assert effect().digest != effect(request={"a": 2}).digest
    assert effect().digest != effect(name="m").digest
    assert effect().digest != effect(kind="model").digest


def test_the_value_of_an_outcome():
    assert Outcome(output=3).value() == 3
    with pytest.raises(Failure, match="no such file") as caught:
        failed(Failure("no such file", code="not_there", details=[1])).value()
    assert (caught.value.code, caught.value.details) == ("not_there", [1])


def test_a_denial_is_raised_with_its_code():
    outcome = denied("denied", "not in this mode")
    assert outcome.status == "denied"
    with pytest.raises(Failure, match="not in this mode"):
        outcome.value()


def test_an_error_read_back_without_its_fields():
    with pytest.raises(Failure) as caught:
        Outcome(status="error", error={}).value()
    assert caught.value.code == "failed"
