"""Templates: JSON with ``{{paths}}`` into what is known. No code, no conditions, no loops.

A text that is one path stands for the value itself, types kept; within other text a path is replaced by the value as text. A
path is names with dots (``input.files.0.name``). ``{{path?}}`` may lead nowhere: its key or item is left out, within text it is
empty. What is put in is never read as a template again, so data cannot ask for other data.
"""

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, cast

import msgspec

from clew.core.errors import Failure

_HOLE = re.compile(r"\{\{\s*([A-Za-z_][\w-]*(?:\.[\w-]+)*)(\?)?\s*\}\}")
_MOST_TEXT = 1 << 20
_MOST_DEPTH = 32
MOST_VALUES = 10_000


def fill(template: Any, scope: Mapping[str, Any]) -> Any:
    """The template with its paths followed in ``scope``; UNSET where it is one optional path that leads nowhere.

    Raises Failure: offline_cannot (a path leads nowhere), invalid_request (no usable template).
    """
    return _filled(template, scope, _MOST_DEPTH)


def _filled(template: Any, scope: Mapping[str, Any], depth: int) -> Any:
    if depth == 0:
        raise Failure(f"an offline template is nested deeper than {_MOST_DEPTH}", code="invalid_request")
    if isinstance(template, str):
        return _text(template, scope)
    if isinstance(template, Mapping):
        fields = cast("Mapping[str, Any]", template)
        filled = {key: _filled(value, scope, depth - 1) for key, value in fields.items()}
        return {key: value for key, value in filled.items() if value is not msgspec.UNSET}
    if isinstance(template, list | tuple):
        items = [_filled(item, scope, depth - 1) for item in cast("Sequence[Any]", template)]
        return [item for item in items if item is not msgspec.UNSET]
    return template


def _text(template: str, scope: Mapping[str, Any]) -> Any:
    whole = _HOLE.fullmatch(template.strip())
    if whole:
        return follow(whole[1], scope, optional=bool(whole[2]))
    pieces: list[str] = []
    at = 0
    for hole in _HOLE.finditer(template):
        value = follow(hole[1], scope, optional=bool(hole[2]))
        pieces += template[at : hole.start()], as_text(value)
        at = hole.end()
    rest = template[at:]
    if "{{" in rest or any("{{" in piece for piece in pieces[::2]):
        raise Failure(
            f"offline template {template[:100]!r}: '{{{{' without a path",
            code="invalid_request",
            hint="a path is names with dots: {{input.directory}}",
        )
    text = "".join([*pieces, rest])
    if len(text) > _MOST_TEXT:
        raise Failure(f"an offline template fills more than {_MOST_TEXT} characters", code="offline_cannot")
    return text


def follow(path: str, scope: Mapping[str, Any], *, optional: bool = False) -> Any:
    """The value that a path leads to. Raises Failure(offline_cannot), unless ``optional``: then UNSET."""
    value: Any = scope
    names = path.split(".")
    for depth, name in enumerate(names):
        value = _step(value, name)
        if value is msgspec.UNSET:
            if optional:
                return value
            reached = ".".join(names[: depth + 1])
            raise Failure(f"offline: nothing is known of {reached!r} (wanted: {path})", code="offline_cannot")
    return value


def _step(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value).get(name, msgspec.UNSET)
    if isinstance(value, list | tuple) and name.isdecimal() and name.isascii():
        items = cast("Sequence[Any]", value)
        index = int(name[:9])
        return items[index] if index < len(items) else msgspec.UNSET
    return msgspec.UNSET


def as_text(value: Any) -> str:
    """A value within text: texts as they are, all else as JSON, nothing for UNSET."""
    if isinstance(value, str):
        return value[: _MOST_TEXT + 1]
    return "" if value is msgspec.UNSET else msgspec.json.encode(value).decode()


def walk(value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """``value`` and what is in it as (path, value), the outer before the inner; ends after MOST_VALUES."""
    queue: deque[tuple[tuple[str, ...], Any]] = deque([((), value)])
    for _ in range(MOST_VALUES):
        if not queue:
            return
        path, inner = queue.popleft()
        yield path, inner
        room = MOST_VALUES - len(queue)
        if isinstance(inner, Mapping):
            fields = cast("Mapping[str, Any]", inner)
            queue.extend(((*path, str(key)), item) for key, item in islice(fields.items(), room))
        elif isinstance(inner, list | tuple):
            items = cast("Sequence[Any]", inner)
            queue.extend(((*path, str(index)), item) for index, item in enumerate(islice(items, room)))


def texts(value: Any) -> list[str]:
    """Every text in it, names of fields aside."""
    return [inner for _, inner in walk(value) if isinstance(inner, str)]
