import pytest

from clew.core import errors
from clew.core.errors import ClewError, Failure, Interrupt, ManifestError, Stopped, Suspended, UsageError, described


def tree():
    return [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, BaseException)]


def test_the_docstring_names_the_whole_tree():
    assert errors.__doc__ is not None
    for error in tree():
        assert error.__name__ in errors.__doc__


def test_codes_are_stable_and_their_own():
    codes = {e.__name__: e.code for e in tree() if issubclass(e, ClewError)}
    assert codes == {
        "ClewError": "error", "UsageError": "usage", "ManifestError": "manifest", "NotFound": "not_found",
        "Conflict": "conflict", "Failure": "failed", "IntegrityError": "integrity", "NonDeterminism": "non_determinism",
        "Tampered": "tampered", "Erased": "erased", "JournalError": "journal", "IllegalMove": "illegal_move",
    }  # fmt: skip
    assert len(set(codes.values())) == len(codes)


def test_a_hint_follows_the_message():
    assert str(ClewError("no such file", hint="make one")) == "no such file (make one)"
    assert str(ClewError("no such file")) == "no such file"
    assert ClewError("x", code="mine").code == "mine"


def test_a_failure_carries_details():
    failure = Failure("bad", code="bad_input", details={"at": 1})
    assert (failure.code, failure.details, failure.message) == ("bad_input", {"at": 1}, "bad")


def test_a_manifest_error_is_the_whole_report():
    error = ManifestError(["a.yaml:1:2 wrong", "b.yaml:3:4 wrong too"])
    assert str(error) == "a.yaml:1:2 wrong\nb.yaml:3:4 wrong too"
    assert error.problems == ["a.yaml:1:2 wrong", "b.yaml:3:4 wrong too"]
    assert isinstance(error, UsageError)


@pytest.mark.parametrize("interrupt", [Suspended, Stopped])
def test_user_code_cannot_swallow_control_flow(interrupt):
    assert not issubclass(interrupt, Exception)

    def careless():
        try:
            raise interrupt("x")
        except Exception:
            return "swallowed"

    with pytest.raises(Interrupt):
        careless()


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("nothing to say")


def test_an_error_is_described_whatever_it_does():
    assert described(KeyError("x")) == "KeyError: 'x'"
    assert described(Mute()) == "Mute"
