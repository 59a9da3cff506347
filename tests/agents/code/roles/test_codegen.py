"""One file, created or changed: by content that is given, by a model that is corrected, never outside the repository."""

import pytest

from clew.agents.code.roles import codegen
from clew.core.errors import Failure

FILES = {
    "src/sums.py": "def total(values):\n    return sum(values) + 1\n\n\ndef one():\n    return 1\n",
    "data.json": "{}\n",
}
MODIFY = {"action": "modify", "target": "src/sums.py"}


@pytest.fixture
def write(repo, seat, python):
    async def perform(*answers, files=FILES, **payload):
        place = seat(*answers)
        perform.body = place.body
        payload = {"repo": str(repo(files)), "python": python, **({"model": "coder"} if answers else {}), **payload}
        return await codegen.work(payload, place)

    return perform


async def test_content_that_is_given(write, repo):
    told = await write(**MODIFY, content="def total(values):\n    return sum(values)\n\n\ndef one():\n    return 1\n")
    assert told["method"] == "offline"
    assert told["delta"]["diff"] == (
        "--- a/src/sums.py\n+++ b/src/sums.py\n@@ -1,5 +1,5 @@\n def total(values):\n"
        "-    return sum(values) + 1\n+    return sum(values)\n \n \n def one():\n"
    )
    assert told["delta"]["doc"]["path"] == "src/sums.py"
    assert told["delta"]["doc"]["content"] == told["changes"]["src/sums.py"]
    assert told["syntax"]["checked"] == ["src/sums.py"]
    assert told["syntax"]["by"].startswith("Python 3.")
    assert "+ 1" in (repo({}) / "src/sums.py").read_text()


async def test_a_new_file(write):
    told = await write(
        action="create", target="src/new/thing.py", content="X = 1\n", changes={"src/other.py": "Y = 2\n"}
    )
    assert told["delta"]["diff"] == "--- /dev/null\n+++ b/src/new/thing.py\n@@ -0,0 +1 @@\n+X = 1\n"
    assert told["changes"] == {"src/other.py": "Y = 2\n", "src/new/thing.py": "X = 1\n"}
    assert told["delta"]["doc"]["metadata"]["created"]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"action": "create", "target": "src/sums.py", "content": ""}, "exists"),
        ({"action": "modify", "target": "src/none.py", "content": ""}, "not_found"),
        ({**MODIFY, "content": "def total(:\n"}, "invalid_code"),
        ({**MODIFY, "content": FILES["src/sums.py"]}, "no_change"),
        ({"action": "modify", "target": "data.json", "content": "{"}, "invalid_code"),
        ({**MODIFY, "instructions": "make it faster"}, "offline_cannot"),
        ({**MODIFY, "target": "../sums.py"}, "outside_root"),
        ({**MODIFY, "target": "/etc/passwd"}, "outside_root"),
        ({**MODIFY, "target": "src\0.py"}, "outside_root"),
        ({**MODIFY, "target": "."}, "outside_root"),
        ({"action": "create", "target": ".git/hooks/pre-commit", "content": "x"}, "forbidden_path"),
        ({"action": "modify", "target": "src", "content": "x"}, "not_a_file"),
        ({"action": "remove", "target": "src/sums.py"}, "invalid_payload"),
    ],
)
async def test_what_is_refused(write, payload, code):
    with pytest.raises(Failure) as failed:
        await write(**payload)
    assert failed.value.code == code


async def test_links_lead_nowhere(write, repo, tmp_path):
    top = repo(FILES)
    (tmp_path / "secret.py").write_text("KEY = 1\n")
    (top / "link.py").symlink_to(tmp_path / "secret.py")
    (top / "folder").symlink_to(tmp_path)
    for target in ("link.py", "folder/secret.py"):
        with pytest.raises(Failure) as failed:
            await write(action="modify", target=target, content="X = 1\n")
        assert failed.value.code in ("not_a_file", "not_found")


async def test_a_file_that_is_no_text(write, repo):
    (repo(FILES) / "binary.py").write_bytes(b"\xff\xfe")
    with pytest.raises(Failure) as failed:
        await write(action="modify", target="binary.py", content="")
    assert failed.value.code == "binary_file"


async def test_a_model_that_is_right(write):
    edits = [{"old": "sum(values) + 1", "new": "sum(values)"}]
    told = await write(
        {"summary": "no one too many", "edits": edits}, **MODIFY, instructions="sum", material={"Tests": "E 3 != 2"}
    )
    assert (told["method"], told["delta"]["summary"]) == ("model", "no one too many")
    assert told["changes"]["src/sums.py"].startswith("def total(values):\n    return sum(values)\n")
    (messages,) = write.body.asked
    assert messages[0]["role"] == "system"
    for part in ("## Task\nsum", "sum(values) + 1", "## Tests\nE 3 != 2", "src/sums.py"):
        assert part in messages[1]["content"]


async def test_a_model_that_is_corrected(write):
    told = await write(
        {"summary": "", "edits": [{"old": "not there", "new": ""}]},
        {"summary": "", "edits": [{"old": "sum(values) + 1", "new": "sum(values"}]},
        {"summary": "right", "content": "def total(values):\n    return sum(values)\n"},
        **MODIFY,
        instructions="sum",
    )
    assert told["delta"]["summary"] == "right"
    first, second, third = write.body.asked
    assert len(first) + 2 == len(second) == len(third) - 2
    assert "does not occur" in second[-1]["content"]
    assert "never closed" in third[-1]["content"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"summary": "", "edits": [{"old": "1", "new": "2"}]}, "misfit"),
        ({"summary": "", "edits": []}, "misfit"),
        ({"summary": "", "content": "x", "edits": [{"old": "1", "new": "2"}]}, "misfit"),
        ({"summary": "", "edits": [{"old": "one", "new": "one"}]}, "no_change"),
        ({"summary": "", "content": "def"}, "invalid_code"),
    ],
)
async def test_a_model_that_never_is(write, answer, code):
    with pytest.raises(Failure) as failed:
        await write(answer, answer, answer, **MODIFY, instructions="sum")
    assert failed.value.code == code


async def test_a_model_that_fails(write):
    with pytest.raises(Failure) as failed:
        await write(Failure("it declined", code="refused"), **MODIFY, instructions="sum")
    assert failed.value.code == "refused"
