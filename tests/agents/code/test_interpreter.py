import os
import sys
from pathlib import Path

import pytest

from clew.agents.code import interpreter
from clew.core.errors import Failure


def test_the_named_one_then_the_repositorys_then_ours(tmp_path, repo):
    top = repo({"a.py": ""})
    assert interpreter.choose(top, None) == Path(sys.executable)
    own = top / ".venv" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.symlink_to(sys.executable)
    assert interpreter.choose(top, None) == own
    assert interpreter.choose(top, sys.executable) == Path(sys.executable)


def test_what_is_not_executable_is_refused(tmp_path):
    (tmp_path / "python").write_text("")
    for name in ("python", "missing", "."):
        with pytest.raises(Failure, match="not an executable"):
            interpreter.choose(tmp_path, str(tmp_path / name))


async def test_inspect_names_prefixes_and_import_roots(backend, repo):
    top = repo({"src/pkg/__init__.py": "", "tests/test_a.py": ""})
    found = await interpreter.inspect(backend, top, sys.executable)
    assert found.version == ".".join(str(part) for part in sys.version_info[:3])
    assert found.path == ("src", ".")
    assert any(Path(sys.base_prefix).is_relative_to(mount) for mount in found.mounts)
    assert not any(top.is_relative_to(mount) for mount in found.mounts)


async def test_what_is_no_python_is_told(backend, tmp_path):
    with pytest.raises(Failure) as caught:
        await interpreter.inspect(backend, tmp_path, "/bin/true")
    assert caught.value.code == "interpreter"


@pytest.mark.parametrize("folder", ["/", "/etc", "/home", "/home/somebody", "/proc", "/missing-folder"])
def test_places_that_hold_more_than_an_installation_are_never_shown(folder):
    assert not interpreter.mountable(folder)


def test_the_users_home_is_never_shown():
    assert not interpreter.mountable(str(Path.home()))


def test_editable_installations_are_read_as_text(tmp_path):
    packages = tmp_path / "site-packages"
    packages.mkdir()
    (packages / "a.pth").write_text(f"{tmp_path}/one\nimport os; os.abort()\nrelative\n")
    (packages / "__editable___b_finder.py").write_text(
        f"MAPPING: dict = {{'b': '{tmp_path}/two/b'}}\nraise SystemExit\n"
    )
    (packages / "__editable___c_finder.py").write_text("MAPPING = (((\n")
    assert interpreter._linked(packages) == [f"{tmp_path}/one", f"{tmp_path}/two"]
    assert interpreter._linked(tmp_path) == []


def test_import_roots_of_the_repository_are_relative(repo):
    top = repo({"lib/a.py": "", "python/b.py": ""})
    paths = [str(top / "python"), "/usr/lib/python3", str(top / ".venv/lib/python3.11/site-packages")]
    assert interpreter._import_roots(paths, top) == ("python", "lib", ".")


def test_links_are_followed_one_by_one(tmp_path):
    real = tmp_path / "installed" / "bin" / "python3"
    real.parent.mkdir(parents=True)
    real.write_text("")
    middle = tmp_path / "middle" / "bin" / "python"
    middle.parent.mkdir(parents=True)
    middle.symlink_to(os.path.relpath(real, middle.parent))
    first = tmp_path / "venv" / "bin" / "python"
    first.parent.mkdir(parents=True)
    first.symlink_to(middle)
    assert interpreter._prefixes(first) == [str(tmp_path / name) for name in ("venv", "middle", "installed")]


def test_a_path_with_detours_is_the_same_interpreter(tmp_path):
    plain = tmp_path / "bin" / "python"
    (tmp_path / "other").mkdir()
    plain.parent.mkdir()
    plain.write_text("")
    plain.chmod(0o755)
    assert interpreter.choose(tmp_path, str(tmp_path / "other" / ".." / "bin" / "python")) == plain
    (tmp_path / "link").symlink_to(tmp_path / "other" / "deep")
    (tmp_path / "other" / "deep").mkdir()
    through = tmp_path / "link" / ".." / ".." / "bin" / "python"
    assert interpreter.choose(tmp_path, str(through)) == through
