"""The code that an error is about: functions around the places that a log names, failing tests, and what these call."""

import ast
from collections.abc import Callable, Iterator, Sequence

import msgspec

from clew.agents.code.roles.logs import Read
from clew.agents.code.runner.scope import editable, split_node_id
from clew.agents.code.source import FUNCTIONS, Source

MOST = 8
LINES = 120
"""Of one excerpt; a longer function is shown around its place."""
_FILES = 400

Text = Callable[[str], str | None]


class Excerpt(msgspec.Struct, frozen=True):
    """Lines ``start`` to ``end`` of a file."""

    path: str
    start: int
    end: int
    code: str


def excerpts(read: Read, target: str, files: Sequence[str], text: Text) -> list[Excerpt]:
    """The most telling first: code under test before tests. ``text`` gives a file's, ``target`` is shown in any case."""
    sources = _Sources(text)
    found: list[Excerpt] = []
    for place in read.places:
        found += sources.around(place.file, place.line)
    wanted: dict[str, None] = {}
    for test in read.tests:
        path, rest = split_node_id(test)
        name = rest.partition("[")[0].rpartition("::")[2] or rest.partition("[")[0]
        for function in sources.functions(path):
            if function.name == name:
                found += sources.around(path, function.lineno)
                wanted.update(dict.fromkeys(_called(function)))
    for path in [path for path in files if editable(path)][:_FILES] if wanted else ():
        for function in sources.functions(path):
            if function.name in wanted:
                found += sources.around(path, function.lineno)
    if target and not any(one.path == target for one in found):
        found += sources.around(target, 1)
    distinct = list(dict.fromkeys(found))
    return sorted(distinct, key=lambda one: (one.path != target, not editable(one.path), distinct.index(one)))[:MOST]


class _Sources:
    def __init__(self, text: Text) -> None:
        self._text = text
        self._parsed: dict[str, Source | None] = {}

    def _source(self, path: str) -> Source | None:
        if path not in self._parsed:
            text = self._text(path)
            try:
                self._parsed[path] = None if text is None else Source(path, text.encode())
            except (SyntaxError, ValueError, RecursionError):
                self._parsed[path] = None
        return self._parsed[path]

    def functions(self, path: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        source = self._source(path)
        if source is not None:
            yield from (node for node in ast.walk(source.tree) if isinstance(node, FUNCTIONS))

    def around(self, path: str, line: int) -> Iterator[Excerpt]:
        """The innermost function that holds the line, else the lines about it."""
        text = self._text(path)
        if text is None:
            return
        lines = text.splitlines()
        holding = [f for f in self.functions(path) if f.lineno <= line <= (f.end_lineno or f.lineno)]
        inner = max(holding, key=lambda f: f.lineno, default=None)
        start = 1 if inner is None else min([inner.lineno, *(d.lineno for d in inner.decorator_list)])
        end = len(lines) if inner is None else inner.end_lineno or inner.lineno
        if end - start >= LINES:
            start = max(start, line - LINES // 2)
            end = min(end, start + LINES - 1)
        if lines:
            yield Excerpt(path, start, end, "\n".join(lines[start - 1 : end]))


def _called(function: ast.AST) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.func.id
            elif isinstance(node.func, ast.Attribute):
                yield node.func.attr
