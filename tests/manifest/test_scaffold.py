import subprocess
import sys
from pathlib import Path

import pytest

from clew.core.errors import Conflict, NotFound
from clew.manifest.plan import check, load
from clew.manifest.scaffold import new_project


def test_a_new_project_is_correct_and_its_tests_pass(tmp_path: Path) -> None:
    root = tmp_path / "my shop"
    files = new_project(root)
    assert all(file.is_file() for file in files)
    assert check(root) == []
    assert load(root).workflow == "my-shop"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(root / "tests")]
    assert subprocess.run(command, cwd=root, capture_output=True, check=False).returncode == 0


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "handlers.py").write_text("mine")
    with pytest.raises(Conflict, match=r"handlers\.py"):
        new_project(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["handlers.py"]
    assert (tmp_path / "handlers.py").read_text() == "mine"


def test_dangling_links_and_files_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "README.md").symlink_to(tmp_path / "nowhere")
    with pytest.raises(Conflict):
        new_project(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(Conflict):
        new_project(tmp_path / "file")


def test_an_unknown_template(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="basic"):
        new_project(tmp_path, "fancy")
