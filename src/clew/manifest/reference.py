"""The reference of the manifest format as Markdown, generated from the models; see ``generate``."""

import inspect

from clew.manifest.kinds import Either, Kind, ListOf, MappingOf, Record, describe, fields_of
from clew.manifest.models.base import Section
from clew.manifest.models.project import ALIASES, SECTIONS, VALUE_ALIASES, Project
from clew.manifest.schema import default_of, field_docs

_HEAD = """# Manifests

Generated from the models in `src/clew/manifest/models` by `python -m clew.manifest.generate`; do not edit.

A project is a directory. Each section below is a file of its own (`workflow.yaml`, `agents.yaml`, … or `.yml`, `.json`)
or a key of one `clew.yaml`; a section given twice is an error. Only `workflow` is required. `schemas/*.json` hold JSON
Schemas (draft 2020-12). YAML is read by the 1.2 core schema: `on`, `yes`, `no` and dates are strings. A file has at most
1 MiB, 64 levels and 100,000 values. Durations are `500ms`, `30s`, `5m`, `24h`; sizes `512MiB`; money is US dollars.

`clew check` reports everything that is wrong, with file, line and column; `clew schema` prints JSON Schemas for editors.
"""


def markdown() -> str:
    """The whole reference."""
    parts = [_HEAD]
    for name in SECTIONS:
        field = fields_of(Project)[name]
        parts.append(f"## {name}\n\n{field_docs(Project)[name]} {_sort(field.kind).capitalize()}.\n")
        seen: list[type[Section]] = []
        _collect(field.kind, seen)
        parts.extend(_table(model) for model in seen)
    parts.append(_aliases())
    return "\n".join(parts)


def _collect(kind: Kind, seen: list[type[Section]]) -> None:
    match kind:
        case Record():
            if kind.model not in seen:
                seen.append(kind.model)
                for field in kind.fields.values():
                    _collect(field.kind, seen)
        case Either():
            for member in kind.members:
                _collect(member, seen)
        case ListOf():
            _collect(kind.item, seen)
        case MappingOf():
            _collect(kind.value, seen)
        case _:
            pass


def _name(model: type[Section]) -> str:
    return model.__name__.removesuffix("Model")


def _sort(kind: Kind) -> str:
    match kind:
        case Record():
            return f"mapping: {_name(kind.model)}"
        case ListOf():
            return f"list of {_sort(kind.item)}"
        case MappingOf():
            return f"mapping of names to {_sort(kind.value)}"
        case Either():
            return " or ".join(dict.fromkeys(_sort(member) for member in kind.members))
        case _:
            return describe(kind)


def _table(model: type[Section]) -> str:
    docs = field_docs(model)
    lines = [f"### {_name(model)}\n", inspect.cleandoc(model.__doc__ or "").replace("``", "`") + "\n"]
    lines += ["| key | value | meaning |", "|---|---|---|"]
    for key, field in fields_of(model).items():
        default = default_of(model, field)
        note = "required" if field.required else ""
        if default not in (None, False):
            note = f"default `{default}`"
        value = _sort(field.kind).replace("|", "\\|") + (f"; {note}" if note else "")
        lines.append(f"| `{key}` | {value} | {docs[key]} |")
    return "\n".join(lines) + "\n"


def _aliases() -> str:
    lines = ["## Other spellings\n", "Read as well, and normalised:\n", "| in | read | written |", "|---|---|---|"]
    for model, spellings in ALIASES.items():
        lines += [f"| {model.__name__.removesuffix('Model')} | `{read}` | `{new}` |" for read, new in spellings.items()]
    for (model, key), values in VALUE_ALIASES.items():
        lines += [f"| {model.__name__}.{key} | `{read}` | `{new}` |" for read, new in values.items()]
    return "\n".join(lines) + "\n"
