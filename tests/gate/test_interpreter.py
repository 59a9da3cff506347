import sys
from pathlib import Path

import pytest

from clew.core.errors import UsageError
from clew.gate import interpreter
from clew.gate.interpreter import interpreter_mounts

ELF = b"\x7fELF" + bytes(60)


def installation(root: Path, version: str = "3.12") -> Path:
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "python3").write_bytes(ELF)
    (root / "bin" / "python").symlink_to("python3")
    library = root / "lib" / f"python{version}"
    library.mkdir(parents=True)
    (library / "os.py").touch()
    return root / "bin" / "python3"


def environment(root: Path, base: Path) -> Path:
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "python3").symlink_to(base)
    (root / "bin" / "python").symlink_to("python3")
    (root / "lib" / "python3.12" / "site-packages").mkdir(parents=True)
    (root / "pyvenv.cfg").write_text(f"home = {base.parent}\nversion = 3.12\n")
    return root / "bin" / "python"


def targets(python) -> dict[str, str]:
    return {mount.target: mount.source for mount in interpreter_mounts(str(python))}


def test_installation_shows_its_prefix(tmp_path):
    python = installation(tmp_path / "opt")
    assert targets(python) == {str(tmp_path / "opt"): str(tmp_path / "opt")}


def test_environment_shows_itself_and_its_base(tmp_path):
    python = environment(tmp_path / "project" / ".venv", installation(tmp_path / "opt"))
    assert set(targets(python)) == {str(tmp_path / "project" / ".venv"), str(tmp_path / "opt")}


def test_links_to_directories_are_shown_as_written_too(tmp_path):
    installation(tmp_path / "cpython-3.12.9")
    (tmp_path / "cpython-3.12").symlink_to("cpython-3.12.9")
    python = environment(tmp_path / "project" / ".venv", tmp_path / "cpython-3.12" / "bin" / "python3")
    real = str(tmp_path / "cpython-3.12.9")
    assert targets(python) == {
        str(tmp_path / "project" / ".venv"): str(tmp_path / "project" / ".venv"),
        str(tmp_path / "cpython-3.12"): real,
        real: real,
    }


def test_packages_beside_the_environment_are_shown(tmp_path):
    python = environment(tmp_path / "project" / ".venv", installation(tmp_path / "opt"))
    site = tmp_path / "project" / ".venv" / "lib" / "python3.12" / "site-packages"
    for name in ("src", "vendored", "mapped"):
        (tmp_path / "project" / name / "pkg").mkdir(parents=True)
    (site / "a.pth").write_text(f"import os\n{tmp_path}/project/src\nrelative\n")
    (site / "__editable___x_finder.py").write_text(
        f"MAPPING: dict[str, str] = {{'pkg': '{tmp_path}/project/mapped/pkg'}}\n"
    )
    assert {str(tmp_path / "project" / "src"), str(tmp_path / "project" / "mapped")} <= set(targets(python))


def test_hostile_environment_cannot_show_a_home(tmp_path):
    secret = tmp_path / "home"
    (secret / "lib" / "python3.12" / "site-packages").mkdir(parents=True)
    (secret / "bin").mkdir()
    (secret / "bin" / "python3").write_bytes(ELF)
    python = environment(tmp_path / "project" / ".venv", installation(tmp_path / "opt"))
    venv = tmp_path / "project" / ".venv"
    (venv / "pyvenv.cfg").write_text(f"home = {secret}/bin\n")
    (venv / "lib" / "python3.12" / "site-packages" / "x.pth").write_text(f"{secret}\n/etc\n/\n")
    assert not any(source.startswith(str(secret)) or source in ("/", "/etc") for source in targets(python).values())


def test_nothing_is_executed(tmp_path):
    python = environment(tmp_path / "project" / ".venv", installation(tmp_path / "opt"))
    marker = tmp_path / "ran"
    site = tmp_path / "project" / ".venv" / "lib" / "python3.12" / "site-packages"
    (site / "evil.pth").write_text(f"import pathlib; pathlib.Path({str(marker)!r}).touch()\n")
    targets(python)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("#!/bin/sh\n"), "a script"),
        (lambda path: path.write_text("hello"), "not an executable"),
        (lambda path: None, "No such file"),
        (lambda path: path.symlink_to(path.name), "levels of"),
        (lambda path: path.write_bytes(ELF), "standard library"),
    ],
)
def test_what_is_no_interpreter_is_refused(make, message, tmp_path):
    (tmp_path / "x" / "bin").mkdir(parents=True)
    path = tmp_path / "x" / "bin" / "python"
    make(path)
    with pytest.raises(UsageError, match=message):
        interpreter_mounts(str(path))


@pytest.mark.parametrize("path", ["python", "", "bin/python", "/a\0b"])
def test_relative_paths_are_refused(path):
    with pytest.raises(UsageError, match="absolute"):
        interpreter_mounts(path)


def test_own_interpreter():
    shown = targets(sys.executable)
    assert str(Path(sys.executable).resolve()).startswith(("/usr", *shown))


@pytest.mark.parametrize(
    "finder", ["nothing of the kind\n", "MAPPING: dict[str, str] = {1 + }\n", "MAPPING: dict[str, str] = {'a'}\n"]
)
def test_finders_that_say_nothing_show_nothing(finder, tmp_path):
    python = environment(tmp_path / "project" / ".venv", installation(tmp_path / "opt"))
    before = targets(python)
    site = tmp_path / "project" / ".venv" / "lib" / "python3.12" / "site-packages"
    (site / "__editable___x_finder.py").write_text(finder)
    (site / "folder.pth").mkdir()
    (site / "huge.pth").write_text("x" * 2_000_000)
    assert targets(python) == before


def test_a_path_file_that_cannot_be_read_shows_nothing(tmp_path, monkeypatch):
    python = environment(tmp_path / "project" / ".venv", installation(tmp_path / "opt"))
    before = targets(python)
    site = tmp_path / "project" / ".venv" / "lib" / "python3.12" / "site-packages"
    (site / "x.pth").write_text(f"{tmp_path}/project\n")
    real = Path.read_text

    def read_text(self, *args, **kwargs):
        if self.name == "x.pth":
            raise PermissionError(self)
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", read_text)
    assert targets(python) == before


def test_a_mount_that_another_shows_already_is_left_out():
    targets = {"/a": "/x", "/a/b": "/x/b", "/a/c": "/y"}
    assert interpreter._outermost(targets) == [("/a", "/x"), ("/a/c", "/y")]
