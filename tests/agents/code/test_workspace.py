import sys

import pytest

from clew.agents.code import workspace
from clew.agents.code.interpreter import Interpreter
from clew.agents.code.workspace import Task
from clew.core.errors import Failure, UsageError

PYTHON = Interpreter(sys.executable, "3.11.0", (), (".",))


def test_python_files_leave_out_links_and_foreign_folders(repo):
    top = repo({"b.py": "", "a/c.py": "", ".venv/x.py": "", "node_modules/y.py": "", "z.txt": ""})
    (top / "link.py").symlink_to(top / "b.py")
    assert [name for name, _ in workspace.python_files(top)] == ["b.py", "a/c.py"]


def test_the_digest_sees_names_and_contents(repo):
    top = repo({"a.py": "x = 1\n"})
    first = workspace.digest(top)
    (top / "notes.txt").write_text("not code")
    assert workspace.digest(top) == first
    (top / "a.py").write_text("x = 2\n")
    second = workspace.digest(top)
    (top / "a.py").rename(top / "b.py")
    assert len({first, second, workspace.digest(top)}) == 3


def test_a_missing_repository_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    for name, words in (("missing", "no such folder"), ("file", "not a folder")):
        with pytest.raises(Failure, match=words):
            workspace.repository(str(tmp_path / name))


@pytest.mark.parametrize("name", ["../outside.py", "missing.py", "link.py", "folder"])
def test_files_outside_are_refused(repo, tmp_path, name):
    top = repo({"a.py": "", "folder/b.py": ""})
    (tmp_path / "outside.py").write_text("")
    (top / "link.py").symlink_to(tmp_path / "outside.py")
    with pytest.raises(UsageError):
        workspace.inside(top, name)


def test_replace_keeps_permissions_and_leaves_nothing_behind(repo):
    top = repo({"a.py": "x"})
    (top / "a.py").chmod(0o755)
    workspace.replace(top / "a.py", b"y")
    assert (top / "a.py").read_bytes() == b"y"
    assert (top / "a.py").stat().st_mode & 0o777 == 0o755
    assert [path.name for path in top.iterdir()] == ["a.py"]


def test_test_files_are_no_sources(repo):
    top = repo({"pkg/a.py": "1", "tests/helper.py": "2", "pkg/inline.py": "3"})
    names = frozenset(["pkg/a.py", "tests/helper.py", "pkg/inline.py"])
    assert workspace.sources(top, names, frozenset(["pkg/inline.py"])) == {"pkg/a.py": b"1"}


async def test_a_runner_that_ends_without_an_answer_is_told(backend, repo):
    with pytest.raises(Failure) as caught:
        await workspace.run(backend, repo({"a.py": ""}), PYTHON, Task("no_such_task", {}, 10))
    assert caught.value.code == "runner"
    assert "no_such_task" in str(caught.value)


def test_the_suite_inherits_nothing(monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "hush")
    assert "SECRET_KEY" not in workspace.environment()
