"""The session task as the jobs call it: a subprocess of the repository's interpreter."""

import pytest

from clew.agents.code.interpreter import Interpreter
from clew.agents.code.workspace import Task, run

SPEC = {"test_limit": 1.5, "hung_limit": 0.3, "wall": 60.0, "memory": 512 << 20}


@pytest.fixture
def session(backend, repo, python):
    async def perform(files, **more):
        interpreter = Interpreter(python, "3", (), (".",))
        return await run(backend, repo(files), interpreter, Task("session", {**SPEC, **more}, 60))

    return perform


def outcomes(result):
    return {test["id"].split("::")[-1]: test["outcome"] for test in result["tests"]}


async def test_outcomes(session):
    result = await session(
        {
            "test_a.py": """
                import unittest, pytest

                def test_good(): pass
                def test_bad(): assert 1 == 2
                @pytest.mark.skip
                def test_skipped(): pass
                @pytest.mark.xfail
                def test_expected(): assert False
                @pytest.fixture
                def broken(): raise KeyError("x")
                def test_setup(broken): pass
                class TestCase(unittest.TestCase):
                    def test_case(self): self.assertEqual(1, 1)
                    def test_case_skips(self): self.skipTest("no")
            """
        }
    )
    assert outcomes(result) == {
        "test_good": "passed",
        "test_bad": "failed",
        "test_skipped": "skipped",
        "test_expected": "skipped",
        "test_setup": "failed",
        "test_case": "passed",
        "test_case_skips": "skipped",
    }
    assert result["complete"]
    messages = {test["id"]: test.get("message", "") for test in result["tests"]}
    assert messages["test_a.py::test_setup"] == "KeyError: 'x'"


async def test_tests_that_never_end(session):
    """One is interrupted, one swallows that and is killed, one brings the interpreter down; the rest still runs."""
    result = await session(
        {
            "test_a.py": """
                import os

                def test_loops():
                    while True: pass
                def test_swallows():
                    while True:
                        try:
                            while True: pass
                        except BaseException: pass
                def test_exits(): os._exit(3)
                def test_good(): pass
            """
        }
    )
    assert outcomes(result) == {
        "test_loops": "timeout",
        "test_swallows": "timeout",
        "test_exits": "timeout",
        "test_good": "passed",
    }
    assert result["complete"]


async def test_a_file_that_cannot_be_imported_is_one_failure(session):
    result = await session({"test_a.py": "import not_there\n", "test_b.py": "def test_good(): pass\n"})
    assert outcomes(result) == {"test_good": "passed", "test_a.py": "failed"}
    assert "not_there" in result["tests"][-1]["message"]


async def test_nothing_to_run_is_explained(session):
    result = await session({"pytest.ini": "[pytest]\naddopts = --no-such-option\n"})
    assert result["tests"] == []
    assert "--no-such-option" in result["output"]


async def test_coverage_by_test(session):
    result = await session(
        {
            "code.py": "LIMIT = 1\n\ndef f(a):\n    if a:\n        return 1\n    return 0\n",
            "test_a.py": "import code\nfrom code import f\n\ndef test_one(): assert f(1) == 2\ndef test_two(): assert f(0) == 0\n",
        },
        coverage=True,
    )
    lines = result["coverage"]["lines"]["code.py"]
    groups = result["coverage"]["groups"]
    assert {line: groups[group] for line, group in lines.items()} == {
        "3": [[0], [1]],
        "4": [[0], [1]],
        "5": [[0], []],
    }
    assert result["import_lines"]["code.py"] == [1, 3]


async def test_the_place_of_a_failure(session):
    result = await session(
        {
            "code.py": "def inner(a):\n    return 1 / a\n\ndef outer(a):\n    return inner(a)\n",
            "test_a.py": "from code import outer\n\ndef test_one(): outer(0)\n",
        }
    )
    assert result["tests"][0]["frames"] == [["code.py", 5], ["code.py", 2]]


async def test_what_a_shared_fixture_runs_belongs_to_every_test_that_uses_it(session):
    files = {
        "code.py": "",
        "made.py": "def make():\n    return 3\n",
        "conftest.py": "import pytest, made\n@pytest.fixture(scope='session')\ndef three(): return made.make()\n",
        "test_a.py": "def test_good(three): pass\ndef test_bad(three): assert three == 4\ndef test_else(): assert 0\n",
    }
    result = await session(files, coverage=True)
    names = {test["id"].split("::")[1]: number for number, test in enumerate(result["tests"])}
    table = result["coverage"]
    assert table["groups"][table["lines"]["made.py"]["2"]] == [[names["test_bad"]], [names["test_good"]]]


async def test_too_much_memory_is_a_failure_of_the_test_and_no_more(session):
    code = "def fill():\n    items = [0]\n    while True:\n        items = items + items\n"
    tests = "from fill import fill\ndef test_full(): fill()\ndef test_after(): assert len([0] * 2**20)\n"
    result = await session({"fill.py": code, "test_a.py": tests}, test_limit=20.0, memory=200 << 20)
    assert outcomes(result) == {"test_full": "failed", "test_after": "passed"}
    assert result["tests"][0]["message"].startswith("MemoryError")
    assert result["tests"][0]["frames"][-1] == ["fill.py", 4]


async def test_where_a_test_stands_that_has_to_be_killed(session):
    """One swallows the interruption; one never returns from C code, so that only the fault handler sees it."""
    files = {
        "stuck.py": """\
            import itertools
            def swallows():
                while True:
                    try:
                        pass
                    except BaseException:
                        pass
            def counts():
                return sum(itertools.count())
            """,
        "test_a.py": "import stuck\ndef test_one(): stuck.swallows()\ndef test_two(): stuck.counts()\n",
    }
    hanging = ["test_a.py::test_one", "test_a.py::test_two"]
    result = await session(files, coverage=True, hanging=hanging)
    assert outcomes(result) == {"test_one": "timeout", "test_two": "timeout"}
    one, two = (test["frames"][-1] for test in result["tests"])
    assert one[0] == "stuck.py"
    assert one[1] in range(3, 8)
    assert two == ["stuck.py", 9]
    assert {"3", "9"} <= set(result["coverage"]["lines"]["stuck.py"])
