"""What every check gets: the models with their positions, the files, and where to report."""

from collections.abc import Iterable

import msgspec

from clew.manifest.models.project import Project
from clew.manifest.problems import Mark, Path, Problems, Severity, one_of, shown
from clew.manifest.shape import Shape
from clew.manifest.sources import Sources


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """One project under check. ``unreadable``: sections that are there but of which nothing is known."""

    project: Project
    shape: Shape
    sources: Sources
    problems: Problems
    unreadable: frozenset[str]

    def sound(self, *paths: Path) -> bool:
        """Nothing is wrong at these places."""
        return not any(self.shape.damaged(path) for path in paths)

    def knows(self, section: str) -> bool:
        """The names that this section gives are all known."""
        return section not in self.unreadable and self.sound((section,))

    def mark(self, path: Path) -> Mark:
        return self.shape.mark(path)

    def key_mark(self, path: Path) -> Mark:
        return self.shape.keys.get(path) or self.shape.mark(path)

    def report(
        self, path: Path, code: str, message: str, *, suggestion: str = "", severity: Severity = "error"
    ) -> None:
        """A problem with the value at ``path``."""
        self.problems.add(self.mark(path), path, code, message, suggestion=suggestion, severity=severity)

    def misplaced(self, path: Path, message: str) -> None:
        """A key that must not be here."""
        self.problems.add(self.key_mark(path), path, "not_allowed", message)

    def unknown(self, path: Path, name: str, names: Iterable[str], what: str) -> None:
        """A reference that leads nowhere."""
        listed = list(names)
        self.problems.add(
            self.mark(path),
            path,
            "reference",
            found=shown(name),
            expected=f"{what}: {one_of(listed)}",
            suggestion=self.problems.closest(name, listed),
        )

    def refer(self, path: Path, name: str | None, names: Iterable[str], what: str) -> None:
        """Reports ``name`` unless it is one of ``names``; damaged places are left alone."""
        if name is not None and self.sound(path):
            listed = list(names)
            if name not in listed:
                self.unknown(path, name, listed, what)

    def unique(self, path: Path, ids: Iterable[str], what: str) -> None:
        """Reports ids that are given twice in the list at ``path``."""
        first: dict[str, int] = {}
        for index, name in enumerate(ids):
            where = (*path, index, "id")
            if not self.sound(where):
                continue
            if name in first:
                earlier = self.mark((*path, first[name], "id"))
                self.report(where, "duplicate_id", f"the {what} {shown(name)} is given twice; first at {earlier}")
            else:
                first[name] = index
