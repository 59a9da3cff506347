"""Which files may be repaired: Python files of the repository that are not part of its tests."""

import re
from typing import Collection, Tuple

_TEST_FOLDER = re.compile(r"^(tests?|.*[_\-]tests?|tests?[_\-].*|.*test_?(cases?|data|utils?|suites?|helpers?))$")
_TEST_FILE = re.compile(r"^(test_.*|.*_tests?|tests?|conftest|setup|noxfile)\.py$")
_FOREIGN = ("site-packages", "dist-packages", "node_modules", "__pycache__")


def editable(relative: str, test_files: Collection[str] = ()) -> bool:
    """True when ``relative`` (posix, below the repository) is code under test rather than a test or its support."""
    if not relative.endswith(".py") or relative in test_files:
        return False
    *folders, name = relative.split("/")
    if _TEST_FILE.match(name):
        return False
    return not any(_TEST_FOLDER.match(folder) or folder in _FOREIGN or folder.startswith(".") for folder in folders)


def split_node_id(node_id: str) -> Tuple[str, str]:
    """``path::rest`` of a pytest node id; ``rest`` is empty for a whole file."""
    path, _, rest = node_id.partition("::")
    return path, rest
