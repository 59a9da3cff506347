from clew.gate.ports.journal import Append, Head, RunFilter


def test_an_append_consumes_nothing_and_a_filter_takes_all_by_default():
    assert Append(run="r", expected=0, events=(), epoch=1, state="running").consumed == ()
    assert RunFilter() == RunFilter(states=(), limit=100)
    assert Head(0, "") == Head(0, "")
