"""The process has one backend, so that it is probed once."""

from clew.sandbox.default import default


def test_there_is_one():
    assert default() is default()
    assert callable(default().probe)
