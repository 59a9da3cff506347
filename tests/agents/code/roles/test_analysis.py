"""Mistakes found and mended on a copy."""

import pytest

from clew.agents.code.roles import analysis
from clew.core.errors import Failure
from clew.sandbox.default import default

pytestmark = pytest.mark.sandbox
FILES = {"src/a.py": "import os\n\n\ndef f():\n    return undefined_name\n", "src/b.py": "X = 1\n"}


@pytest.fixture
def backend():
    return default()


async def test_findings(repo, seat):
    found = await analysis.work({"repo": str(repo(FILES)), "target": "src"}, seat())
    assert (found["kind"], found["target"], found["severity"], found["method"]) == (
        "analysis",
        "src",
        "error",
        "offline",
    )
    assert {one["location"].rpartition(":")[0] for one in found["findings"]} >= {"src/a.py:1", "src/a.py:5"}
    assert len(found["suggestions"]) <= 10
    assert found["changes"] == {}
    assert "delta" not in found


async def test_changes_are_looked_at(repo, seat):
    payload = {"repo": str(repo(FILES)), "target": "src/b.py", "changes": {"src/b.py": "X = nothing\n"}}
    found = await analysis.work(payload, seat())
    assert found["severity"] == "error"


async def test_what_can_be_mended_is(repo, seat):
    top = repo(FILES)
    found = await analysis.work({"repo": str(top), "target": "src/a.py", "fix": True}, seat())
    assert found["engine"] == "ruff"
    assert found["changes"]["src/a.py"].startswith("def f()") or "import os" not in found["changes"]["src/a.py"]
    assert "-import os" in found["delta"]["diff"]
    assert (top / "src/a.py").read_text() == FILES["src/a.py"]


@pytest.mark.parametrize("target", ["../x", "/etc", ".git/config"])
async def test_outside(repo, seat, target):
    with pytest.raises(Failure):
        await analysis.work({"repo": str(repo(FILES)), "target": target}, seat())
