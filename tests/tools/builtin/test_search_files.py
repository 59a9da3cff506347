import pytest

from clew.tools.builtin import search_files


@pytest.fixture
def sources(root):
    (root / "src").mkdir()
    (root / "src" / "a.py").write_text("def one():\n    return 1\n")
    (root / "src" / "b.txt").write_text("One more\r\n")
    (root / "bin").write_bytes(b"one\0")
    (root / ".git").mkdir()
    (root / ".git" / "x").write_text("one")
    (root / "link").symlink_to("../secret")


def found(result):
    return [(match["path"], match["line"], match["text"]) for match in result["matches"]]


async def test_text(sources, use):
    assert found(await use("search_files", query="one")) == [("src/a.py", 1, "def one():")]
    both = await use("search_files", query="ONE", ignore_case=True)
    assert found(both) == [("src/a.py", 1, "def one():"), ("src/b.txt", 1, "One more")]
    assert (both["files_searched"], both["files_skipped"]) == (2, 1)
    assert found(await use("search_files", query="secret")) == []


async def test_regular_expression(sources, use):
    assert found(await use("search_files", query=r"^\s+return \d$", regex=True)) == [("src/a.py", 2, "    return 1")]
    assert found(await use("search_files", query="one", regex=True, ignore_case=True, pattern="*.txt")) == [
        ("src/b.txt", 1, "One more")
    ]
    assert found(await use("search_files", query="x{1000}", regex=True)) == []


async def test_limits(root, use):
    (root / "a").write_text("x" * 1000 + "\n" + "x\n" * 5000)
    for regex in (False, True):
        result = await use("search_files", query="x", limit=3, regex=regex)
        assert len(result["matches"]) == 3
        assert result["truncated"]
        assert len(result["matches"][0]["text"]) == 400


async def test_hostile_expression_is_stopped(root, refused, monkeypatch):
    monkeypatch.setattr(search_files, "_TIME_S", 0.5)
    (root / "a").write_text("a" * 50 + "b\n")
    assert await refused("search_files", query="(a+)+$", regex=True) == "search_timeout"


@pytest.mark.parametrize("query", ["(", "a{99999999999}", "(?P<x>a)(?P<x>b)", "*"])
async def test_bad_expression(query, root, refused):
    (root / "a").write_text("a\n")
    assert await refused("search_files", query=query, regex=True) == "invalid_regex"


async def test_refuses(root, refused):
    for regex in (False, True):
        assert await refused("search_files", query="x", path="..", regex=regex) == "outside_root"
        assert await refused("search_files", query="x", path="nope", regex=regex) == "not_found"
