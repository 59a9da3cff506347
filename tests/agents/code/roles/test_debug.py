"""From failing tests to a cause and a patch: by search, over changes, with a model; and what the code retrieved is."""

import pytest

from clew.agents.code.roles import debug
from clew.core.errors import Failure

FILES = {
    "src/sums.py": "def total(values):\n    found = 0\n    for value in values[1:]:\n        found += value\n    return found\n",
    "tests/test_sums.py": "from sums import total\n\n\ndef test_total():\n    assert total([1, 2]) == 3\n",
}
RIGHT = FILES["src/sums.py"].replace("values[1:]", "values")


@pytest.fixture
def find(repo, seat, python):
    async def perform(*answers, files=FILES, **payload):
        place = seat(*answers)
        perform.body = place.body
        payload = {"repo": str(repo(files)), "python": python, **({"model": "coder"} if answers else {}), **payload}
        return await debug.work(payload, place)

    return perform


@pytest.mark.slow
async def test_a_fault_found_by_search(find):
    told = await find()
    assert (told["method"], told["fixed"], told["reason"]) == ("offline", True, "")
    assert told["tests"]["after"]["passed"] == 1
    assert told["delta"]["diff"].startswith("--- a/src/sums.py")
    assert told["diagnosis"]["target"] == "src/sums.py"
    assert told["diagnosis"]["suspects"]
    assert [one["path"] for one in told["retrieved"]] == ["src/sums.py", "tests/test_sums.py"]
    assert find.body.did[:5] == ["execute", "retrieve", "run_suite", "locate", "evaluate"]


async def test_a_repair_of_two_files(find, monkeypatch):
    """As the search gives it: an edit each, in bytes of the file as it was."""
    files = {**FILES, "src/units.py": "# Einheit: \u00e4\ndef one():\n    return 2\n"}

    def change(file, old, new):
        start = files[file].encode().index(old.encode())
        return {
            "file": file,
            "start": start,
            "end": start + len(old.encode()),
            "text": new,
            "line": 3,
            "operator": "constant",
        }

    edits = [change("src/sums.py", "values[1:]", "values"), change("src/units.py", "2", "1")]
    verified = {"changes": edits, "edits": edits, "file": "src/sums.py"}

    async def mended(perform, request, limits):
        return {"verified": verified, "reason": "found", "suspects": [], "tests": {"after": {"passed": 2}}}

    monkeypatch.setattr(debug, "mend", mended)
    told = await find(files=files, errorLog="AssertionError: x", handOn=True)
    assert told["changes"] == {"src/sums.py": RIGHT, "src/units.py": files["src/units.py"].replace("2", "1")}
    assert (told["fixed"], told["delta"]["doc"]) == (True, None)
    assert told["delta"]["diff"].count("\n+++ b/src/") == 2
    assert told["diagnosis"]["summary"].endswith("mended by constant at src/sums.py:3, constant at src/units.py:3")
    assert [one["payload"]["target"] for one in told["newTasks"]] == ["src/sums.py", "src/units.py"]


@pytest.mark.slow
async def test_a_fault_in_changes(find, repo):
    told = await find(files={**FILES, "src/sums.py": RIGHT}, changes={"src/sums.py": FILES["src/sums.py"]})
    assert told["fixed"]
    assert find.body.did == ["execute", "retrieve", "repair", "read"]
    assert (repo({}) / "src/sums.py").read_text() == RIGHT


async def test_nothing_fails(find):
    told = await find(files={**FILES, "src/sums.py": RIGHT})
    assert (told["fixed"], told["reason"], told["delta"]) == (True, "nothing", None)


async def test_a_cause_without_a_patch(find):
    log = 'Traceback:\n  File "/workspace/src/sums.py", line 4, in total\n    found += value\nTypeError: unsupported operand\n'
    told = await find(errorLog=log, patch=False)
    assert told["diagnosis"]["summary"] == "TypeError: unsupported operand, at src/sums.py:4 in total"
    assert told["retrieved"][0]["code"].startswith("def total")
    assert (told["fixed"], told["delta"], told["method"]) == (False, None, "offline")


async def test_a_model_finds_the_cause(find):
    answer = {"diagnosis": "the first is left out", "target": "src/sums.py", "instructions": "start at the first"}
    told = await find(answer, patch=False, handOn=True)
    assert told["method"] == "model"
    (new,) = told["newTasks"]
    assert (new["agent"], new["payload"]["target"], new["payload"]["action"]) == ("CodeGen", "src/sums.py", "modify")
    assert new["payload"]["instructions"] == "start at the first"
    assert "assert 2 == 3" in new["payload"]["material"]["Tests"]
    assert told["diagnosis"]["instructions"] == "start at the first"
    assert "assert 2 == 3" in find.body.asked[0][1]["content"]
    assert "def total" in find.body.asked[0][1]["content"]


async def test_a_model_mends_it(find):
    said = {"diagnosis": "the first is left out", "instructions": "start at the first"}
    edits = [{"old": "values[1:]", "new": "values"}]
    told = await find(
        [("search_files", {"query": "total"}), ("read_file", {"path": "../sums.py"})],
        {**said, "target": "tests/none.py", "edits": edits},
        {**said, "target": "src/sums.py", "edits": edits},
        handOn=True,
    )
    assert told["fixed"]
    assert told["newTasks"] == [
        {"agent": "TestGen", "payload": {**told["newTasks"][0]["payload"], "target": "src/sums.py"}}
    ]
    assert told["newTasks"][0]["payload"]["changes"] == {"src/sums.py": RIGHT}
    assert told["tests"] == {"before": {"failed": 1}, "after": {"passed": 1}}
    assert told["changes"] == {"src/sums.py": RIGHT}
    assert "outside_root" in find.body.asked[1][-1]["content"]
    assert "there is no file tests/none.py" in find.body.asked[2][-1]["content"]


async def test_a_model_that_does_not_mend_it(find):
    edits = [{"old": "values[1:]", "new": "values[:1]"}]
    told = await find({"diagnosis": "?", "target": "src/sums.py", "instructions": "", "edits": edits}, handOn=True)
    assert (told["fixed"], told["reason"], told["newTasks"]) == (False, "tests fail under the patch too", [])
    assert told["delta"]["diff"]


async def test_a_model_that_leaves_the_repository(find):
    answer = {"diagnosis": "?", "target": "../x.py", "instructions": "", "edits": [{"old": "a", "new": "b"}]}
    with pytest.raises(Failure) as failed:
        await find(answer, answer, answer)
    assert failed.value.code == "outside_root"
