"""Texts in pieces: at headings, definitions and paragraphs, none longer than fits well into a context."""

import ast
import re
from collections.abc import Iterable, Iterator
from itertools import chain, repeat

import msgspec

from clew.context import tokens
from clew.context.graph.extract import parsed

MOST = 400
"""Tokens of a piece."""
_WINDOW = 16 * MOST
"""Characters of a line that are looked at for the next piece of it."""

_HEADING = re.compile(r"(#{1,6})[ \t]++(?=\S)")
_LONGEST_TITLE = 300
_FENCE = re.compile(r"^[ \t]{0,3}(```|~~~)")
_BLANK = re.compile(r"\n[ \t]*\n")


class Piece(msgspec.Struct, frozen=True):
    """``title``: the headings above it, or what it defines. ``line``: where it begins, from 1; 0: a file without lines."""

    text: str
    title: str = ""
    line: int = 0


def markdown(text: str) -> Iterator[Piece]:
    """Cut at headings; each piece says under which it stands."""
    above: list[str] = []
    lines: list[str] = []
    start, fenced = 1, False
    for number, line in enumerate(text.split("\n"), 1):
        fenced ^= bool(_FENCE.match(line))
        heading = None if fenced else _HEADING.match(line)
        title = line[heading.end() :].rstrip(" \t#") if heading else ""
        if heading and 0 < len(title) <= _LONGEST_TITLE:
            yield from _packed("\n".join(lines), " > ".join(filter(None, above)), start)
            level = len(heading[1])
            above = [*above[: level - 1], *[""] * (level - 1 - len(above)), title]
            lines, start = [], number
        lines.append(line)
    yield from _packed("\n".join(lines), " > ".join(filter(None, above)), start)


def python(text: str) -> Iterator[Piece]:
    """Cut at top-level definitions; a class that is too long, at its methods. What does not parse is cut as text."""
    tree = parsed(text)
    if tree is None:
        yield from plain(text)
        return
    lines = text.split("\n")
    cuts: list[tuple[int, str]] = []
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if not cuts or cuts[-1][1]:
                cuts.append((_first_line(node), ""))
            continue
        cuts.append((_first_line(node), node.name))
        if isinstance(node, ast.ClassDef) and tokens.count("\n".join(lines[node.lineno - 1 : node.end_lineno])) > MOST:
            methods = [m for m in node.body if isinstance(m, ast.FunctionDef | ast.AsyncFunctionDef)]
            cuts += [(_first_line(method), f"{node.name}.{method.name}") for method in methods]
    edges = [(1, cuts[0][1]), *cuts[1:]] if cuts else [(1, "")]
    for (first, name), (after, _) in zip(edges, [*edges[1:], (len(lines) + 1, "")], strict=True):
        yield from _packed("\n".join(lines[first - 1 : after - 1]), name, first)


def plain(text: str) -> Iterator[Piece]:
    """Cut at blank lines."""
    yield from _packed(text, "", 1)


def table(header: list[str], rows: Iterable[list[str]]) -> Iterator[Piece]:
    """Some rows each, every value with the name of its column; a row that is too long, in several. ``line``: its first row, the
    header being 1. A header without rows is told by itself."""
    told: list[str] = []
    size, start, last = 0, 2, 1
    for number, row in enumerate(rows, 2):
        for line, _ in _bounded(_row(header, row), number):
            length = tokens.count(line)
            if told and size + length > MOST:
                yield Piece("\n".join(told), f"rows {start}-{last}", start)
                told, size = [], 0
            if not told:
                start = number
            if line:
                told.append(line)
                size, last = size + length, number
    if told:
        yield Piece("\n".join(told), f"rows {start}-{last}", start)
    elif last == 1 and any(header):
        yield from (Piece(line, "row 1", 1) for line, _ in _bounded(_row([], header), 1))


def _row(header: list[str], row: list[str]) -> str:
    named = zip(chain(header, repeat("")), row, strict=False)
    return "; ".join(f"{name}: {value}" if name else value for name, value in named if value)


def _first_line(node: ast.stmt) -> int:
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)])


def _packed(text: str, title: str, line: int) -> Iterator[Piece]:
    """Whole paragraphs as long as they fit; a paragraph that does not fit by itself is cut at its lines, a line at its words."""
    room, start, kept = MOST, line, list[str]()
    for paragraph, first in _paragraphs(text, line):
        size = tokens.count(paragraph) + 1
        if kept and size > room:
            yield Piece("\n\n".join(kept), title, start)
            kept, room = [], MOST
        if not kept:
            start = first
        kept.append(paragraph)
        room -= size
    if kept:
        yield Piece("\n\n".join(kept), title, start)


def _paragraphs(text: str, line: int) -> Iterator[tuple[str, int]]:
    place, first = 0, line
    for end in (*(found.start() for found in _BLANK.finditer(text)), len(text)):
        paragraph = text[place:end].strip("\n")
        if paragraph.strip():
            yield from _bounded(paragraph, first + _leading(text[place:end]))
        first += text.count("\n", place, end)
        place = end


def _leading(text: str) -> int:
    return len(text) - len(text.lstrip("\n"))


def _bounded(paragraph: str, line: int) -> Iterator[tuple[str, int]]:
    if tokens.count(paragraph) <= MOST:
        yield paragraph, line
        return
    kept: list[str] = []
    room, first = MOST, line
    for number, one in enumerate(paragraph.split("\n"), line):
        at = 0
        while at < len(one):
            fits = tokens.cut(one[at : at + _WINDOW], MOST) or one[at : at + MOST]
            if kept and tokens.count(fits) + 1 > room:
                yield "\n".join(kept), first
                kept, room = [], MOST
            if not kept:
                first = number
            kept.append(fits)
            room -= tokens.count(fits) + 1
            at += len(fits)
            if not one[at : at + _WINDOW].strip() and not one[at:].strip():
                break
    if kept:
        yield "\n".join(kept), first
