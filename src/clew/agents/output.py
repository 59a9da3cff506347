"""From what a model answered to an output that fits: parse, repair, check, and what goes back to the model where it does not.

Truncated output never passes as complete: an answer that the provider cut off is not read at all, and only a segment whose
brackets and strings are closed is repaired.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from importlib import import_module
from typing import Any, cast

import msgspec

from clew.core.codec import plain
from clew.core.errors import Failure
from clew.core.routing import route_of
from clew.gate.schema import Validator

CORRECTIONS = 3
"""How often a wrong output goes back to the model at most."""

_REPAIRER = "json_repair"
"""Loaded when JSON is broken, not before."""
_MOST_REPAIRED = 200_000
"""Characters; broken JSON beyond is not worth the time of a repair."""
_SHOWN = 2_000
_FENCED = re.compile(r"```[a-zA-Z]*[ \t]*\n((?:(?!```).)*?)```\s*\Z", re.DOTALL)
_OPENED = {"{": "}", "[": "]"}
_OPENS = re.compile(r"[{\[]")
_STRING = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
_BARE = r"[^\s\"'{}\[\],:;]+"
_COMMENTS = re.compile(rf"({_STRING})|(?://|\#)\s[^\n]*|/\*.*?\*/", re.DOTALL)
_TOKENS = re.compile(
    rf"(?P<text>{_STRING})|(?P<name>{_BARE})(?=\s*:)|(?P<word>{_BARE}|[\"'])|(?P<sign>[{{}}\[\]])", re.DOTALL
)
_ESCAPES = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_LITERALS = {"true": "true", "false": "false", "null": "null", "True": "true", "False": "false", "None": "null"}
_ELIDED = re.compile(r"[\[,:]\s*,")
"""Outside strings: something was left out, and a repair would have to invent it."""

MOST_LEVELS = 100
"""Of a JSON value: everything that walks it, recursion or not, can."""

Token = tuple[str, str | Decimal]
Answer = Mapping[str, Any]
"""A ``ModelAnswer`` as JSON."""


class Output:
    """Judges the final answers of one conversation. ``labels``: the output must name one of them, as a decision's does."""

    def __init__(self, schema: Any = None, labels: Sequence[str] = (), corrections: int = CORRECTIONS) -> None:
        self._validator = None if schema is None else Validator(schema)
        self._text = isinstance(schema, Mapping) and cast("Mapping[str, Any]", schema).get("type") == "string"
        self._labels = labels
        self._left = corrections

    def complete(self, answer: Answer) -> None:
        """Raises Failure: ``truncated``, or ``refused`` and ``provider_error``, which no correction mends."""
        finish = answer.get("finish", "stop")
        if finish == "length":
            raise Failure("the answer was cut off at the limit of its length", code="truncated")
        if finish == "content_filter":
            text = text_of(answer)
            raise Failure("the model declined to answer", code="refused", details={"text": text[:_SHOWN]})
        if finish == "error":
            raise Failure("the provider ended the answer with an error", code="provider_error")

    def take(self, answer: Answer) -> Any:
        """The output that a complete answer gives. Raises Failure(invalid_output) that says what is wrong with it."""
        text = text_of(answer)
        if not text.strip():
            raise _wrong("the answer is empty")
        if self._validator is None:
            return text
        value = self._parsed(text)
        self._validator.check(value, code="invalid_output", what="the answer does not fit its schema")
        if self._labels:
            try:
                route_of(value, self._labels)
            except Failure as unknown:
                raise _wrong(unknown.message) from None
        return value

    def correction(self, answer: Answer, wrong: Failure) -> list[dict[str, Any]]:
        """Messages that give ``wrong`` back to the model. Raises it where that cannot help, or not any more."""
        if self._left == 0 or wrong.code not in ("truncated", "invalid_output"):
            raise wrong
        self._left -= 1
        parts = [
            p for p in answer["parts"] if p["type"] != "tool_call"
        ]  # none was performed, and a call needs its response
        if wrong.code == "truncated":  # a thought that breaks off cannot be handed back
            parts = [p for p in parts if p["type"] == "text"]
            advice = "Answer again, shorter, so that the answer is complete."
        else:
            advice = "Answer again, in full, with this put right."
            if self._validator is not None:
                advice += " Give the JSON value alone."
        said = (
            [{"role": "assistant", "parts": parts}]
            if any(p["type"] == "text" and p["content"].strip() for p in parts)
            else []
        )
        content = f"This answer cannot be used: {wrong.message[:_SHOWN]}. {advice}"
        return [*said, {"role": "user", "parts": [{"type": "text", "content": content}]}]

    def _parsed(self, text: str) -> Any:
        try:
            return parse(text)
        except Failure:
            if self._text:  # a schema of plain text does not ask for quotes
                return text.strip()
            raise


def text_of(answer: Answer) -> str:
    return "".join(p["content"] for p in answer["parts"] if p["type"] == "text")


def parse(text: str) -> Any:
    """The JSON value in ``text``: all of it, the fenced block it ends with, or its last closed segment; repaired if need be.

    Raises Failure(invalid_output).
    """
    value = _value(text)
    if too_deep(value):
        raise _wrong(f"the JSON is nested deeper than {MOST_LEVELS} levels")
    return value


def too_deep(value: Any) -> bool:
    """Whether it is nested deeper than anything that walks it may go."""
    level = [value]
    for _ in range(MOST_LEVELS):
        level = [
            inner
            for one in level
            for inner in (
                cast("dict[str, Any]", one).values() if isinstance(one, dict) else one if isinstance(one, list) else ()
            )
        ]
        if not level:
            return False
    return True


def _value(text: str) -> Any:
    found, value = _strict(text)
    if found:
        return value
    fenced = _FENCED.search(text)
    body = fenced[1] if fenced else text
    if fenced:
        found, value = _strict(body)
        if found:
            return value
    segment = _last_segment(body)
    found, value = _strict(segment)
    return value if found else _repaired(segment)


def _strict(text: str) -> tuple[bool, Any]:
    try:
        return True, msgspec.json.decode(text.strip())
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return False, None


def _last_segment(text: str) -> str:
    """The last ``{…}`` or ``[…]`` of the text whose brackets and strings are closed. What is open to the end hides all within."""
    segment, at = "", 0
    while match := _OPENS.search(text, at):
        at = _end(text, match.start())
        segment = text[match.start() : at]
    if not segment:
        raise _wrong("the answer holds no JSON")
    return segment


def _end(text: str, start: int) -> int:
    """Where the segment that begins at ``start`` ends."""
    closers: list[str] = []
    at = start
    while at < len(text):
        char = text[at]
        if char in _OPENED:
            closers.append(_OPENED[char])
        elif char in "}]":
            if closers.pop() != char:
                raise _wrong("the JSON's brackets do not match")
            if not closers:
                return at + 1
        elif char == '"' or (char == "'" and _may_open(text, at)):
            at = _closed_string(text, at)
            continue
        at += 1
    raise _wrong("the JSON ends before it is closed")


def _may_open(text: str, at: int) -> bool:
    """Whether an apostrophe stands where a string may begin."""
    before = at - 1
    while before >= 0 and text[before].isspace():
        before -= 1
    return before >= 0 and text[before] in "{[,:"


def _closed_string(text: str, at: int) -> int:
    quote, at = text[at], at + 1
    while at < len(text):
        if text[at] == quote:
            return at + 1
        at += 2 if text[at] == "\\" else 1
    raise _wrong("the JSON ends within a text")


def _repaired(segment: str) -> Any:
    """The repair, where it has the very tokens of ``segment``: quotes and commas may be put right, nothing else is guessed."""
    bare = _COMMENTS.sub(r"\1", segment) if len(segment) <= _MOST_REPAIRED else ""
    try:
        written = [*_written(bare)]
        value: Any = plain(_repair().loads(segment, skip_json_loads=True, strict=True))
        same = written == [*_tokens(value)]
    except (ValueError, TypeError, ArithmeticError, RecursionError):
        same, value = False, None
    if not same or _ELIDED.search(_TOKENS.sub("0", bare)):
        raise _wrong("the JSON is not well-formed")
    return value


def _written(text: str) -> Iterator[Token]:
    """Tokens of what is almost JSON. Raises ValueError for an odd quote, and a word that is no field's name or literal."""
    for found in _TOKENS.finditer(text):
        kind, token = str(found.lastgroup), found[0]
        if kind == "text":
            yield "text", _ESCAPES.sub(lambda e: chr(int(e[1], 16)) if e[1] else _ESCAPED.get(e[2], e[2]), token[1:-1])
        elif kind == "name":
            yield "text", token
        elif kind == "sign":
            yield "sign", token
        elif token in _LITERALS:
            yield "literal", _LITERALS[token]
        elif _NUMBER.fullmatch(token):
            yield "number", Decimal(token)
        else:
            raise ValueError(token)


def _tokens(value: Any) -> Iterator[Token]:
    """Those that a JSON value is written with."""
    if isinstance(value, dict):
        yield "sign", "{"
        for name, inner in cast("dict[str, Any]", value).items():
            yield "text", name
            yield from _tokens(inner)
        yield "sign", "}"
    elif isinstance(value, list):
        yield "sign", "["
        for inner in cast("list[Any]", value):
            yield from _tokens(inner)
        yield "sign", "]"
    else:
        yield from [("text", value)] if isinstance(value, str) else _written(msgspec.json.encode(value).decode())


@cache
def _repair() -> Any:
    return import_module(_REPAIRER)


def _wrong(message: str) -> Failure:
    return Failure(message, code="invalid_output")
