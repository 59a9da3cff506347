"""Better form, the same behaviour: by rules, by a model that is held to the tests, and never at the cost of others."""

import pytest

from clew.agents.code.roles import refactor
from clew.core.errors import Failure
from clew.sandbox.default import default

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]
LOOP = "    found = 0\n    for v in values:\n        found += v\n    return found\n"
TESTS = (
    "from sums import total\n\n\ndef test_total():\n    assert total([1, 2]) == 3\n\n\ndef test_bad():\n    assert 0\n"
)
FILES = {"sums.py": f"import os\nimport sys\n\n\ndef total(values):\n{LOOP}", "test_sums.py": TESTS}


@pytest.fixture
def backend():
    return default()


@pytest.fixture
def improve(repo, seat, python):
    async def perform(*answers, files=FILES, **payload):
        place = seat(*answers)
        perform.body = place.body
        payload = {"repo": str(repo(files)), "python": python, **({"model": "coder"} if answers else {}), **payload}
        return await refactor.work({"target": "sums.py", **payload}, place)

    return perform


async def test_by_rules(improve):
    told = await improve()
    assert told["method"] == "offline"
    assert told["changes"]["sums.py"].lstrip().startswith("def total")
    assert "-import os\n-import sys\n" in told["delta"]["diff"]
    assert told["tests"] == {"before": {"failed": 1, "passed": 1}, "after": {"failed": 1, "passed": 1}}


async def test_what_others_use_stays(improve):
    with pytest.raises(Failure, match="os") as failed:
        await improve(files={**FILES, "other.py": "from sums import os\n"})
    assert failed.value.code == "names_lost"


async def test_nothing_to_do(improve):
    told = await improve(files={**FILES, "sums.py": "def total(values):\n    return sum(values)\n"})
    assert (told["delta"], told["changes"]) == (None, {})


async def test_nothing_to_judge_by(improve):
    with pytest.raises(Failure) as failed:
        await improve(files={"sums.py": "import os\n", "test_sums.py": "def test():\n    assert 0\n"})
    assert failed.value.code == "no_tests"


async def test_a_model_that_breaks_it_first(improve):
    told = await improve(
        [("search_files", {"query": "sums", "pattern": "*.py"})],
        {"summary": "shorter", "edits": [{"old": LOOP, "new": "    return len(values) + 5\n"}]},
        {"summary": "shorter", "edits": [{"old": LOOP, "new": "    return sum(values)\n"}]},
    )
    assert told["method"] == "model"
    assert "return sum(values)" in told["changes"]["sums.py"]
    assert "tests that passed do not any more: test_sums.py::test_total" in improve.body.asked[2][-1]["content"]
