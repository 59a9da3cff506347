"""Edits one on top of the other come to the same text as edits of the file as it was at first."""

from hashlib import sha256
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from clew.agents.code.edits import applied, changes, composed, of_file
from clew.agents.code.mutate import Candidate
from clew.agents.code.records import Edit

TEXT = st.text("abü\n", max_size=6)


def candidate(start, end, text, path="m.py"):
    return Candidate(path, 1, "operator", start, end, text, 1.0, None, -1)


@given(st.text("xyä\n", max_size=20), st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6), TEXT), max_size=6))
def test_any_edits_one_after_the_other(original, steps):
    now, edits, sources = original, [], {"m.py": original.encode()}
    for at, length, text in steps:
        start = min(at, len(now))
        end = min(start + length, len(now))
        low, high = len(now[:start].encode()), len(now[:end].encode())
        edits = composed(sources, edits, candidate(low, high, text))
        now = now[:start] + text + now[end:]
        assert applied(sources["m.py"], edits).decode() == now
        assert all(one.end < other.start for one, other in pairwise(edits))


def test_apart_they_stay_apart_and_taken_back_they_are_gone():
    sources = {"m.py": b"one\ntwo\nthree\n"}
    first = composed(sources, [], candidate(8, 13, "3"))
    both = composed(sources, first, candidate(0, 3, "1"))
    assert [(edit.line, edit.text) for edit in both] == [(1, "1"), (3, "3")]
    assert composed(sources, both, candidate(0, 1, "one")) == first


def test_one_change_for_each_file():
    sources = {"a.py": b"abc", "b.py": b"0123456789"}
    edits: list[Edit] = []
    for made in (candidate(1, 2, "X", "a.py"), candidate(2, 3, "two", "b.py"), candidate(9, 10, "", "b.py")):
        edits = composed(sources, edits, made)
    told = {change.file: change for change in changes(sources, edits)}
    assert {name: (c.start, c.end, c.text) for name, c in told.items()} == {
        "a.py": (1, 2, "X"),
        "b.py": (2, 8, "two3456"),
    }
    for name, change in told.items():
        data = sources[name]
        after = data[: change.start] + change.text.encode() + data[change.end :]
        assert after == applied(data, of_file(edits, name))
        assert (change.before, change.after) == (sha256(data).hexdigest(), sha256(after).hexdigest())
