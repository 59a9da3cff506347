"""What can be done without a plan: tools and fields filled by name from what is known, and texts quoted.

A value is taken only where its name and type fit and nothing else of that name stands beside it; the rest is missing and
is said to be.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec

from clew.core.errors import Failure
from clew.gate.ports.model import ToolCall, ToolOffer
from clew.gate.schema import Validator
from clew.models.offline.plan import AT_ONCE, named
from clew.models.offline.template import as_text, texts, walk

_MOST_FIELDS = 200
_MOST_DEPTH = 6
_SHOWN_FACTS = 40
_SHOWN_SENTENCES = 5
_WIDTH = 300
_SEPARATORS = re.compile("[_-]")
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")


class Source:
    """What is known under a name: a tool and its result, or ``input``."""

    def __init__(self, name: str, known: Any) -> None:
        self.name, self.known = name, known
        self._named: dict[str, list[tuple[int, Any]]] = {}
        for path, value in walk(known):
            if path:
                self._named.setdefault(path[-1], []).append((len(path), value))

    def nearest(self, name: str) -> list[Any]:
        """The values of that name that are nearest to the top."""
        found = self._named.get(name, [])
        return [value for depth, value in found if depth == found[0][0]]


def calls(tools: Sequence[ToolOffer], sources: Sequence[Source], called: set[str]) -> tuple[ToolCall, ...]:
    """One call of each tool that changes nothing, was not called yet, and whose required arguments are known."""
    found: list[ToolCall] = []
    for tool in tools:
        if tool.name not in called and not tool.mutates:
            form = _Form(tool.parameters or {"type": "object"}, sources)
            arguments = form.filled()
            if not form.missing:
                found.append(ToolCall(id=f"offline-{tool.name}", name=tool.name, arguments=arguments))
    return tuple(found[:AT_ONCE])


def fields(schema: dict[str, Any], sources: Sequence[Source]) -> Any:
    """A value that fits ``schema``. Raises Failure(offline_cannot) with the fields that are not known."""
    form = _Form(schema, sources)
    value = form.filled()
    if form.missing:
        names = ", ".join(form.missing)
        raise Failure(
            f"offline: no model was asked, and nothing known fills {names}",
            code="offline_cannot",
            details={"fields": form.missing},
            hint="declare a model, or a plan under the agent's parameters.offline",
        )
    return value


class _Form:
    """One schema being filled. ``missing``: required fields that nothing fills, and what does not fit."""

    def __init__(self, schema: dict[str, Any], sources: Sequence[Source]) -> None:
        self._schema = schema
        self._sources = sources
        self._fits = validator(schema)
        self._definitions: dict[str, dict[str, Any]] = {
            key: schema[key] for key in ("$defs", "definitions") if key in schema
        }
        self.missing: list[str] = []

    def filled(self) -> Any:
        value = self._object(self._schema, "$", _MOST_DEPTH)
        if not self.missing:
            self.missing += [problem["path"] for problem in self._fits.problems(value)]
        return value

    def _object(self, schema: dict[str, Any], path: str, depth: int) -> Any:
        properties = schema.get("properties")
        if not isinstance(properties, Mapping) and schema.get("type") != "object":
            self.missing.append(path)
            return None
        required = cast("Sequence[str]", schema.get("required") or ())
        value: dict[str, Any] = {}
        declared = cast("Mapping[str, Any]", properties or {})
        for name in [*declared, *(name for name in required if name not in declared)][:_MOST_FIELDS]:
            found = self._field(name, self._resolved(declared.get(name)), depth, name in required, f"{path}.{name}")
            if found is not msgspec.UNSET:
                value[name] = found
        return value

    def _field(self, name: str, schema: dict[str, Any], depth: int, required: bool, path: str) -> Any:
        found = self._known(name, schema)
        if found is not msgspec.UNSET or not required:
            return found
        for key in ("const", "default"):
            if key in schema:
                return schema[key]
        if schema.get("enum"):
            found = self._label(cast("list[Any]", schema["enum"]))
        elif "properties" in schema and depth > 0:
            return self._object(schema, path, depth - 1)
        if found is msgspec.UNSET:
            self.missing.append(path)
        return found

    def _known(self, name: str, schema: dict[str, Any]) -> Any:
        """A tool's whole result under the tool's name, or the one value of that name nearest to the top of a source."""
        fits = validator(schema)
        for source in self._sources:
            if source.name == name and not fits.problems(source.known):
                return source.known
            nearest = [value for value in source.nearest(name) if not fits.problems(value)]
            if nearest and all(value == nearest[0] for value in nearest):
                return nearest[0]
        return msgspec.UNSET

    def _label(self, labels: list[Any]) -> Any:
        """The only one there is, or the only one that the input names."""
        if len(labels) == 1:
            return labels[0]
        said = _SEPARATORS.sub(" ", "\n".join(texts(_input(self._sources))))
        hit = [label for label in labels if isinstance(label, str) and named(_SEPARATORS.sub(" ", label), said)]
        return hit[0] if len(hit) == 1 else msgspec.UNSET

    def _resolved(self, schema: Any) -> dict[str, Any]:
        """A subschema with the definitions that it may refer to; a reference to one of them is followed."""
        if not isinstance(schema, Mapping):
            return {}
        own = cast("dict[str, Any]", schema)
        reference = own.get("$ref")
        if isinstance(reference, str):
            _, _, name = reference.rpartition("/")
            for definitions in self._definitions.values():
                target = definitions.get(name)
                if isinstance(target, Mapping):
                    own = {**cast("dict[str, Any]", target), **{k: v for k, v in own.items() if k != "$ref"}}
        return {**self._definitions, **own}


def validator(schema: dict[str, Any]) -> Validator:
    """Raises Failure(invalid_request) for what is no usable schema."""
    try:
        return Validator(schema)
    except (Failure, RecursionError) as error:
        raise Failure(f"offline: {error}", code="invalid_request") from None


def _input(sources: Sequence[Source]) -> Any:
    return next((source.known for source in sources if source.name == "input"), None)


def prose(sources: Sequence[Source]) -> str:
    """The facts of the tools' results, else the first sentences of the input; quoted, not composed."""
    lines: list[str] = []
    for source in sources:
        if source.name != "input":
            lines += [f"{source.name}: {line}" for line in _facts(source.known)]
    if len(lines) > _SHOWN_FACTS:
        lines = [*lines[:_SHOWN_FACTS], f"and {len(lines) - _SHOWN_FACTS} more facts"]
    if lines:
        return "\n".join(lines)
    sentences: list[str] = []
    for text in texts(_input(sources)):
        sentences += [s.strip()[:_WIDTH] for s in _SENTENCE.findall(text[:100_000]) if s.strip()]
    quoted = " ".join(sentences[:_SHOWN_SENTENCES])
    return f"It was given: {quoted}" if quoted else "It was given no text."


def _facts(known: Any) -> Iterator[str]:
    for path, value in walk(known):
        if not isinstance(value, Mapping | list | tuple):
            text = " ".join(as_text(value)[:_WIDTH].split())
            yield f"{'.'.join(path)} = {text}" if path else text
