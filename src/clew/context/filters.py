"""Filters over metadata: JSON -> a checked tree, and back.

========================================================  ====================================================================
``{"op": "eq", "args": ["year", 2020]}``                  ``eq ne lt le gt ge``; the first argument is a dotted path
``{"op": "in", "args": ["lang", ["en", "de"]]}``          ``in nin``
``{"op": "and", "args": [filter, ...]}``                  ``and or not``; ``not`` has one
``{"term": {"lang": "en"}}``                              equal; of a list: any of it
``{"range": {"year": {"gte": 2000, "lt": 2010}}}``        within bounds ``gt gte lt lte`` (``ge le`` too)
``{"type": "text", "lang": ["en", "de"]}``                short for ``term``; several keys: all of them
========================================================  ====================================================================

A path goes through objects, and into every element of a list: a document matches if any of its values there does. Numbers compare
with numbers (exactly, 1 equals 1.0), texts with texts (by code points), true and false with themselves; values of different
kinds never match.
Without a value (missing, null, an empty list) a document does not match, except by ``ne``, ``nin`` and ``not``, and by ``eq`` null.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from typing import Any, cast

import msgspec

from clew.core.errors import UsageError

MOST_DEPTH = 32
MOST_PARTS = 1000
MOST_VALUES = 10_000
_MOST_BITS = 4096
LONGEST_PATH = 512
"""Characters of a path; what lies deeper in metadata cannot be filtered by."""

Scalar = str | int | float | bool | None


class AnyOf(msgspec.Struct, frozen=True):
    """A value at ``path`` equals one of these; None: there is no value."""

    path: str
    values: tuple[Scalar, ...]


class Range(msgspec.Struct, frozen=True):
    """A value at ``path`` lies within the bounds, which are all numbers or all texts; None: no bound."""

    path: str
    gt: str | int | float | None = None
    ge: str | int | float | None = None
    lt: str | int | float | None = None
    le: str | int | float | None = None


class And(msgspec.Struct, frozen=True):
    args: tuple["Filter", ...]


class Or(msgspec.Struct, frozen=True):
    args: tuple["Filter", ...]


class Not(msgspec.Struct, frozen=True):
    arg: "Filter"


Filter = AnyOf | Range | And | Or | Not

_BOUNDS = {"gt": "gt", "gte": "ge", "ge": "ge", "lt": "lt", "lte": "le", "le": "le"}
_OPS = ("eq", "ne", "lt", "le", "gt", "ge", "in", "nin", "and", "or", "not")
_FORMS = "a filter is {op, args}, {term}, {range} or {field: value}"


def parse(value: object) -> Filter:
    """The checked tree. Raises UsageError that gives the path of the fault, what is there and what would be right."""
    return _Parser().filter(value, "filter", 1)


def as_json(tree: Filter) -> dict[str, Any]:
    """The canonical form: ``parse`` gives the same tree again."""
    match tree:
        case And(args):
            return {"op": "and", "args": [as_json(arg) for arg in args]}
        case Or(args):
            return {"op": "or", "args": [as_json(arg) for arg in args]}
        case Not(AnyOf(path, values)):
            return (
                {"op": "ne", "args": [path, values[0]]}
                if len(values) == 1
                else {"op": "nin", "args": [path, [*values]]}
            )
        case Not(arg):
            return {"op": "not", "args": [as_json(arg)]}
        case AnyOf(path, values):
            return (
                {"op": "eq", "args": [path, values[0]]} if len(values) == 1 else {"op": "in", "args": [path, [*values]]}
            )
        case Range(path):
            found = {name: bound for name in ("gt", "ge", "lt", "le") if (bound := getattr(tree, name)) is not None}
            if len(found) == 1:
                return {"op": next(iter(found)), "args": [path, next(iter(found.values()))]}
            return {"range": {path: found}}


def canonical(tree: Filter) -> str:
    """``as_json`` as text: equal for trees that are written alike; 1, 1.0 and true differ."""
    return json.dumps(as_json(tree), separators=(",", ":"))


def fields(tree: Filter) -> set[str]:
    """Paths that it looks at."""
    match tree:
        case And(args) | Or(args):
            return {path for arg in args for path in fields(arg)}
        case Not(arg):
            return fields(arg)
        case AnyOf(path) | Range(path):
            return {path}


class _Parser:
    def __init__(self) -> None:
        self._parts = 0

    def filter(self, value: object, at: str, depth: int) -> Filter:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise UsageError(f"{at}: the filter has more than {MOST_PARTS} conditions", hint="`in` takes many values")
        if depth > MOST_DEPTH:
            raise UsageError(f"{at[:200]}…: the filter is nested deeper than {MOST_DEPTH} levels")
        if not isinstance(value, dict):
            raise _wrong(at, "a filter", value, _FORMS)
        found = cast("dict[Any, Any]", value)
        for key in found:
            if not isinstance(key, str):
                raise _wrong(at, "text as key", key)
        if "op" in found:
            return self._op(found, at, depth)
        return _all([self._field(key, inner, at) for key, inner in self._fields(found, at)])

    def _fields(self, found: dict[str, Any], at: str) -> Iterator[tuple[str, Any]]:
        for key, inner in found.items():
            if key in ("term", "range"):
                if not isinstance(inner, dict):
                    hint = f'for a field that is called {key}: {{"op": "eq", "args": ["{key}", …]}}'
                    raise _wrong(f"{at}.{key}", "an object {path: …}", inner, hint)
                yield key, cast("dict[Any, Any]", inner)
            else:
                yield "", {key: inner}

    def _field(self, form: str, inner: dict[Any, Any], at: str) -> Filter:
        at = f"{at}.{form}" if form else at
        read = self._range if form == "range" else self._term
        return _all([self._counted(read, path, value, at) for path, value in inner.items()])

    def _counted(self, read: Callable[[str, object, str], Filter], path: object, value: object, at: str) -> Filter:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise UsageError(f"{at}: the filter has more than {MOST_PARTS} conditions", hint="`in` takes many values")
        return read(_path(path, at), value, f"{at}.{path}")

    def _op(self, found: dict[str, Any], at: str, depth: int) -> Filter:
        op, args = found["op"], found.get("args")
        if op not in _OPS:
            raise _wrong(
                f"{at}.op", f"one of {' '.join(_OPS)}", op, 'for a field that is called op: {"term": {"op": …}}'
            )
        other = [key for key in found if key not in ("op", "args")]
        if other:
            raise UsageError(
                f"{at}.{other[0]}: {{op, args}} has no further key", hint='join filters by {"op": "and", "args": […]}'
            )
        if not isinstance(args, list | tuple):
            raise _wrong(f"{at}.args", "a list", args)
        args = cast("Sequence[Any]", args)
        if op in ("and", "or"):
            inner = tuple(self.filter(arg, f"{at}.args[{i}]", depth + 1) for i, arg in enumerate(args))
            return And(inner) if op == "and" else Or(inner)
        if op == "not":
            if len(args) != 1:
                raise UsageError(f"{at}.args: `not` takes one filter, found {len(args)}")
            return Not(self.filter(args[0], f"{at}.args[0]", depth + 1))
        if len(args) != 2:
            raise UsageError(f"{at}.args: `{op}` takes [path, value], found {len(args)} entries")
        path = _path(args[0], f"{at}.args[0]")
        return self._compared(op, path, args[1], f"{at}.args[1]")

    def _compared(self, op: str, path: str, value: object, at: str) -> Filter:
        if op in ("eq", "ne"):
            one = AnyOf(path, (_scalar(value, at, "for several values: `in`"),))
            return one if op == "eq" else Not(one)
        if op in ("in", "nin"):
            if not isinstance(value, list | tuple):
                raise _wrong(at, "a list of values", value, "for one value: `eq`")
            some = AnyOf(path, _scalars(cast("Sequence[Any]", value), at))
            return some if op == "in" else Not(some)
        return Range(path, **{op: _bound(value, at)})

    def _term(self, path: str, value: object, at: str) -> Filter:
        if isinstance(value, list | tuple):
            return AnyOf(path, _scalars(cast("Sequence[Any]", value), at))
        return AnyOf(path, (_scalar(value, at, 'for bounds: {"range": …}; nested fields have dotted paths'),))

    def _range(self, path: str, value: object, at: str) -> Filter:
        found = cast("dict[Any, Any]", value) if isinstance(value, dict) else {}
        if not found:
            raise _wrong(at, "bounds, like {gte: 1, lt: 9}", value)
        bounds: dict[str, Any] = {}
        for name, bound in found.items():
            if name not in _BOUNDS:
                raise UsageError(f"{at}.{_shown(name)}: no such bound", hint="gt gte lt lte")
            kind = _BOUNDS[name]
            if any(other[0] == kind[0] for other in bounds):
                raise UsageError(f"{at}.{name}: a second {'lower' if kind[0] == 'g' else 'upper'} bound")
            bounds[kind] = _bound(bound, f"{at}.{name}")
            if len({isinstance(bound, str) for bound in bounds.values()}) > 1:
                raise UsageError(f"{at}.{name}: the bounds are a number and a text", hint="two numbers, or two texts")
        return Range(path, **bounds)


def _all(parts: list[Filter]) -> Filter:
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _path(value: object, at: str) -> str:
    if not isinstance(value, str) or not value:
        raise _wrong(at, "the path of a field, like meta.year", value)
    if len(value) > LONGEST_PATH:
        raise UsageError(f"{at}: the path has {len(value)} characters; at most {LONGEST_PATH} are allowed")
    return value


def _scalars(values: Sequence[Any], at: str) -> tuple[Scalar, ...]:
    if len(values) > MOST_VALUES:
        raise UsageError(f"{at}: {len(values)} values; at most {MOST_VALUES} are allowed")
    return tuple(_scalar(value, f"{at}[{i}]") for i, value in enumerate(values))


def _scalar(value: object, at: str, hint: str = "") -> Scalar:
    if value is not None and not isinstance(value, str | int | float):
        raise _wrong(at, "a text, a number, true, false or null", value, hint)
    if isinstance(value, float) and not isfinite(value):
        raise _wrong(at, "a finite number", value)
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        raise _wrong(at, f"a number of at most {_MOST_BITS} bits", value)
    return value


def _bound(value: object, at: str) -> str | int | float:
    found = _scalar(value, at)
    if found is None or isinstance(found, bool):
        raise _wrong(at, "a number or a text", value)
    return found


def _wrong(at: str, expected: str, value: Any, hint: str = "") -> UsageError:
    return UsageError(f"{at}: expected {expected}, found {_shown(value)}", hint=hint)


def _shown(value: object) -> str:
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case dict():
            return "an object"
        case list() | tuple():
            return "a list"
        case float():
            return str(value)
        case int():
            return str(value) if abs(value) < 2**64 else "a large number"
        case str():
            return json.dumps(value[:40] + ("…" if len(value) > 40 else ""), ensure_ascii=False)
        case _:
            return type(value).__name__


_KV = re.compile(r"\s*([^=<>!\s][^=<>!]*?)\s*(!=|>=|<=|=|>|<)\s*(.*?)\s*", re.DOTALL)
_KV_OPS = {"=": "eq", "!=": "ne", ">=": "ge", "<=": "le", ">": "gt", "<": "lt"}


def filter_kv(pairs: Sequence[str]) -> dict[str, Any]:
    """Filter JSON of ``lang=en``, ``year>=2000``, ``draft!=true`` …: all of them hold. ``= != < <= > >=``.

    A value that is JSON (a number, true, false, null, "quoted text", a list: any of it) is that; anything else is text.
    Raises UsageError.
    """
    parts = [_pair(pair) for pair in pairs]
    return parts[0] if len(parts) == 1 else {"op": "and", "args": parts}


def _pair(pair: str) -> dict[str, Any]:
    found = _KV.fullmatch(pair)
    if found is None:
        raise UsageError(f"filter {_shown(pair)}: expected field=value", hint="like lang=en, year>=2000 or draft!=true")
    path, sign, text = found.groups()
    value = _value(text)
    op = _KV_OPS[sign]
    if isinstance(value, list):  # any of them
        op = {"eq": "in", "ne": "nin"}.get(op, op)
    made: dict[str, Any] = {"op": op, "args": [path, value]}
    parse(made)
    return made


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, dict) or (isinstance(value, float) and not isfinite(value)) else value
