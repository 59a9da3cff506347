"""What a model sees of a repository: as it is with the changes, whole lists in order, nothing twice and nothing hidden."""

import pytest

from clew.core.errors import Failure
from clew.gate.schema import Validator
from clew.service.looking import LOOKING, look

FILES = {"src/b.py": "B = 'old'\n", "src/c.py": "C = 'old'\n", "docs/a.md": "old\n", ".env": "old\n"}
CHANGES = {"src/b.py": "B = 'new'\nB2 = 'old'\n", "src/new/d.py": "D = 'old'\n", "docs/.hidden": "old\n"}


@pytest.fixture
def see(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    async def perform(tool, changes=CHANGES, **arguments):
        Validator(LOOKING[tool].inputs).check(arguments, what="arguments")
        found = await look({"repo": str(tmp_path), "changes": changes}, tool, arguments)
        Validator(LOOKING[tool].outputs).check(found, what="output")
        return found

    return perform


def places(found):
    return [(one["path"], one["line"]) for one in found["matches"]]


async def test_files_as_they_are_or_as_they_were_changed(see):
    assert (await see("read_file", path="src/b.py"))["text"] == CHANGES["src/b.py"]
    assert (await see("read_file", path="./src//b.py", changes={}))["text"] == FILES["src/b.py"]
    assert (await see("read_file", path="src/new/d.py"))["total_lines"] == 1
    assert (await see("read_file", path="docs/a.md"))["text"] == "old\n"
    with pytest.raises(Failure) as failed:
        await see("read_file", path="src/none.py")
    assert failed.value.code == "not_found"
    with pytest.raises(Failure) as failed:
        await see("read_file", path="src/new")
    assert failed.value.code == "is_directory"


async def test_lists(see):
    listed = [one["path"] for one in (await see("list_files", all=True))["entries"]]
    assert listed == ["docs", "docs/a.md", "src", "src/b.py", "src/c.py", "src/new", "src/new/d.py"]
    assert [one["path"] for one in (await see("list_files", path="src/new"))["entries"]] == ["src/new/d.py"]
    assert [one["path"] for one in (await see("list_files", path="docs", changes={}))["entries"]] == ["docs/a.md"]
    some = await see("list_files", limit=3)
    assert ([one["path"] for one in some["entries"]], some["truncated"]) == (["docs", "docs/a.md", "src"], True)


@pytest.mark.parametrize("regex", [False, True])
async def test_searches(see, regex):
    found = await see("search_files", query="old", regex=regex)
    assert places(found) == [("docs/a.md", 1), ("src/b.py", 2), ("src/c.py", 1), ("src/new/d.py", 1)]
    assert not found["truncated"]
    some = await see("search_files", query="old", regex=regex, limit=2)
    assert (places(some), some["truncated"]) == ([("docs/a.md", 1), ("src/b.py", 2)], True)
    assert places(await see("search_files", query="old", changes={}, pattern="*.py")) == [
        ("src/b.py", 1),
        ("src/c.py", 1),
    ]


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x"])
@pytest.mark.parametrize("changes", [{}, CHANGES], ids=["as it is", "with changes"])
async def test_nothing_outside(see, path, changes):
    for tool, more in (("read_file", {}), ("list_files", {}), ("search_files", {"query": "x"})):
        with pytest.raises(Failure) as failed:
            await see(tool, path=path, changes=changes, **more)
        assert failed.value.code == "outside_root"


@pytest.mark.parametrize("path", [".env", ".git/config", "docs/.hidden", "src/../.env"])
async def test_nothing_hidden(see, path):
    with pytest.raises(Failure, match="hidden files are not shown") as failed:
        await see("read_file", path=path)
    assert failed.value.code == "forbidden_path"


async def test_changes_that_lead_elsewhere(see, tmp_path):
    with pytest.raises(Failure) as failed:
        await see("list_files", changes={"../x.py": ""})
    assert failed.value.code == "outside_root"
    assert not (tmp_path.parent / "x.py").exists()
