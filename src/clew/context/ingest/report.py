"""What is wanted of an import, and what it did."""

from collections.abc import Callable, Sequence

import msgspec

from clew.context.collection import Collection
from clew.gate.ports.context import Change, Put, Remove

NO_TEXT = "no text"
"""Files that are empty, blank, or pictures of text."""
LINES = ".jsonl"
BATCH = 256
"""Changes after which what was read is written."""
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


class Writing:
    """Changes on their way into a collection, in writes of some hundred, and what they changed counted. ``flush`` it at the end."""

    def __init__(self, collection: Collection, report: Report) -> None:
        self._collection, self._report = collection, report
        self._waiting: list[Change] = []

    def take(self, changes: Sequence[Change]) -> bool:
        """Together with all that belongs to them; whether that was written by now."""
        self._waiting += changes
        full = len(self._waiting) >= BATCH
        if full:
            self.flush()
        return full

    def flush(self) -> None:
        """Write what waits."""
        changes, self._waiting = self._waiting, []
        if not changes:
            return
        for change, version in zip(changes, self._collection.write(changes), strict=True):
            if version is not None:
                self._report.removed += isinstance(change, Remove)
                self._report.documents += isinstance(change, Put)
