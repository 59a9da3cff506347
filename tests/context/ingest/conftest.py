"""Folders to import."""

import pytest


@pytest.fixture
def folder(tmp_path):
    base = tmp_path / "given"
    for name, text in {
        "a.md": "# Pumps\nThe pump leaks.\n\n# Ovens\nThe oven is hot.\n",
        "src/tool.py": "import os\n\ndef work():\n    return os.sep\n",
        "notes.txt": "plain words",
        ".hidden/x.md": "hidden",
        "node_modules/y.js": "dependency",
        "picture.png": "not read",
    }.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (base / "link.md").symlink_to("/etc/passwd")
    return base


@pytest.fixture
def twice(tmp_path):
    """Two folders of one name."""
    folders = [tmp_path / name / "docs" for name in ("x", "y")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "README.md").write_text(f"words of {folder.parent.name}")
    return folders
