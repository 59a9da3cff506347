"""The batch task as the jobs call it: verdicts by candidate."""

import pytest

from clew.agents.code.interpreter import Interpreter
from clew.agents.code.workspace import Task, run

CODE = """\
FACTOR = 1

def double(n):
    return n + FACTOR

def other(n):
    return n
"""
TESTS = """\
from code_under_test import double, other
import code_under_test

def test_target():
    assert double(3) == 6

def test_zero():
    assert double(0) == 0 or code_under_test.FACTOR

def test_other():
    assert other(2) == 2

def test_unrelated():
    raise AssertionError
"""
NAME = "code_under_test.py"


def edit(old: str, new: str, owner, group: int = 0):
    start = CODE.index(old)
    return {"path": NAME, "start": start, "end": start + len(old), "text": new, "owner": owner, "group": group}


@pytest.fixture
def verdicts(backend, repo, python):
    async def judge(*candidates, files=None, **more):
        spec = {
            "candidates": list(candidates),
            "targets": ["test_a.py::test_target"],
            "tests": ["test_a.py::test_target", "test_a.py::test_zero", "test_a.py::test_other"],
            "groups": [[1], [2]],
            "hits": [[0], [0]],
            "misses": 1,
            "hanging": 0,
            "files": ["test_a.py"],
            "workers": 2,
            "limit": 0.4,
            "cold_limit": 10.0,
            "covering_limit": 0.4,
            "memory": 256 << 20,
            "wall": 60.0,
            **more,
        }
        top = repo({NAME: CODE, "test_a.py": TESTS, **(files or {})})
        result = await run(backend, top, Interpreter(python, "3", (), (".",)), Task("batch", spec, 60))
        return (result["verdicts"], result["repaired"]) if more.get("misses") else result["verdicts"]

    return judge


DOUBLE = [3, "double"]


async def test_warm_candidates(verdicts):
    assert await verdicts(
        edit("n + FACTOR", "n * 2", DOUBLE),
        edit("n + FACTOR", "n * 3", DOUBLE),
        edit("n + FACTOR", "n *", DOUBLE),
        edit("return n + FACTOR", "while True: pass", DOUBLE),
        edit("return n + FACTOR", "return double(n)", DOUBLE),
        edit("n + FACTOR", "[0] * 10 ** 10", DOUBLE),
        edit("return n + FACTOR", "import os; os._exit(0)", DOUBLE),
        edit("n + FACTOR", "n + 3", DOUBLE),
    ) == ["passed", "killed", "invalid", "timeout", "killed", "killed", "timeout", "passed"]


async def test_a_test_that_runs_the_line_and_breaks(verdicts):
    files = {"test_a.py": TESTS.replace("or code_under_test.FACTOR", "")}
    assert await verdicts(edit("n + FACTOR", "n + 3", DOUBLE), files=files) == ["regressed"]


async def test_cold_candidates(verdicts):
    assert await verdicts(
        edit("FACTOR = 1", "FACTOR = 3", None),
        edit("FACTOR = 1", "FACTOR = 2", None),
        edit("FACTOR = 1", "FACTOR = (", None),
        edit("FACTOR = 1", "while True: pass", None),
        cold_limit=2.0,
    ) == ["passed", "killed", "invalid", "timeout"]


async def test_neither_leaves_a_trace_in_the_next(verdicts):
    good, bad = edit("n + FACTOR", "n * 2", DOUBLE), edit("n + FACTOR", "n * 3", DOUBLE)
    assert await verdicts(bad, good, bad, good, edit("FACTOR = 1", "FACTOR = 3", None), bad) == [
        *("killed", "passed", "killed", "passed"),
        *("passed", "killed"),
    ]


async def test_a_function_that_is_not_alive_is_judged_cold(verdicts):
    files = {
        NAME: CODE + "\ndel other\n",
        "test_a.py": "import code_under_test\ndef test_target():\n    assert not hasattr(code_under_test, 'other')\n",
    }
    assert await verdicts(edit("return n\n", "return 1\n", [6, "other"]), files=files, groups=[[], []]) == ["passed"]


async def test_what_time_does_not_allow_is_left_open(verdicts):
    assert await verdicts(edit("n + FACTOR", "n * 2", DOUBLE), wall=0.0) == [None]


SEVERAL = """\
import pytest
from code_under_test import double, other

@pytest.fixture(scope="module")
def numbers():
    return [3, 4]

def test_target(numbers): assert double(numbers[0]) == 6
def test_too(numbers): assert double(numbers[1]) == 8
def test_else(): assert other(2) == 3
def test_other(): assert double(1) == 2
def test_never():
    while double(5) != 10: pass
"""


async def test_a_part_of_the_targets_is_repaired(verdicts):
    """Targets by name: 0 and 1 see ``double`` only, 2 sees ``other`` only, 3 is a passing test, 4 hangs."""
    names = ["test_a.py::test_target", "test_a.py::test_too", "test_a.py::test_else", "test_a.py::test_never"]
    told, repaired = await verdicts(
        edit("n + FACTOR", "n * 2", DOUBLE),
        edit("n + FACTOR", "n + 3 if n == 3 else n * FACTOR", DOUBLE),
        edit("n + FACTOR", "n + n - 0 if n > 2 and n < 5 else n + FACTOR", DOUBLE),
        edit("return n\n", "return n + 1\n", [6, "other"], 1),
        edit("return n\n", "return n - 1\n", [6, "other"], 1),
        edit("FACTOR = 1", "FACTOR = 3", None, 2),
        files={"test_a.py": SEVERAL},
        targets=names,
        tests=["test_a.py::test_other"],
        groups=[[0], [], [0]],
        hits=[[0, 1, 3], [2], [0, 1, 2, 3]],
        misses=3,
        hanging=1,
    )
    assert told == ["partial", "regressed", "partial", "partial", "killed", "regressed"]
    assert repaired == {"0": [0, 1, 3], "2": [0, 1], "3": [2]}
