"""JSON Schemas for editors, generated from the models: one a section, one for a whole ``clew.yaml``.

They say less than ``check`` (no references, no graph) and only the one spelling that is written.
"""

import ast
import inspect
import sys
from functools import cache
from typing import Any

import msgspec

from clew.manifest.kinds import (
    Anything,
    Choice,
    Either,
    Field,
    Flag,
    Kind,
    ListOf,
    MappingOf,
    Number,
    Record,
    Text,
    fields_of,
)
from clew.manifest.models.base import Section
from clew.manifest.models.project import SECTIONS, Project

DRAFT = "https://json-schema.org/draft/2020-12/schema"
WHOLE = "clew"


def section_schema(name: str) -> dict[str, Any]:
    """JSON Schema of a section's file, or of ``clew.yaml`` for ``clew``. Raises KeyError for any other name."""
    definitions: dict[str, Any] = {}
    if name == WHOLE:
        content = _record(Project, definitions)
    else:
        field = fields_of(Project)[name]
        content = _schema(field.kind, definitions)
        content = {"description": field_docs(Project)[name], **content}
    schema = {"$schema": DRAFT, "title": f"{name}.yaml of a Clew project", **content}
    if definitions:
        schema["$defs"] = dict(sorted(definitions.items()))
    return schema


def all_schemas() -> dict[str, dict[str, Any]]:
    """Every schema by the name of its file, without the ending."""
    return {name: section_schema(name) for name in (WHOLE, *SECTIONS)}


@cache
def field_docs(model: type[Section]) -> dict[str, str]:
    """Key -> docstring of the field, from the model's source."""
    source = inspect.getsource(sys.modules[model.__module__])
    names = {field.name: field.key for field in fields_of(model).values()}
    docs: dict[str, str] = {}
    for definition in ast.parse(source).body:
        if not isinstance(definition, ast.ClassDef) or definition.name != model.__name__:
            continue
        for statement, following in zip(definition.body, definition.body[1:], strict=False):
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                text = _text(following)
                if text:
                    docs[names[statement.target.id]] = text.replace("``", "`")
    return docs


def _text(statement: ast.stmt) -> str:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return " ".join(value.value.split()) if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""


def default_of(model: type[Section], field: Field) -> Any:
    """The value of a field that is not written, or ``None`` when the format has no default for it."""
    for info in msgspec.structs.fields(model):
        if info.name == field.name and info.default is not msgspec.NODEFAULT:
            return info.default
    return None


def _record(model: type[Section], definitions: dict[str, Any]) -> dict[str, Any]:
    docs = field_docs(model)
    properties: dict[str, Any] = {}
    for key, field in fields_of(model).items():
        properties[key] = {"description": docs[key], **_schema(field.kind, definitions)}
        default = default_of(model, field)
        if default is not None:
            properties[key]["default"] = default
    required = [key for key, field in fields_of(model).items() if field.required]
    schema: dict[str, Any] = {"type": "object", "description": inspect.cleandoc(model.__doc__ or "").replace("``", "`")}
    schema["properties"] = properties
    if required:
        schema["required"] = required
    schema["additionalProperties"] = False
    return schema


def _schema(kind: Kind, definitions: dict[str, Any]) -> dict[str, Any]:
    match kind:
        case Record():
            name = kind.model.__name__.removesuffix("Model")
            if name not in definitions:
                definitions[name] = {}  # a model that contains itself ends here
                definitions[name] = _record(kind.model, definitions)
            return {"$ref": f"#/$defs/{name}"}
        case Either():
            return {"anyOf": [_schema(member, definitions) for member in kind.members]}
        case ListOf():
            items = {"type": "array", "items": _schema(kind.item, definitions)}
            return items | ({"minItems": kind.bound.min_length} if kind.bound.min_length else {})
        case MappingOf():
            mapping = {"type": "object", "additionalProperties": _schema(kind.value, definitions)}
            return mapping | ({"propertyNames": {"pattern": kind.key.bound.pattern}} if kind.key.bound.pattern else {})
        case Choice():
            return {"enum": list(kind.options)}
        case Flag():
            return {"type": "boolean"}
        case Anything():
            return {}
        case Text():
            limits = {"pattern": kind.bound.pattern, "minLength": kind.bound.min_length}
            return {"type": "string", **_given(limits)}
        case Number():
            limits = {"minimum": kind.bound.least, "maximum": kind.bound.most}
            return {"type": "integer" if kind.whole else "number", **_given(limits)}


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
