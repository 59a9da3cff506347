"""One thing that is wrong in a project, where it is, and how to mend it."""

import difflib
import json
from collections.abc import Collection, Iterable
from typing import Any, Literal, NamedTuple

import msgspec

Path = tuple[str | int, ...]
"""Keys and indexes from the top, the section's name first."""

Severity = Literal["error", "warning"]

_SHOWN = 60
_PATH_SHOWN = 160
_MORE = "more"
_SUGGESTED = 100
_SUGGESTED_FROM = 2_000
MAX_PROBLEMS = 1_000


class Mark(NamedTuple):
    """A place in a file of the project; line and column count from 1, characters not bytes; 0 is the whole file."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """``str()`` is one line: place, key path, what was found, what would be right."""

    code: str
    """Stable kind of problem, such as ``unknown_key``."""
    file: str
    line: int = 0
    column: int = 0
    path: str = ""
    """Key path, such as ``workflow.nodes[3].role``."""
    found: str = ""
    expected: str = ""
    suggestion: str = ""
    """The name that was probably meant."""
    message: str = ""
    """The statement of the problem where found/expected alone would not say it."""
    severity: Severity = "error"

    def __str__(self) -> str:
        place = str(Mark(self.file, self.line, self.column))
        text = self.message
        if not text:
            text = f"found {self.found}, expected {self.expected}"
        if self.suggestion:
            text += f'; did you mean "{self.suggestion}"?'
        warning = "warning: " if self.severity == "warning" else ""
        path = f"{self.path}: " if self.path else ""
        return f"{place}: {warning}{path}{text}"


class Problems:
    """Collects problems, each once, and no more than ``MAX_PROBLEMS``."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}

    def add(
        self,
        mark: Mark,
        path: Path,
        code: str,
        message: str = "",
        *,
        found: str = "",
        expected: str = "",
        suggestion: str = "",
        severity: Severity = "error",
    ) -> None:  # the fields of a Problem, by name
        problem = Problem(
            code=code,
            file=mark.file,
            line=mark.line,
            column=mark.column,
            path=dotted(path),
            found=found,
            expected=expected,
            suggestion=suggestion,
            message=message,
            severity=severity,
        )
        if len(self._found) < MAX_PROBLEMS:
            self._found[problem] = None
        elif len(self._found) == MAX_PROBLEMS:
            message = f"there are more than {MAX_PROBLEMS} problems; the others are not shown"
            self._found[Problem(code=_MORE, file=problem.file, message=message)] = None

    def closest(self, name: str, names: Collection[str]) -> str:
        """As ``closest``, unless it would take too long: a project with very many mistakes gets fewer suggestions."""
        return closest(name, names) if len(self._found) < _SUGGESTED and len(names) <= _SUGGESTED_FROM else ""

    def __len__(self) -> int:
        return len(self._found)

    @property
    def errors(self) -> bool:
        return any(problem.severity == "error" for problem in self._found)

    def sorted(self) -> list[Problem]:
        """By file, then place; problems of one place in the order they were found."""
        return sorted(
            self._found,
            key=lambda problem: (problem.code == _MORE, problem.file, problem.line, problem.column),
        )


def dotted(path: Path) -> str:
    """``("workflow", "nodes", 3, "role")`` -> ``workflow.nodes[3].role``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if part.isprintable() and len(part) <= _SHOWN else shown(part)
            text += f".{name}" if text else name
    return text if len(text) <= _PATH_SHOWN else f"{text[: _PATH_SHOWN - 1]}…"


def shown(value: Any) -> str:
    """How a value found in a manifest is shown: short, on one line, printable."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        text = value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
        return json.dumps(text, ensure_ascii=not text.isprintable())
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def one_of(names: Iterable[str], limit: int = 12) -> str:
    """``one of a, b, c``; long lists are cut."""
    listed = list(names)
    if not listed:
        return "nothing (there is none)"
    if len(listed) == 1:
        return shown(listed[0])
    tail = ", …" if len(listed) > limit else ""
    return "one of " + ", ".join(listed[:limit]) + tail


def closest(name: str, names: Iterable[str]) -> str:
    """The name that was probably meant, or ``""``."""
    if len(name) > _SHOWN:
        return ""
    listed = list(names)
    folded = {candidate.casefold(): candidate for candidate in listed}
    match = difflib.get_close_matches(name.casefold().replace("-", "_"), folded, n=1, cutoff=0.6)
    return folded[match[0]] if match else ""
