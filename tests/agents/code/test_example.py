"""examples/fix-failing-test, its bodies driven by hand in the real sandbox."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clew.sandbox.default import default

EXAMPLE = Path(__file__).parents[3] / "examples" / "fix-failing-test"
pytestmark = [pytest.mark.sandbox, pytest.mark.slow]


class Journal:
    """Stands in for ``ctx``: records what effects return, and answers from the record when entered again."""

    def __init__(self, record=None, stop_after=None):
        self.record = record if record is not None else []
        self.performed = []
        self.stop_after = stop_after
        self._at = 0

    async def effect(self, name, fn, *args, repeat_safe=False):
        assert repeat_safe
        key = [name, json.loads(json.dumps(args))]
        if self._at < len(self.record):
            recorded, value = self.record[self._at]
            assert recorded == key
        else:
            if self.stop_after == len(self.performed):
                raise KeyboardInterrupt
            value = fn(*args)
            if hasattr(value, "__await__"):
                value = await value
            value = json.loads(json.dumps(value))
            self.performed.append(name)
            self.record.append((key, value))
        self._at += 1
        return value


@pytest.fixture(scope="module")
def handlers():
    spec = importlib.util.spec_from_file_location("example_handlers", EXAMPLE / "handlers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not default().probe().usable:
        pytest.skip("no sandbox on this machine")
    return module


@pytest.fixture
def demo(tmp_path):
    return Path(shutil.copytree(EXAMPLE / "demo", tmp_path / "demo", ignore=shutil.ignore_patterns("__pycache__")))


async def walk(handlers, given, journal):
    """The workflow's way, without the engine."""
    state = handlers.read_request(given, journal)
    state = handlers.anything_failing(await handlers.run_tests(state, journal), journal)
    if state["route"] == "nothing":
        return state
    state = await handlers.localise(state, journal)
    state = await handlers.verify(await handlers.search_repair(state, journal), journal)
    return await handlers.deliver(state, journal) if state["route"] == "fixed" else state


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_the_demo_is_repaired_over_a_crash_and_the_users_tree_left_alone(handlers, demo):
    """Cut off after the first batch, the run goes on with the next, or with what followed from it."""
    before = tree(demo)
    given = {"repo": str(demo), "python": sys.executable}
    first = Journal(stop_after=3)
    with pytest.raises(KeyboardInterrupt):
        await walk(handlers, given, first)
    assert first.performed == ["run_suite", "locate", "evaluate"]
    second = Journal(first.record)
    result = await walk(handlers, given, second)
    assert not {"run_suite", "locate"} & set(second.performed)
    assert second.performed[-1] == "confirm"
    assert result["tests_before"] == {"passed": 52, "failed": 6, "skipped": 0}
    assert result["tests_after"] == {"passed": 58, "failed": 0, "skipped": 0}
    assert (result["file"], result["applied"]) == ("src/slots/recurrence.py", False)
    assert tree(demo) == before
    subprocess.run(["patch", "-p1", "-s"], input=result["diff"].encode(), cwd=demo, check=True)
    assert [name for name, data in tree(demo).items() if before.get(name) != data] == ["src/slots/recurrence.py"]


@pytest.fixture
def small(repo):
    """One wrong comparison; odd names."""
    code = "def clamp(x, low, high):\n    if x < low:\n        return low\n    return high if x < high else x\n"
    tests = "from wörter import clamp\n\ndef test_high(): assert clamp(9, 0, 5) == 5\ndef test_low(): assert clamp(-1, 0, 5) == 0\n"
    top = repo({"wörter.py": code, "test_größe.py": tests, "notes to self.txt": "kept"})
    return top.rename(top.with_name("mein Ordner – ü"))


async def test_applied_on_request_and_then_nothing_is_left_to_fix(handlers, small):
    before = tree(small)
    given = {"repo": str(small), "python": sys.executable, "apply": True}
    result = await walk(handlers, given, Journal())
    assert result["applied"]
    assert [name for name, data in tree(small).items() if before.get(name) != data] == ["wörter.py"]
    again = await walk(handlers, given, Journal())
    assert (again["route"], again["tests_before"]["failed"]) == ("nothing", 0)


async def test_what_cannot_be_repaired_is_told(handlers, small):
    given = {"repo": str(small), "python": sys.executable, "max_tries": 1}
    (small / "wörter.py").write_text("def clamp(x, low, high):\n    wrong = low - high\n    return wrong / 0\n")
    result = await walk(handlers, given, Journal())
    assert result["route"] == "not_repaired"
    assert (result["reason"], result["tried"]) == ("tries", 1)
    assert result["suspects"][0] == {"file": "wörter.py", "line": 3, "score": 1.0}
    assert "limit of tries" in result["message"]
    assert "ZeroDivisionError" in result["messages"]["test_größe.py::test_high"]


async def test_no_failing_test_that_could_judge(handlers, small):
    (small / "test_größe.py").write_text("import nothing_of_this_name\n")
    (small / "test_b.py").write_text("def test_good(): pass\n")
    result = await walk(handlers, {"repo": str(small), "python": sys.executable}, Journal())
    assert (result["route"], result["reason"]) == ("not_repaired", "no_target")
    assert "no module nothing_of_this_name" in result["message"]


def test_the_demo_gives_no_hints():
    for path in (EXAMPLE / "demo").rglob("*.py"):
        words = path.read_text().lower()
        assert not any(word in words for word in ("bug", "fixme", "wrong", "faulty", "broken", "mutant"))
