"""Located values to models: keys, types, bounds and spellings, all problems at once.

What is wrong is reported, replaced by a placeholder and remembered as *damaged*: later checks leave damaged places
alone, so that one mistake is one problem.
"""

from typing import Any, NamedTuple

from clew.manifest.kinds import (
    Anything,
    Either,
    Field,
    Kind,
    ListOf,
    MappingOf,
    Number,
    Record,
    describe,
    fits,
    placeholder,
    same_sort,
    suggested,
)
from clew.manifest.models.project import ALIASES, VALUE_ALIASES
from clew.manifest.problems import Mark, Path, Problems, one_of, shown
from clew.manifest.read import Located

_PRIVATE = "provider_credentials"


class _Bad:
    """What a value that does not fit becomes until its place is filled."""


_BAD = _Bad()


class _Written(NamedTuple):
    """The known keys of one mapping, and those that the unknown ones were probably meant to be."""

    given: dict[str, Located]
    meant: set[str]
    located: Located
    path: Path


class Shape:
    """Walks the sections of one project. ``marks`` and ``keys`` say where each path's value and key stand."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self.marks: dict[Path, Mark] = {}
        self.keys: dict[Path, Mark] = {}
        self._damaged: set[Path] = set()

    def section(self, located: Located, kind: Kind, name: str) -> Any:
        """The model of a section, placeholders where it is damaged."""
        return self._filled(self._walk(located, kind, (name,)), kind, (name,))

    def damaged(self, path: Path) -> bool:
        """Something is wrong at this path or above it, and has been reported."""
        return any(path[:length] in self._damaged for length in range(1, len(path) + 1))

    def damage(self, path: Path) -> None:
        self._damaged.add(path)

    def mark(self, path: Path) -> Mark:
        """Where the value at ``path`` stands, or the nearest thing around it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.marks:
                return self.marks[path[:length]]
        return Mark("clew.yaml")

    def _filled(self, value: Any, kind: Kind, path: Path) -> Any:
        if not isinstance(value, _Bad):
            return value
        self._damaged.add(path)
        return placeholder(kind)

    def _fail(self, located: Located, kind: Kind, path: Path) -> _Bad:
        value = located.plain()
        found = shown(value)
        if path[0] == _PRIVATE and isinstance(value, str):
            found = "a text (not shown: it may be a secret)"
        self._problems.add(
            located.mark,
            path,
            "value",
            found=found,
            expected=describe(kind) + _quoting(kind, value),
            suggestion=suggested(kind, value),
        )
        return _BAD

    def _walk(self, located: Located, kind: Kind, path: Path) -> Any:
        self.marks[path] = located.mark
        if located.refused:
            return _BAD
        match kind:
            case Either():
                return self._either(located, kind, path)
            case Record():
                return self._record(located, kind, path)
            case ListOf():
                return self._list(located, kind, path)
            case MappingOf():
                return self._mapping(located, kind, path)
            case Anything():
                self._mark_all(located, path)
                return located.plain()
            case _:
                if not fits(kind, located.value):
                    return self._fail(located, kind, path)
                whole = not isinstance(kind, Number) or kind.whole
                return located.value if whole else float(located.value)  # pyright: ignore[reportArgumentType]

    def _mark_all(self, located: Located, path: Path) -> None:
        self.marks[path] = located.mark
        if isinstance(located.value, dict):
            for key, (mark, child) in located.value.items():
                self.keys[(*path, key)] = mark
                self._mark_all(child, (*path, key))
        elif isinstance(located.value, list):
            for index, child in enumerate(located.value):
                self._mark_all(child, (*path, index))

    def _either(self, located: Located, kind: Either, path: Path) -> Any:
        sorts = [member for member in kind.members if same_sort(member, located.value)]
        if len(sorts) == 1:
            return self._walk(located, sorts[0], path)
        if any(fits(member, located.value) for member in sorts):
            return located.value
        return self._fail(located, kind, path)

    def _list(self, located: Located, kind: ListOf, path: Path) -> Any:
        if not isinstance(located.value, list):
            return self._fail(located, kind, path)
        if len(located.value) < (kind.bound.min_length or 0):
            self._problems.add(located.mark, path, "empty", "is empty, expected at least one item")
            self._damaged.add(path)
        items: list[Any] = []
        for index, child in enumerate(located.value):
            where = (*path, index)
            items.append(self._filled(self._walk(child, kind.item, where), kind.item, where))
        return items

    def _mapping(self, located: Located, kind: MappingOf, path: Path) -> Any:
        if not isinstance(located.value, dict):
            return self._fail(located, kind, path)
        values: dict[str, Any] = {}
        for key, (mark, child) in located.value.items():
            where = (*path, key)
            self.keys[where] = mark
            if fits(kind.key, key):
                values[key] = self._filled(self._walk(child, kind.value, where), kind.value, where)
            else:
                self._fail(Located(key, mark), kind.key, where)
        return values

    def _record(self, located: Located, kind: Record, path: Path) -> Any:
        if not isinstance(located.value, dict):
            return self._fail(located, kind, path)
        fields = kind.fields
        aliases = ALIASES.get(kind.model, {})
        given: dict[str, Located] = {}
        meant: set[str] = set()
        for key, (mark, child) in located.value.items():
            name = aliases.get(key, key)
            where = (*path, name)
            if name not in fields:
                suggestion = self._problems.closest(key, [field for field in fields if field not in located.value])
                meant.add(suggestion)
                self._unknown_key(mark, (*path, key), list(fields), suggestion)
            elif name in given:
                message = f"says {name!r} again; first at {self.keys[where]}"
                self._problems.add(mark, (*path, key), "duplicate_key", message)
            else:
                self.keys[where] = mark
                given[name] = child
        values: dict[str, Any] = {}
        written = _Written(given, meant, located, path)
        for field in fields.values():
            self._field(values, field, kind.model, written)
        return kind.model(**values)

    def _unknown_key(self, mark: Mark, path: Path, names: list[str], suggestion: str) -> None:
        found, expected = "an unknown key", one_of(names, limit=30)
        self._problems.add(mark, path, "unknown_key", found=found, expected=expected, suggestion=suggestion)

    def _field(self, values: dict[str, Any], field: Field, model: type, written: "_Written") -> None:
        where = (*written.path, field.key)
        child = written.given.get(field.key)
        if child is not None and not (child.value is None and field.optional):
            value = self._walk(_respelt(child, model, field.key), field.kind, where)
            if not isinstance(value, _Bad):
                values[field.name] = value
                return
        elif field.key not in written.meant and not written.located.incomplete:
            if not field.required:
                return
            message = f"the key {shown(field.key)} is missing, expected {describe(field.kind)}"
            self._problems.add(written.located.mark, written.path, "missing_key", message)
        self._damaged.add(where)
        if field.required:
            values[field.name] = placeholder(field.kind)


def _quoting(kind: Kind, value: Any) -> str:
    """Numbers and words that YAML takes for something else, where a text is wanted."""
    return " (write it in quotes)" if same_sort(kind, "") and isinstance(value, bool | int | float) else ""


def _respelt(located: Located, model: type, key: str) -> Located:
    spellings = VALUE_ALIASES.get((model, key))
    if spellings and isinstance(located.value, str) and located.value in spellings:
        return Located(spellings[located.value], located.mark)
    return located
