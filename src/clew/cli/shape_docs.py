"""Fields of a document with their types and docs, read from the source of its class."""

import ast
import inspect
import sys
import types
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

_NAMES = {str: "text", int: "integer", bool: "boolean", float: "number", Any: "any value", type(None): "null"}


def documented_fields(shape: type[msgspec.Struct]) -> Iterator[tuple[str, str, str]]:
    """Name in JSON, type in words, and the docstring below the field (or nothing)."""
    docs = _docs(shape)
    kinds = get_type_hints(shape)
    for field in msgspec.structs.fields(shape):
        yield field.encode_name, _kind(kinds[field.name]), docs.get(field.name, "")


def _docs(shape: type[msgspec.Struct]) -> dict[str, str]:
    source = inspect.getsource(sys.modules[shape.__module__])
    body = next(n for n in ast.parse(source).body if isinstance(n, ast.ClassDef) and n.name == shape.__name__).body
    found: dict[str, str] = {}
    for statement, following in pairwise(body):
        text = following.value if isinstance(following, ast.Expr) else None
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        if isinstance(text, ast.Constant) and isinstance(text.value, str):
            found[statement.target.id] = " ".join(text.value.split()).replace("``", "`")
    return found


def _kind(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(member) for member in inner)
    if origin in (list, tuple):
        return f"list of {_kind(inner[0])}"
    if origin is dict:
        return "object"
    if inner:
        return " or ".join(f"`{value}`" for value in inner)
    if kind in _NAMES:
        return _NAMES[kind]
    return f"[{kind.__name__}](#{kind.__name__.lower()})"
