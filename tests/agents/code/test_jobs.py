"""From a failing repository to a diff, each job on its own, with JSON between them."""

import json

import pytest

from clew.agents.code import jobs, repair
from clew.core.errors import Failure, UsageError

pytestmark = pytest.mark.slow
LIMITS = {"max_tries": 800, "time_limit": 120.0}


def through_json(value):
    return json.loads(json.dumps(value))


@pytest.fixture
def mend(backend, python):
    """Run everything as a workflow would; returns (suite, located, found)."""

    async def perform(name, *arguments):
        job = {"evaluate": jobs.evaluate, "verify": jobs.verify}[name]
        return through_json(await job(backend, *through_json(arguments)))

    async def run(top, **more):
        request = {"repo": str(top), "python": python, "test_timeout": 1.0, **more}
        suite = through_json(await jobs.run_suite(backend, request))
        located = through_json(await jobs.locate(backend, request, suite))
        return suite, located, await repair.search(perform, request, suite, located, LIMITS)

    return run


COUNTING = {
    "src/counting/__init__.py": "from counting.core import upto\n",
    "src/counting/core.py": """\
        def upto(n):
            found = []
            i = 1
            while i < n:
                found.append(i)
                i += 1
            return found
        """,
    "tests/test_core.py": """\
        import unittest
        from counting import upto

        class TestUpto(unittest.TestCase):
            def test_three(self): self.assertEqual(upto(3), [1, 2, 3])
            def test_one(self): self.assertEqual(upto(1), [1])
            def test_none(self): self.assertEqual(upto(0), [])
        """,
}


async def test_several_failing_tests_of_one_fault_in_a_src_layout(mend, repo):
    top = repo(COUNTING)
    suite, located, found = await mend(top)
    assert (suite["passed"], suite["failed"]) == (1, 2)
    assert located["suspects"][0]["file"] == "src/counting/core.py"
    verified = found["verified"]
    assert verified["tests_after"] == {"passed": 3, "failed": 0, "skipped": 0}
    assert "-    while i < n:\n+    while i <= n:\n" in verified["diff"]
    assert "while i < n" in (top / "src/counting/core.py").read_text()


async def test_the_same_diff_on_every_run(mend, repo):
    top = repo(COUNTING)
    first = await mend(top, workers=1)
    second = await mend(top, workers=3)
    assert first[2]["verified"]["diff"] == second[2]["verified"]["diff"]
    assert first[2]["tried"] == second[2]["tried"]


async def test_a_fault_that_raises(mend, repo):
    code = "def last(items):\n    if not items:\n        return None\n    return items[len(items)]\n"
    tests = "from last import last\n\ndef test_a(): assert last([1, 2]) == 2\n\ndef test_b(): assert last([]) is None\n"
    _, located, found = await mend(repo({"last.py": code, "test_last.py": tests}))
    assert located["suspects"][0]["line"] == 4
    assert found["verified"]["line"] == 4


async def test_a_fault_that_never_ends(mend, repo):
    code = "def halves(n):\n    count = 0\n    while n > 0:\n        n = n - n // 2\n        count += 1\n    return count\n"
    tests = """\
        from halves import halves

        def test_none(): assert halves(0) == 0
        def test_one(): assert halves(1) == 1
        def test_eight(): assert halves(8) == 4
        def test_many(): assert halves(1000) == 10
    """
    suite, _, found = await mend(repo({"halves.py": code, "test_halves.py": tests}))
    assert suite["hanging"] == [f"test_halves.py::test_{name}" for name in ("one", "eight", "many")]
    assert found["verified"]["tests_after"]["passed"] == 4


async def test_a_wrong_constant_of_a_module_and_a_call_at_import(mend, repo):
    code = "STEPS = 3\n\ndef table(n):\n    return list(range(n))\n\nTABLE = table(STEPS)\n\ndef look(i):\n    return TABLE[i]\n"
    tests = "from steps import look\n\ndef test_a(): assert look(3) == 3\n\ndef test_b(): assert look(0) == 0\n"
    _, _, found = await mend(repo({"steps.py": code, "test_steps.py": tests}))
    assert found["verified"]["tests_after"]["passed"] == 2


async def test_nothing_that_may_be_edited(mend, repo):
    files = {"test_a.py": "import os\n\ndef test_world(): assert os.path.exists('/missing')\n\ndef test_good(): pass\n"}
    suite, located, found = await mend(repo(files))
    assert suite["failing"] == list(located["set_aside"]) == ["test_a.py::test_world"]
    assert "no code of the repository" in located["set_aside"]["test_a.py::test_world"]
    assert (found["verified"], found["reason"]) == (None, "no_target")


async def test_a_repair_that_is_out_of_reach_says_so(mend, repo):
    code = "def f(a):\n    return a\n"
    tests = "from f import f\n\ndef test_a(): assert f(2) == 'a long way off'\n"
    _, located, found = await mend(repo({"f.py": code, "test_f.py": tests}))
    assert found["verified"] is None
    assert found["reason"] == "exhausted"
    assert found["tried"] == located["candidates"] == sum(found["verdicts"].values())
    assert repair.suspects(located)[0]["file"] == "f.py"


async def test_tests_that_fail_only_after_others(mend, repo):
    code = "SEEN = []\n\ndef note(x):\n    SEEN.append(x)\n    return len(SEEN)\n"
    tests = "from note import note\n\ndef test_a(): assert note(1) == 1\n\ndef test_b(): assert note(2) == 1\n"
    _, _, found = await mend(repo({"note.py": code, "test_note.py": tests}))
    assert (found["verified"], found["reason"]) == (None, "order_dependent")


async def test_a_chosen_test_only(mend, repo):
    code = "def f(a):\n    return a + 1\n\ndef g(a):\n    return a\n"
    tests = "from f import f, g\n\ndef test_f(): assert f(3) == 2\n\ndef test_g(): assert g(1) == 'never'\n"
    suite, _, found = await mend(repo({"f.py": code, "test_f.py": tests}), tests=["test_f.py::test_f"])
    assert suite["failing"] == ["test_f.py::test_f"]
    assert found["verified"]["failing"] == ["test_f.py::test_g"]
    assert "+    return a - 1" in found["verified"]["diff"]


async def test_no_tests(backend, repo, python):
    with pytest.raises(Failure) as caught:
        await jobs.run_suite(backend, {"repo": str(repo({"a.py": ""})), "python": python})
    assert caught.value.code == "no_tests"


async def test_no_such_repository(backend, tmp_path):
    with pytest.raises(UsageError):
        await jobs.run_suite(backend, {"repo": str(tmp_path / "missing")})


async def test_a_repository_that_changes_meanwhile_is_noticed(backend, repo, python):
    top = repo(COUNTING)
    request = {"repo": str(top), "python": python}
    suite = await jobs.run_suite(backend, request)
    (top / "src/counting/core.py").write_text("def upto(n): return []\n")
    with pytest.raises(Failure) as caught:
        await jobs.locate(backend, request, suite)
    assert caught.value.code == "repository_changed"


async def test_the_change_is_written_once_and_only_over_what_was_verified(mend, repo, backend):
    top = repo(COUNTING)
    _, _, found = await mend(top)
    change = found["verified"]["change"]
    target = top / "src/counting/core.py"
    before = target.read_text()
    jobs.apply_change(backend, str(top), change)
    mended = target.read_text()
    jobs.apply_change(backend, str(top), change)
    assert mended == target.read_text() == before.replace("i < n", "i <= n")
    target.write_text("# something else\n" + before)
    with pytest.raises(Failure):
        jobs.apply_change(backend, str(top), change)
