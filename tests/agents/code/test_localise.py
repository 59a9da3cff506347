import pytest

from clew.agents.code.localise import Spectrum, Suspect, dstar, ochiai, rank, statement_scores
from clew.agents.code.source import Source


def test_ochiai():
    assert ochiai(2, 0, 2) == 1.0
    assert ochiai(1, 3, 4) == pytest.approx(0.25)
    assert ochiai(0, 3, 4) == 0.0


def test_dstar():
    assert dstar(3, 0, 3) == 1.0
    assert dstar(2, 1, 3) == pytest.approx(4 / 2 / (1 + 4 / 2))


SPECTRUM = Spectrum(
    {"a.py": {"1": 0, "2": 1, "3": 2}, "b.py": {"9": 1}},
    [([0, 1], [2, 3, 4]), ([0, 1], []), ([1], [2])],
)


def test_lines_that_only_failing_tests_run_come_first():
    ranked = rank(SPECTRUM, [], [0, 1])
    assert [(s.file, s.line) for s in ranked] == [("a.py", 2), ("b.py", 9), ("a.py", 1), ("a.py", 3)]
    assert ranked[0].score == 1.0
    assert (ranked[2].failing, ranked[2].passing) == (2, 3)


def test_a_traceback_breaks_ties():
    ranked = rank(SPECTRUM, [[("a.py", 1), ("b.py", 9)], []], [0, 1])
    assert (ranked[0].file, ranked[0].line) == ("b.py", 9)


def test_only_targets_count():
    assert all(s.line != 3 for s in rank(SPECTRUM, [], [0]))


def test_no_failing_test_gives_no_suspect():
    assert rank(SPECTRUM, [], []) == []


def test_a_constant_inherits_from_the_lines_that_use_it():
    source = Source("m.py", b"LIMIT = 3\nOTHER = 4\n\ndef f(a):\n    return a < LIMIT\n")
    scores = statement_scores(source, {5: Suspect("m.py", 5, 1.0, 1, 0, 0)})
    by_line = {statement.lineno: suspect.score for statement, suspect in scores.items()}
    assert by_line == {5: 1.0, 1: 0.6}
