"""A run's input from the command line: JSON, a file or stdin, and single values at dotted paths."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import click
import msgspec

from clew.core.errors import UsageError

MAX_INPUT = 64 * 1024 * 1024
_TIME = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)?")
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def input_options(function: Any) -> Any:
    """``--input``, ``--input-file`` and ``--set``: what ``build`` puts together."""
    for option in (
        click.option(
            "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Set one value of the input; dots lead inwards."
        ),
        click.option("--input-file", metavar="FILE", help="The input as a JSON file; - is stdin."),
        click.option("--input", "text", metavar="JSON", help="The input, as JSON."),
    ):
        function = option(function)
    return function


def build(text: str | None, file: str | None, sets: Sequence[str]) -> Any:
    """The input. Raises UsageError for what is no JSON, no file, or given twice."""
    if text is not None and file is not None:
        raise UsageError("--input and --input-file exclude each other")
    value: Any = None
    if text is not None:
        value = parse(text, "--input")
    elif file is not None:
        value = parse(_read(file), "the input" if file == "-" else file)
    for item in sets:
        path, equals, given = item.partition("=")
        if not equals or not path:
            raise UsageError(f"--set {item!r} is no KEY=VALUE")
        value = _set(value, path.split("."), loose(given), path)
    return value


def parse(text: str | bytes, what: str) -> Any:
    """JSON. Raises UsageError that says where it breaks off."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise UsageError(f"{what} is no JSON: {error}", hint="text needs quotes: '\"like this\"'") from None


def loose(text: str) -> Any:
    """JSON where it is JSON, else the text itself."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return text


def pairs(items: Sequence[str], option: str) -> dict[str, Any]:
    """``path=value`` items as a mapping; the path may be empty (the whole)."""
    found: dict[str, Any] = {}
    for item in items:
        path, equals, given = item.partition("=")
        if not equals:
            raise UsageError(f"{option} {item!r} is no PATH=VALUE")
        found[path] = loose(given)
    return found


def milliseconds(text: str | None, option: str) -> int | None:
    """``500ms``, ``30s``, ``5m``, ``24h``, ``2d``, or seconds."""
    if text is None:
        return None
    match = _TIME.fullmatch(text.strip())
    if match is None or float(match[1]) == 0:
        raise UsageError(f"{option} {text!r} is no duration", hint="such as 500ms, 30s, 5m or 24h")
    return int(float(match[1]) * _UNITS[match[2] or "s"])


def _read(name: str) -> bytes:
    try:
        if name == "-":
            data = sys.stdin.buffer.read(MAX_INPUT + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(MAX_INPUT + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"cannot read {name}: {reason}") from None
    if len(data) > MAX_INPUT:
        raise UsageError(f"{name} is larger than {MAX_INPUT // 1024 // 1024} MiB")
    return data


def _set(value: Any, path: Sequence[str], new: Any, whole: str) -> Any:
    if not path:
        return new
    head, rest = path[0], path[1:]
    if isinstance(value, list) and head.isdecimal():
        items: list[Any] = list(cast("list[Any]", value))
        at = int(head)
        if at > len(items):
            raise UsageError(f"--set {whole}: the list has {len(items)} items")
        items[at : at + 1] = [_set(items[at] if at < len(items) else None, rest, new, whole)]
        return items
    if value is None or isinstance(value, dict):
        mapping: dict[str, Any] = dict(cast("dict[str, Any]", value or {}))
        mapping[head] = _set(mapping.get(head), rest, new, whole)
        return mapping
    found = "list" if isinstance(value, list) else type(cast("object", value)).__name__
    raise UsageError(f"--set {whole}: there is a {found} in the way of {head!r}")
