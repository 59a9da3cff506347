"""Every folder of ``broken`` is a project with mistakes; its ``expected.txt`` has one line a problem: place | phrases."""

from pathlib import Path

import pytest

from clew.core.errors import ManifestError
from clew.manifest.plan import check, load

FOLDER = Path(__file__).parent / "broken"
PROJECTS = sorted(entry.name for entry in FOLDER.iterdir() if entry.is_dir())


def test_there_are_many() -> None:
    assert len(PROJECTS) >= 70


@pytest.mark.parametrize("name", PROJECTS)
def test_every_mistake_is_reported_once_where_it_is(name: str) -> None:
    root = FOLDER / name
    expected = (root / "expected.txt").read_text(encoding="utf-8").splitlines()
    found = [str(problem).replace(str(root), ".") for problem in check(root)]
    report = "\n".join(found)
    assert len(found) == len(expected), report
    for line, problem in zip(expected, found, strict=True):
        place, *phrases = line.split(" | ")
        assert problem.startswith(f"{place}: "), report
        for phrase in phrases:
            assert phrase in problem


@pytest.mark.parametrize("name", PROJECTS)
def test_loading_raises_all_of_them(name: str) -> None:
    with pytest.raises(ManifestError) as caught:
        load(FOLDER / name)
    assert caught.value.problems == [problem for problem in check(FOLDER / name) if problem.severity == "error"]
    assert all(str(problem) in str(caught.value) for problem in caught.value.problems)
