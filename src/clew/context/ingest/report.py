"""What is wanted of an import, and what it did."""

from collections.abc import Callable, Sequence

import msgspec

from clew.context.collection import Collection
from clew.gate.ports.context import Change, Put, Remove

NO_TEXT = "no text"
"""Files that are empty, blank, or pictures of text."""
LINES = ".jsonl"
_MOST_KINDS = 30
_MOST_PATHS = 20


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """``origin``: who imports; ``graph``: relations are extracted; ``prune``: documents of files that are gone are removed."""

    tags: tuple[str, ...] = ()
    origin: str = "import"
    graph: bool = True
    prune: bool = False


class Passed(msgspec.Struct):
    """What was passed over. ``paths``: the first ones."""

    count: int = 0
    paths: list[str] = []


class Report(msgspec.Struct, kw_only=True):
    """``files``: that have text; ``documents``: written anew; ``unchanged``: files that are there as they are; ``skipped``:
    ``{path, why}``; ``passed``: by kind, which is the end of the name, or ``link``, ``hidden``, ``folder``, ``no file``,
    ``no text``, ``other``."""

    files: int = 0
    documents: int = 0
    removed: int = 0
    unchanged: int = 0
    skipped: list[dict[str, str]] = []
    passed: dict[str, Passed] = {}

    def skip(self, path: str, why: str) -> None:
        self.skipped.append({"path": shown(path), "why": why})

    def pass_over(self, kind: str, path: str) -> None:
        kind = shown(kind)
        known = kind in self.passed or kind in (LINES, NO_TEXT) or len(self.passed) < _MOST_KINDS
        passed = self.passed.setdefault(kind if known else "other", Passed())
        passed.count += 1
        if passed.count <= _MOST_PATHS:
            passed.paths.append(shown(path))


Told = Callable[[Report, str], None]
"""Told after each file: the report so far, and the file."""


def shown(path: str) -> str:
    """A path whose name may be no text, as text."""
    return path.encode(errors="backslashreplace").decode()


def written(collection: Collection, changes: Sequence[Change], report: Report) -> None:
    """Write, and count what that changed."""
    if not changes:
        return
    for change, version in zip(changes, collection.write(changes), strict=True):
        if version is not None:
            report.removed += isinstance(change, Remove)
            report.documents += isinstance(change, Put)
