"""From a failing repository to a diff, each job on its own, with JSON between them."""

import json
from hashlib import sha256

import pytest

from clew.agents.code import jobs, repair, runs
from clew.core.errors import Failure

pytestmark = pytest.mark.slow
LIMITS = {"max_tries": 800, "time_limit": 120.0}


def through_json(value):
    return json.loads(json.dumps(value))


@pytest.fixture
def mend(backend, python):
    """Run everything as a workflow would; returns (suite, located, found)."""

    async def perform(name, *arguments):
        job = getattr(jobs, name)
        return through_json(await job(backend, *through_json(arguments)))

    async def run(top, changes=1, seconds=120.0, **more):
        request = {"repo": str(top), "python": python, "test_timeout": 1.0, **more}
        suite = through_json(await jobs.run_suite(backend, request))
        located = through_json(await jobs.locate(backend, request, suite))
        return (
            suite,
            located,
            await repair.search(
                perform, request, suite, located, {**LIMITS, "changes": changes, "time_limit": seconds}
            ),
        )

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
    """Whether one candidate is judged at a time or three makes no difference."""
    top = repo(COUNTING)
    suite, located, found = await mend(top, workers=1)
    _, _, other = await mend(top, workers=3)
    assert (found["tried"], found["verified"]["diff"]) == (other["tried"], other["verified"]["diff"])
    assert (suite["passed"], suite["failed"]) == (1, 2)
    assert located["suspects"][0]["file"] == "src/counting/core.py"
    verified = found["verified"]
    assert verified["tests_after"] == {"passed": 3, "failed": 0, "skipped": 0}
    assert "-    while i < n:\n+    while i <= n:\n" in verified["diff"]
    assert "while i < n" in (top / "src/counting/core.py").read_text()


async def test_a_fault_that_raises(mend, repo):
    code = "def last(items):\n    if not items:\n        return None\n    return items[len(items)]\n"
    tests = "from last import last\n\ndef test_a(): assert last([1, 2]) == 2\n\ndef test_b(): assert last([]) is None\n"
    _, located, found = await mend(repo({"last.py": code, "test_last.py": tests}))
    assert located["suspects"][0]["line"] == 4
    assert found["verified"]["line"] == 4


async def test_a_fault_that_never_ends(mend, repo):
    code = (
        "def halvings(n):\n    count = 0\n    while n >= 0:\n        n = n // 2\n        count += 1\n    return count\n"
    )
    tests = """\
        from halvings import halvings

        def test_less(): assert halvings(-3) == 0
        def test_one(): assert halvings(1) == 1
        def test_nine(): assert halvings(9) == 4
    """
    top = repo({"halvings.py": code, "test_halvings.py": tests})
    suite, _, found = await mend(top, test_timeout=0.3)
    assert suite["hanging"] == ["test_halvings.py::test_one", "test_halvings.py::test_nine"]
    assert "+    while n > 0:" in found["verified"]["diff"]


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


async def test_what_keeps_pytest_from_any_test_is_told(backend, repo, python):
    request = {"repo": str(repo({"a.py": "", "test_a.py": "import nothing_of_this_name\n"})), "python": python}
    with pytest.raises(Failure, match="no module nothing_of_this_name") as caught:
        await jobs.run_suite(backend, request)
    assert caught.value.code == "missing_module"
    repo({"conftest.py": "import nothing_of_that_name\n"})
    with pytest.raises(Failure, match="nothing_of_that_name") as caught:
        await jobs.run_suite(backend, request)
    assert caught.value.code == "suite"
    repo({"conftest.py": "", "pytest.ini": "[pytest]\naddopts = --never-heard-of\n"})
    with pytest.raises(Failure, match="--never-heard-of"):
        await jobs.run_suite(backend, request)


async def test_plugins_that_stop_the_suite_are_left_off(backend, repo, python):
    """pytest-asyncio, which the interpreter of these tests has, warns where nothing is configured."""
    files = {"pytest.ini": "[pytest]\nfilterwarnings = error\n", "test_a.py": "def test_good(): pass\n"}
    suite = await jobs.run_suite(backend, {"repo": str(repo(files)), "python": python})
    assert (suite["passed"], suite["plugins"]) == (1, False)


async def test_a_file_that_pytest_does_not_find_by_itself(backend, repo, python):
    files = {"checks.py": "def test_bad(): assert 0\n", "test_a.py": "def test_good(): pass\n"}
    request = {"repo": str(repo(files)), "python": python, "tests": ["checks.py"]}
    suite = await jobs.run_suite(backend, request)
    assert (suite["failing"], suite["passed"]) == (["checks.py::test_bad"], 1)
    with pytest.raises(Failure, match="no test of"):
        await jobs.run_suite(backend, {**request, "tests": ["test_a.py::test_other"]})


async def test_a_slow_test_is_not_taken_for_one_that_hangs(backend, repo, python):
    slow = "import time\n\ndef test_slow(): time.sleep(0.5)\ndef test_good(): pass\n"
    request = {"repo": str(repo({"test_a.py": slow})), "python": python, "test_timeout": 0.3}
    suite = await jobs.run_suite(backend, request)
    assert (suite["passed"], suite["hanging"], suite["test_limit"]) == (2, [], 1.2)


async def test_failing_tests_that_can_judge_nothing_are_set_aside(mend, repo):
    tests = """\
        import socket
        from counting import upto

        def test_three(): assert upto(3) == [1, 2, 3]
        def test_two(): assert upto(2) == [1, 2]
        def test_network():
            assert upto(0) == []
            socket.socket(socket.AF_INET).connect(("127.0.0.1", 1))
        def test_fixture(not_a_fixture): assert upto(0) == []
    """
    top = repo({**COUNTING, "tests/test_core.py": tests, "tests/test_other.py": "import nothing_of_this_name\n"})
    _, located, found = await mend(top)
    assert {name.split("/")[-1]: why.split(",")[0] for name, why in located["set_aside"].items()} == {
        "test_core.py::test_network": "it asks for a network socket",
        "test_core.py::test_fixture": "the interpreter has no fixture not_a_fixture",
        "test_other.py": "the interpreter has no module nothing_of_this_name",
    }
    assert found["verified"]["tests_after"] == {"passed": 2, "failed": 3, "skipped": 0}


async def test_doctests_are_tests_of_the_file_that_they_are_in(mend, repo):
    code = """\
        def double(n):
            \"\"\"Twice as much.

            >>> double(2), double(3)
            (4, 6)
            \"\"\"
            return n + 2
    """
    top = repo({"pkg/__init__.py": code, "pytest.ini": "[pytest]\naddopts = --doctest-modules\n"})
    suite, _, found = await mend(top)
    assert suite["failing"] == ["pkg/__init__.py::pkg.double"]
    assert "+    return n * 2" in found["verified"]["diff"]


async def test_a_fault_that_raises_at_import(mend, repo):
    code = "TABLE = [1, 2, 3]\nLAST = TABLE[3]\n\ndef last():\n    return LAST\n"
    tests = "from last import last\n\ndef test_last(): assert last() == 3\n"
    suite, _, found = await mend(repo({"last.py": code, "test_last.py": tests}))
    assert suite["failing"] == ["test_last.py"]
    assert (found["verified"]["line"], found["verified"]["tests_after"]["passed"]) == (2, 1)


async def test_a_long_suite_is_localised_alike(backend, repo, python, monkeypatch):
    """Probes on the lines that the failing tests ran, instead of tracing everything."""
    request = {"repo": str(repo(COUNTING)), "python": python}
    suite = await jobs.run_suite(backend, request)
    traced = await jobs.locate(backend, request, suite)
    monkeypatch.setattr(runs, "LONG_SUITE", 0.0)
    probed = await jobs.locate(backend, request, suite)
    assert probed["suspects"] == traced["suspects"]
    assert probed["groups"] == traced["groups"]


async def test_a_repository_that_changes_meanwhile_is_noticed(backend, repo, python):
    top = repo(COUNTING)
    request = {"repo": str(top), "python": python}
    suite = await jobs.run_suite(backend, request)
    (top / "src/counting/core.py").write_text("def upto(n): return []\n")
    with pytest.raises(Failure) as caught:
        await jobs.locate(backend, request, suite)
    assert caught.value.code == "repository_changed"


async def test_the_change_is_written_once_and_only_over_what_was_verified(repo, backend):
    top = repo(COUNTING)
    target = top / "src/counting/core.py"
    before = target.read_bytes()
    start, after = before.index(b"< n"), before.replace(b"< n", b"<= n")
    digests = {"before": sha256(before).hexdigest(), "after": sha256(after).hexdigest()}
    change = {"file": "src/counting/core.py", "start": start, "end": start + 1, "text": "<=", **digests}
    jobs.apply_change(backend, str(top), change)
    assert target.read_bytes() == after
    jobs.apply_change(backend, str(top), change)
    assert target.read_bytes() == after
    target.write_bytes(b"# something else\n" + before)
    with pytest.raises(Failure):
        jobs.apply_change(backend, str(top), change)


SHOP = {
    "shop/__init__.py": "",
    "shop/stock.py": """\
        class Stock:
            def __init__(self):
                self.items = []

            def put(self, item):
                self.items.append(item)

            def drain(self):
                count = 0
                while self.items:
                    count += 1
                return count
        """,
    "shop/price.py": """\
        def net(price, count):
            return price + count

        def tax(amount):
            return amount * 19 // 100
        """,
    "shop/till.py": """\
        from shop.price import net, tax

        def total(lines):
            return sum(net(p, c) + tax(net(p, c)) for p, c in lines)
        """,
    "tests/test_shop.py": """\
        import pytest
        from shop.price import tax
        from shop.stock import Stock
        from shop.till import total

        @pytest.fixture
        def stock():
            return Stock()

        def test_drain(stock):
            stock.put(1)
            stock.put(2)
            assert stock.drain() == 2
            assert stock.items == []
        def test_nothing(stock): assert stock.drain() == 0
        @pytest.mark.parametrize("lines, want", [([(100, 3)], 357), ([], 0), ([(100, 1), (200, 2)], 595)])
        def test_total(lines, want): assert total(lines) == want
        def test_tax(): assert tax(200) == 38
        """,
}


async def test_two_faults_in_two_files_one_of_them_endless(mend, repo):
    top = repo(SHOP)
    suite, located, found = await mend(top, changes=4, seconds=600.0, test_timeout=0.5)
    assert (suite["failed"], located["whole"], located["hanging"]) == (3, False, 1)
    verified = found["verified"]
    assert [edit["file"] for edit in verified["edits"]] == ["shop/price.py", "shop/stock.py"]
    assert "+    return price * count" in verified["diff"]
    assert "self.items.pop" in verified["diff"]
    assert verified["tests_after"] == {"passed": 6, "failed": 0, "skipped": 0}
    for change in verified["changes"]:
        jobs.apply_change(None, str(top), change)
    assert "price * count" in (top / "shop/price.py").read_text()
    assert "self.items.pop" in (top / "shop/stock.py").read_text()


async def test_two_faults_give_the_same_diff_however_many_are_judged_at_a_time(mend, repo):
    code = "def add(a, b):\n    return a - b\n\ndef mul(a, b):\n    return a / b\n\ndef poly(x):\n    return add(mul(x, x), 1)\n"
    tests = """\
        from calc import add, mul, poly

        def test_add(): assert add(2, 3) == 5
        def test_mul(): assert mul(3, 3) == 9
        def test_poly(): assert poly(3) == 10
        def test_zero(): assert add(0, 0) == 0
    """
    top = repo({"calc.py": code, "test_calc.py": tests})
    _, _, found = await mend(top, changes=4, seconds=600.0, workers=1)
    _, _, other = await mend(top, changes=4, seconds=600.0, workers=3)
    assert (found["tried"], found["verified"]["diff"]) == (other["tried"], other["verified"]["diff"])
    assert "+    return a + b" in found["verified"]["diff"]
    assert "+    return a * b" in found["verified"]["diff"]


async def test_a_part_of_the_failing_tests_is_repaired(mend, repo):
    code = "def inc(x):\n    return x - 1\n\ndef far(x):\n    return x\n"
    tests = """\
        from p import far, inc

        def test_inc(): assert inc(1) == 2
        def test_more(): assert inc(5) == 6
        def test_far(): assert far(3) == 'a long way off'
        def test_same(): assert far(1) == 1
    """
    _, _, found = await mend(repo({"p.py": code, "test_p.py": tests}), changes=3)
    assert (found["verified"], found["reason"]) == (None, "exhausted")
    assert found["part"]["remaining"] == ["test_p.py::test_far"]
    assert "+    return x + 1" in found["part"]["diff"]
