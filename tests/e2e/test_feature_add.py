"""examples/feature-add on another example's package: offline where a search can do it, refused where not, with a model."""

import shutil
from pathlib import Path

import iniconfig
import pytest

from clew.service.engine import open_project
from clew.testing import ScriptedModel

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

CLAMP = '''\
Add this to the intervals:

```python
def clamp(value: int, low: int, high: int) -> int:
    """The value, brought into its bounds.

    >>> clamp(5, 0, 10)
    5
    >>> clamp(-5, 0, 10)
    0
    >>> clamp(50, 0, 10)
    10
    """
```
'''


@pytest.fixture
def repo(tmp_path):
    """The demo package of fix-failing-test, whose failing tests are not this workflow's matter."""
    top = tmp_path / "slots"
    shutil.copytree(
        EXAMPLES / "fix-failing-test" / "demo", top, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache")
    )
    return top


async def run(given, models=None):
    async with open_project(EXAMPLES / "feature-add", ":memory:", models=models) as engine:
        result = await engine.run({"target": "src/slots/intervals.py", **given})
        assert (await engine.replay(result.run_id, handlers=True)).verdict == "identical"
        return result, len(await engine.runs())


async def test_offline(repo):
    result, runs = await run({"repo": str(repo), "instructions": CLAMP, "apply": True})
    assert (result.status, runs) == ("success", 2), (result.error, result.output)
    (only,) = result.output["rounds"]
    assert only["methods"] == {"CodeGen": "offline", "TestGen": "offline"}
    text = (repo / "src/slots/intervals.py").read_text()
    assert "    >>> clamp(-5, 0, 10)\n    0\n" in text
    assert "return min(high, max(low, value))" in text
    tests = (repo / "tests/test_intervals_clamp_generated.py").read_text()
    assert "assert clamp(50, 0, 10) == 10" in tests
    assert result.output["tests_after"]["passed"] > result.output["tests_before"]["passed"]
    assert result.output["tests_after"]["failed"] == result.output["tests_before"]["failed"]


async def test_offline_on_a_package_of_others(tmp_path):
    package = Path(iniconfig.__file__).parent
    shutil.copytree(package, tmp_path / "src" / "iniconfig", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tests").mkdir()
    test = 'from iniconfig import IniConfig\n\n\ndef test():\n    assert IniConfig("x", data="[a]\\nb=1")["a"]["b"] == "1"\n'
    (tmp_path / "tests" / "test_iniconfig.py").write_text(test)
    examples = ">>> width('  ab ')\n    2\n    >>> width('')\n    0\n    >>> width('a b')\n    3\n"
    stub = f'def width(line: str) -> int:\n    """Without white space around.\n\n    {examples}    """\n'
    result, _ = await run({"repo": str(tmp_path), "target": "src/iniconfig/_parse.py", "instructions": stub})
    assert result.status == "success", (result.error, result.output)
    assert "+    return len(line.strip())\n" in result.output["diff"]
    assert "+++ b/tests/test_parse_width_generated.py" in result.output["diff"]
    assert result.output["tests_before"] == {"passed": 1}
    assert set(result.output["tests_after"]) == {"passed"}
    assert (tmp_path / "src/iniconfig/_parse.py").read_bytes() == (package / "_parse.py").read_bytes()


@pytest.mark.parametrize(
    "instructions",
    ["Make it cope with time zones.", "def gcd(a, b):\n    '''Of both.\n\n    >>> gcd(4, 6)\n    2\n    '''"],
)
async def test_what_needs_a_model(repo, instructions):
    result, _ = await run({"repo": str(repo), "instructions": instructions})
    assert (result.status, result.error["code"]) == ("failure", "child_failed")
    assert "without a model" in str(result.error)


async def test_with_a_model(repo):
    wrong = "\n\ndef overlap(a: int, b: int) -> int:\n    return a - b - nothing\n"
    cause = {"diagnosis": "a name that is nowhere", "target": "src/slots/intervals.py", "instructions": "drop it"}
    text = (repo / "src/slots/intervals.py").read_text()
    tests = "from slots.intervals import overlap\n\n\ndef test_overlap():\n    assert overlap(3, 1) == 2\n"
    model = ScriptedModel(
        ScriptedModel.call("search_files", query="def ", pattern="*.py"),
        {"summary": "an overlap", "content": text + wrong},
        *[{"content": tests, "summary": "tests"}] * 3,
        cause,
        {"summary": "right", "edits": [{"old": " - nothing", "new": ""}]},
        {"content": tests, "summary": "tests"},
    )
    result, runs = await run({"repo": str(repo), "instructions": "add overlap", "model": "coder"}, model)
    assert (result.status, runs) == ("success", 3), (result.error, result.output)
    first, second = result.output["rounds"]
    assert (first["ok"], second["ok"]) == (False, True)
    assert "nothing" in first["findings"][0]["message"]
    assert "+def overlap(a: int, b: int) -> int:\n+    return a - b\n" in result.output["diff"]
    assert "+++ b/tests/test_intervals_overlap_generated.py" in result.output["diff"]
    assert (repo / "src/slots/intervals.py").read_text() == text
