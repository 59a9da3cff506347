"""Changes over a repository: read, compared, and written on request, all of them or none."""

import pytest

from clew.agents.code.roles import tree
from clew.agents.code.roles.seat import Payload
from clew.core.errors import Failure

FILES = {"a.py": "A = 1\n", "b/c.py": "C = 1\n"}
CHANGES = {"a.py": "A = 2\n", "new/d.py": "D = 1\n"}


def test_written_once_and_again(repo):
    top = repo(FILES)
    (top / "a.py").chmod(0o755)
    known = tree.state(None, str(top))
    compared = tree.compare(None, str(top), CHANGES, known)
    assert "-A = 1\n+A = 2\n" in compared["diff"]
    assert "--- /dev/null\n+++ b/new/d.py\n" in compared["diff"]
    for _ in range(2):
        assert tree.write(None, str(top), CHANGES, compared["before"]) == {"written": ["a.py", "new/d.py"]}
    assert (top / "a.py").read_text() == "A = 2\n"
    assert (top / "new/d.py").read_text() == "D = 1\n"
    assert (top / "a.py").stat().st_mode & 0o777 == 0o755
    assert sorted(path.name for path in top.iterdir()) == ["a.py", "b", "new"]


def test_a_repository_that_moved_on(repo):
    top = repo(FILES)
    known = tree.state(None, str(top))
    before = tree.compare(None, str(top), CHANGES, known)["before"]
    (top / "a.py").write_text("A = 3\n")
    for attempt in (
        lambda: tree.compare(None, str(top), CHANGES, known),
        lambda: tree.write(None, str(top), CHANGES, before),
    ):
        with pytest.raises(Failure) as failed:
            attempt()
        assert failed.value.code == "repository_changed"
    assert not (top / "new").exists()


def test_links_are_not_written_through(repo, tmp_path):
    top = repo(FILES)
    (tmp_path / "outside").mkdir()
    (top / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(Failure):
        tree.write(None, str(top), {"link/x.py": "X = 1\n"}, {})
    assert not list((tmp_path / "outside").iterdir())


def test_texts(repo):
    top = repo(FILES)
    payload = Payload(repo=str(top), changes={"a.py": "A = 9\n"})
    assert tree.text_of(payload, "./a.py") == "A = 9\n"
    assert tree.text_of(payload, "b/c.py") == "C = 1\n"
    assert tree.text_of(payload, "b/none.py") is None
    assert tree.text_of(payload, "a.py/x.py") is None
    assert tree.python_files(payload) == ["a.py", "b/c.py"]
    (top / "big.txt").write_bytes(b"x" * (tree.LARGEST + 1))
    with pytest.raises(Failure) as failed:
        tree.text_of(payload, "big.txt")
    assert failed.value.code == "too_large"


async def test_a_copy_has_the_changes(repo, python):
    top = repo(FILES)
    async with tree.copied(Payload(repo=str(top), python=python, changes=CHANGES)) as copy:
        assert tree.text_of(copy, "a.py") == "A = 2\n"
        assert tree.text_of(copy, "new/d.py") == "D = 1\n"
        assert copy.changes == {}
        assert copy.python == python
    assert (top / "a.py").read_text() == "A = 1\n"
