"""``schemas/*.json`` and inline schemas: checked as JSON Schema (draft 2020-12), made self-contained.

A schema may refer to its own parts and to its neighbours (``Address.json#/$defs/Street``), never to the network or to
other files; the neighbours it needs are carried along under ``$defs``, so that a recorded Plan is complete.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

import jsonschema_rs

from clew.manifest.context import Context
from clew.manifest.problems import Mark, Path, one_of, shown
from clew.manifest.read import Located, read

DRAFT = "https://json-schema.org/draft/2020-12/schema"
FOLDER = "schemas"
_BASE = "json-schema:///"
_FILE = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_-]{0,63})\.json")
_LITERAL = frozenset(("const", "enum", "default", "examples"))
"""Keywords whose values are data, not schemas."""

_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")


@cache
def _meta() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({"$ref": DRAFT})


def _no_retrieval(uri: str) -> Any:
    raise ValueError(f"{uri} is not part of the project")


class Schemas:
    """The schemas of a project. ``contents``: name -> self-contained schema, once ``load`` has run."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._located: dict[str, Located] = {}
        self._raw: dict[str, Any] = {}
        self._broken: set[str] = set()
        self.contents: dict[str, Any] = {}

    def load(self) -> None:
        """Reads and checks every file of the folder."""
        for name, file in self._files():
            data = self._context.sources.bytes_of(file, Mark(file), ())
            located = None if data is None else read(data, file, (), self._context.problems)
            if located is None:
                self._broken.add(name)
            else:
                self._located[name] = located
                self._raw[name] = located.plain()
        for name, located in self._located.items():
            if self._check(self._raw[name], _FileMarks(located), ()):
                self.contents[name] = self._bundled(self._raw[name], name)
            else:
                self._broken.add(name)
        for name in list(self.contents):
            self._compile(self._raw[name], _FileMarks(self._located[name]), (), name)

    def use(self, path: Path, wanted: str | dict[str, Any] | None, name: str) -> str | None:
        """The name in ``contents`` of what a manifest says at ``path``; an inline schema is added as ``name``."""
        if wanted is None or not self._context.sound(path):
            return None
        if isinstance(wanted, str):
            if wanted not in self.contents and wanted not in self._broken:
                what = f"the name of a file {FOLDER}/<name>.json"
                self._context.unknown(path, wanted.removesuffix(".json"), sorted(self._raw), what)
            return wanted
        if self._check(wanted, self._context, path) and self._compile(wanted, self._context, path, ""):
            self.contents[name] = self._bundled(wanted, "")
        return name

    def _files(self) -> Iterator[tuple[str, str]]:
        folder = self._context.sources.root / FOLDER
        try:
            if not folder.is_dir():
                return
            if self._context.sources.inside(FOLDER) is None:
                self._context.problems.add(Mark(FOLDER), (), "outside", "leads out of the project directory")
                return
            names = sorted(entry.name for entry in folder.iterdir())
        except OSError as error:
            self._context.problems.add(Mark(FOLDER), (), "file", f"cannot be read: {error.strerror}")
            return
        for name in names:
            match = _FILE.fullmatch(name)
            if match is not None:
                yield match[1], f"{FOLDER}/{name}"
            elif name.endswith(".json"):
                message = "is not read: a schema's name is letters, digits, _ and -"
                self._context.problems.add(Mark(f"{FOLDER}/{name}"), (), "stray_file", message, severity="warning")

    def _check(self, schema: Any, marks: "_FileMarks | Context", path: Path) -> bool:
        problems = self._context.problems
        if not isinstance(schema, dict | bool):
            problems.add(marks.mark(path), path, "schema", found=shown(schema), expected="a JSON Schema")
            return False
        before = len(problems)
        for error in _meta().iter_errors(schema):
            where: Path = (*path, *error.instance_path)
            if error.instance_path and error.instance_path[-1] == "type" and isinstance(error.instance, str):
                meant = problems.closest(error.instance, _TYPES)
                found, expected = shown(error.instance), one_of(_TYPES)
                problems.add(marks.mark(where), where, "schema", found=found, expected=expected, suggestion=meant)
            else:
                problems.add(marks.mark(where), where, "schema", f"is no valid JSON Schema: {_short(error.message)}")
        if isinstance(schema, dict):
            whole = cast("dict[str, Any]", schema)
            draft = whole.get("$schema", DRAFT)
            if isinstance(draft, str) and draft.rstrip("#") != DRAFT:
                where = (*path, "$schema")
                problems.add(marks.mark(where), where, "schema", found=shown(draft), expected=shown(DRAFT))
            for at, reference in _references(whole, ()):
                self._reference(whole, marks, (*path, *at), reference)
        return len(problems) == before

    def _reference(self, schema: dict[str, Any], marks: "_FileMarks | Context", path: Path, reference: str) -> None:
        file, _, fragment = reference.partition("#")
        problems = self._context.problems
        target: Any = schema
        if file:
            match = _FILE.fullmatch(file)
            if match is None:
                message = (
                    f"found {shown(reference)}, expected a part of this schema (#/…) or a neighbour (Name.json#/…)"
                )
                problems.add(marks.mark(path), path, "schema_ref", message)
                return
            if match[1] in self._broken:
                return
            if match[1] not in self._raw:
                names = sorted(f"{name}.json" for name in self._raw)
                meant = problems.closest(file, names)
                message = f"there is no {FOLDER}/{file}"
                problems.add(marks.mark(path), path, "schema_ref", message, suggestion=meant)
                return
            target = self._raw[match[1]]
        if fragment.startswith("/") and not _resolves(target, fragment):
            message = f"{shown(reference)} leads to nothing"
            problems.add(marks.mark(path), path, "schema_ref", message)

    def _compile(self, schema: Any, marks: "_FileMarks | Context", path: Path, name: str) -> bool:
        if self._neighbours(schema) & self._broken:
            return False  # what is wrong is said there
        try:
            jsonschema_rs.Draft202012Validator(self._bundled(schema, name), retriever=_no_retrieval)
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            at: Path = (*path, *getattr(error, "instance_path", ()))
            message = _short(str(getattr(error, "message", error)))
            self._context.problems.add(marks.mark(at), at, "schema", f"is no valid JSON Schema: {message}")
            self._broken.add(name)
            return False
        return True

    def _bundled(self, schema: Any, name: str) -> Any:
        """The schema with the neighbours that it needs; unchanged when it needs none."""
        needed = self._neighbours(schema)
        if not needed:
            return schema
        carried = {f"{_BASE}{other}.json": self._embedded(other) for other in sorted(needed) if other in self._raw}
        whole = _rewritten(schema)
        if name:
            whole["$id"] = f"{_BASE}bundle/{name}.json"
        return whole | {"$defs": {**whole.get("$defs", {}), **carried}}

    def _embedded(self, name: str) -> Any:
        schema = self._raw[name]
        return _rewritten(schema) | {"$id": f"{_BASE}{name}.json"} if isinstance(schema, dict) else schema

    def _neighbours(self, schema: Any) -> set[str]:
        """Names of all schemas that it refers to, directly or not."""
        found: set[str] = set()
        pending = [schema]
        while pending:
            for _, reference in _references(pending.pop(), ()):
                match = _FILE.fullmatch(reference.partition("#")[0])
                if match is not None and match[1] not in found:
                    found.add(match[1])
                    pending.append(self._raw.get(match[1]))
        return found


class _FileMarks:
    """Positions in a schema file."""

    def __init__(self, located: Located) -> None:
        self._located = located

    def mark(self, path: Path) -> Mark:
        """Where the value at ``path`` stands, or the nearest thing around it."""
        at = self._located
        for part in path:
            if isinstance(at.value, dict) and isinstance(part, str) and part in at.value:
                at = at.value[part][1]
            elif isinstance(at.value, list) and isinstance(part, int) and part < len(at.value):
                at = at.value[part]
            else:
                break
        return at.mark


def _references(schema: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Every ``$ref`` and ``$dynamicRef`` of a schema with its path."""
    if isinstance(schema, dict):
        for key, value in cast("dict[str, Any]", schema).items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield (*path, key), value
            elif key not in _LITERAL:
                yield from _references(value, (*path, key))
    elif isinstance(schema, list):
        for index, value in enumerate(cast("list[Any]", schema)):
            yield from _references(value, (*path, index))


def _rewritten(schema: Any) -> Any:
    """The schema with references to neighbours made absolute."""
    if isinstance(schema, list):
        return [_rewritten(value) for value in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    written: dict[str, Any] = {}
    for key, value in cast("dict[str, Any]", schema).items():
        if key in ("$ref", "$dynamicRef") and isinstance(value, str) and not value.startswith("#"):
            written[key] = _BASE + value
        else:
            written[key] = value if key in _LITERAL else _rewritten(value)
    return written


def _resolves(schema: Any, pointer: str) -> bool:
    at = schema
    for part in pointer.removeprefix("/").split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(at, dict) and key in at:
            at = cast("dict[str, Any]", at)[key]
        elif isinstance(at, list) and key.isdecimal() and len(key) < 7 and int(key) < len(cast("list[Any]", at)):
            at = cast("list[Any]", at)[int(key)]
        else:
            return False
    return True


def _short(message: str) -> str:
    line = " ".join(message.split())
    return line if len(line) <= 200 else line[:199] + "…"
