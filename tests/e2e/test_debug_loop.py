"""examples/debug-loop: offline, with a model that is wrong first, and never outside its rounds."""

from pathlib import Path

import pytest

from clew.service.engine import open_project
from clew.testing import ScriptedModel

EXAMPLE = Path(__file__).parents[2] / "examples" / "debug-loop"
pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

WRONG = "def total(values):\n    return sum(values[1:])\n"
RIGHT = "def total(values):\n    return sum(values)\n"
TESTS = """\
from sums import total


def test_total():
    assert total([1, 2]) == 3


def test_none():
    assert total([]) == 0
"""
CAUSE = {"diagnosis": "the first value is left out", "target": "sums.py", "instructions": "sum all values"}


def edit(old, new):
    return {"summary": f"{old} becomes {new}", "edits": [{"old": old, "new": new}]}


@pytest.fixture
def repo(tmp_path):
    top = tmp_path / "repo"
    top.mkdir()
    (top / "sums.py").write_text(WRONG)
    (top / "test_sums.py").write_text(TESTS)
    return top


async def run(given, models=None):
    async with open_project(EXAMPLE, ":memory:", models=models) as engine:
        result = await engine.run(given)
        assert (await engine.replay(result.run_id, handlers=True)).verdict == "identical"
        return result, len(await engine.runs())


async def test_offline(repo):
    result, runs = await run({"repo": str(repo), "apply": True})
    assert (result.status, runs) == ("success", 2), result.error
    assert result.output["applied"]
    assert "values[1:]" not in (repo / "sums.py").read_text()
    assert [one["method"] for one in result.output["rounds"]] == ["offline"]


async def test_wrong_then_right(repo):
    model = ScriptedModel(
        CAUSE, edit("values[1:]", "values[:1]"), {**CAUSE, "diagnosis": "and the last"}, edit("[:1]", "")
    )
    result, runs = await run({"repo": str(repo), "model": "coder"}, model)
    assert (result.status, runs) == ("success", 3), result.error
    first, second = result.output["rounds"]
    assert (first["ok"], second["ok"]) == (False, True)
    assert "-    return sum(values[1:])\n+    return sum(values)\n" in result.output["diff"]
    assert not result.output["applied"]
    assert (repo / "sums.py").read_text() == WRONG
    asked = [request.messages[-1].parts[0].content for request in model.seen]
    assert "values[1:]" in asked[0]
    assert "Tried before, and not enough" in asked[2]
    assert "sum(values[:1])" in asked[3]


async def test_never_right(repo):
    answers = [
        answer
        for number in range(3)
        for answer in (CAUSE, {"summary": "", "content": f"def total(values):\n    return {number + 40}\n"})
    ]
    result, runs = await run({"repo": str(repo), "model": "coder"}, ScriptedModel(*answers))
    assert (result.status, runs) == ("failure", 4)
    assert "not fixed in 3 rounds" in str(result.error) + str(result.output)


async def test_nothing_to_fix(repo):
    (repo / "sums.py").write_text(RIGHT)
    result, runs = await run({"repo": str(repo)})
    assert (result.status, result.output["message"], runs) == ("success", "no test fails", 1)
