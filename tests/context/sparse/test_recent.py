"""What is not folded yet: rows and frequencies, in order, each as it was given."""

import numpy as np

from clew.context.sparse.postings import MOST_TF, digest
from clew.context.sparse.recent import Recent


def test_what_was_added_is_there():
    recent = Recent()
    recent.add(3, {"a": 2, "b": 1})
    recent.add(2**31 - 1, {"a": MOST_TF})
    rows, tfs = recent.of("a")
    assert (rows.tolist(), tfs.tolist()) == ([3, 2**31 - 1], [2, MOST_TF])
    assert recent.of("c") is None
    assert (len(recent), recent.rows) == (2, 2)


def test_asking_for_a_term_does_not_make_it():
    recent = Recent()
    recent.of("a")
    assert len(recent) == 0


def test_what_is_given_out_does_not_change_any_more():
    recent = Recent()
    recent.add(1, {"a": 1})
    rows, _ = recent.of("a")
    recent.add(2, {"a": 1})
    assert rows.tolist() == [1]


def test_runs_are_ordered_by_term():
    recent = Recent()
    recent.add(1, {"b": 1, "a": 5})
    recent.add(4, {"a": 1})
    runs = recent.runs()
    assert (np.diff(runs.terms.astype(object)) > 0).all()
    of = {int(term): count for term, count in zip(runs.terms, runs.counts, strict=True)}
    assert of == {digest("a"): 2, digest("b"): 1}
    assert len(runs.rows) == len(runs.tfs) == 3
    assert len(Recent().runs().rows) == 0
