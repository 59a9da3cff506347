"""The annotations of the models as kinds of values: does a value fit, how is it described, what stands in its place.

``msgspec.inspect`` and ``msgspec.Meta`` would say the same, but a process that has used patterns in ``Meta`` may crash
at its end (msgspec issue 717, seen with 0.22), so bounds are stated by our own ``Bound``.
"""

import re
import types
import typing
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, Union

import msgspec

from clew.manifest.models.base import Bound, Section
from clew.manifest.problems import closest, one_of


class Text(NamedTuple):
    bound: Bound = Bound()


class Number(NamedTuple):
    whole: bool
    bound: Bound = Bound()


class Flag(NamedTuple):
    pass


class Choice(NamedTuple):
    options: tuple[str, ...]


class ListOf(NamedTuple):
    item: "Kind"
    bound: Bound = Bound()


class MappingOf(NamedTuple):
    key: Text
    value: "Kind"


class Field(NamedTuple):
    name: str
    """Attribute of the model."""
    key: str
    """Key in the manifest."""
    kind: "Kind"
    required: bool
    optional: bool
    """Null stands for nothing."""


class Record(NamedTuple):
    model: type[Section]

    @property
    def fields(self) -> dict[str, Field]:
        return fields_of(self.model)


class Either(NamedTuple):
    members: tuple["Kind", ...]


class Anything(NamedTuple):
    pass


Kind = Text | Number | Flag | Choice | ListOf | MappingOf | Record | Either | Anything


@cache
def fields_of(model: type[Section]) -> dict[str, Field]:
    """The fields of a model by the key that manifests use."""
    hints = typing.get_type_hints(model, include_extras=True)
    fields: dict[str, Field] = {}
    for info in msgspec.structs.fields(model):
        annotation = hints[info.name]
        optional = type(None) in typing.get_args(annotation)
        fields[info.encode_name] = Field(info.name, info.encode_name, kind_of(annotation), info.required, optional)
    return fields


def kind_of(annotation: Any, bound: Bound | None = None) -> Kind:
    """The kind of an annotation. Raises TypeError for one that models do not use."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    bound = bound or Bound()
    if origin is Annotated:
        return kind_of(arguments[0], annotation.__metadata__[0])
    if origin in (Union, types.UnionType):
        members = tuple(kind_of(member, bound) for member in arguments if member is not type(None))
        return members[0] if len(members) == 1 else Either(members)
    if origin is Literal:
        return Choice(arguments)
    if origin is list:
        return ListOf(kind_of(arguments[0]), bound)
    if origin is dict:
        key = kind_of(arguments[0])
        return MappingOf(key if isinstance(key, Text) else Text(), kind_of(arguments[1]))
    simple: dict[Any, Kind] = {
        str: Text(bound),
        int: Number(True, bound),
        float: Number(False, bound),
        bool: Flag(),
        Any: Anything(),
    }
    if annotation in simple:
        return simple[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return Record(annotation)
    raise TypeError(f"models do not use {annotation!r}")


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def same_sort(kind: Kind, value: Any) -> bool:
    """The value is text, number, list … as the kind wants; its bounds are not looked at."""
    match kind:
        case Text() | Choice():
            return isinstance(value, str)
        case Flag():
            return isinstance(value, bool)
        case Number():
            return isinstance(value, int if kind.whole else (int, float)) and not isinstance(value, bool)
        case ListOf():
            return isinstance(value, list)
        case MappingOf() | Record():
            return isinstance(value, dict)
        case Either():
            return any(same_sort(member, value) for member in kind.members)
        case Anything():
            return True


def fits(kind: Kind, value: Any) -> bool:
    """A scalar is of the sort and within the bounds."""
    if not same_sort(kind, value):
        return False
    match kind:
        case Text():
            if len(value) < (kind.bound.min_length or 0):
                return False
            return kind.bound.pattern is None or _pattern(kind.bound.pattern).fullmatch(value) is not None
        case Choice():
            return value in kind.options
        case Number():
            least, most = kind.bound.least, kind.bound.most
            return (least is None or value >= least) and (most is None or value <= most)
        case _:
            return True


def suggested(kind: Kind, value: Any) -> str:
    """What was probably meant by a value that does not fit, or ``""``."""
    for member in kind.members if isinstance(kind, Either) else (kind,):
        if isinstance(member, Choice) and isinstance(value, str):
            return closest(value, member.options)
        if isinstance(member, Text) and member.bound.unit and type(value) in (int, float) and 0 < value < 1_000_000:
            return f"{value}{member.bound.unit}"
    return ""


def describe(kind: Kind) -> str:
    """What is expected, in words."""
    match kind:
        case Either():
            return " or ".join(dict.fromkeys(describe(member) for member in kind.members))
        case Choice():
            return one_of(kind.options)
        case Text():
            return kind.bound.what or ("a text that is not empty" if kind.bound.min_length else "a text")
        case Flag():
            return "true or false"
        case Number():
            return ("a whole number" if kind.whole else "a number") + _range(kind.bound)
        case ListOf():
            return "a list"
        case Record() | MappingOf():
            return "a mapping"
        case Anything():
            return "a value"


def _range(bound: Bound) -> str:
    if bound.least is not None and bound.most is not None and bound.most < 1_000_000:
        return f" from {bound.least} to {bound.most}"
    return f" of {bound.least} or more" if bound.least is not None else ""


def placeholder(kind: Kind) -> Any:
    """A value of the kind to stand where there is none that can be used."""
    match kind:
        case Either():
            return placeholder(kind.members[0])
        case Record():
            required = (field for field in kind.fields.values() if field.required)
            return kind.model(**{field.name: placeholder(field.kind) for field in required})
        case Choice():
            return kind.options[0]
        case ListOf():
            return []
        case MappingOf():
            return {}
        case Anything():
            return None
        case Flag():
            return False
        case Number():
            return 0
        case Text():
            return ""
