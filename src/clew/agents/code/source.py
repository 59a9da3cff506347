"""A Python file as text and tree at once: where nodes lie in the text, and how to put other text in their place."""

import ast
import bisect
import builtins
from collections.abc import Iterator
from functools import cached_property

import msgspec

from clew.agents.code.kinds import call_name

ATOMS = (
    ast.Name,
    ast.Constant,
    ast.Call,
    ast.Attribute,
    ast.Subscript,
    ast.List,
    ast.Dict,
    ast.Set,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
    ast.JoinedStr,
)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LEVELS: tuple[tuple[tuple[type[ast.AST], ...], int], ...] = (
    ((ast.Tuple, ast.Yield, ast.YieldFrom, ast.NamedExpr, ast.Starred), -1),
    ((ast.Lambda,), 0),
    ((ast.IfExp,), 1),
    ((ast.Compare,), 5),
    ((ast.Await,), 14),
    (ATOMS, 15),
)
_OPERATOR_LEVELS: dict[type[ast.AST], int] = {
    ast.Or: 2,
    ast.And: 3,
    ast.Not: 4,
    ast.BitOr: 6,
    ast.BitXor: 7,
    ast.BitAnd: 8,
    ast.LShift: 9,
    ast.RShift: 9,
    ast.Add: 10,
    ast.Sub: 10,
    ast.Mult: 11,
    ast.Div: 11,
    ast.FloorDiv: 11,
    ast.Mod: 11,
    ast.MatMult: 11,
    ast.USub: 12,
    ast.UAdd: 12,
    ast.Invert: 12,
    ast.Pow: 13,
}


class Mutation(msgspec.Struct, frozen=True):
    """Replace bytes ``start:end`` of a file by ``text``. ``prior``: how usual such a fault is, 0 to 1."""

    operator: str
    line: int
    start: int
    end: int
    text: str
    prior: float


def precedence(node: ast.AST) -> int:
    """Binding strength of an expression, from the table of the language reference (6.17); 15 is an atom."""
    if isinstance(node, (ast.BinOp, ast.BoolOp, ast.UnaryOp)):
        return _OPERATOR_LEVELS[type(node.op)]
    return next((level for kinds, level in _LEVELS if isinstance(node, kinds)), 15)


class Source:
    """One file. Offsets are bytes of its UTF-8 text, as ``ast`` counts columns.

    Raises SyntaxError when the text does not parse, and UnicodeDecodeError when it is not UTF-8.
    """

    def __init__(self, path: str, data: bytes) -> None:
        self.path = path
        self.data = data
        data.decode("utf-8")
        self.tree = ast.parse(data, path)
        self._starts = [0]
        for line in data.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        return {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def statements(self) -> list[ast.stmt]:
        """All statements, in the order of the text."""
        found = [node for node in self.nodes if isinstance(node, ast.stmt)]
        return sorted(found, key=lambda s: (s.lineno, s.col_offset))

    @cached_property
    def bound(self) -> dict[ast.AST | None, set[str]]:
        """Variables by the function that gives them a value; under None those of the module and of classes."""
        found: dict[ast.AST | None, set[str]] = {}
        for node in self.nodes:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.setdefault(self.function_of(node), set()).add(node.id)
            elif isinstance(node, ast.arg):
                found.setdefault(self.function_of(node), set()).add(node.arg)
        return found

    @cached_property
    def known(self) -> set[str]:
        """Functions, classes and imports of any place, what any code makes global, and what the language has."""
        found = set(dir(builtins))
        for node in self.nodes:
            if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                found.add(node.name)
            elif isinstance(node, ast.alias):
                found.add((node.asname or node.name).partition(".")[0])
            elif isinstance(node, ast.ExceptHandler) and node.name:
                found.add(node.name)
            elif isinstance(node, ast.Global):
                found.update(node.names)
        return found

    @cached_property
    def named_calls(self) -> dict[str, list[ast.Call]]:
        """Calls with named arguments, by the last name of what is called."""
        found: dict[str, list[ast.Call]] = {}
        for node in self.nodes:
            if isinstance(node, ast.Call) and node.keywords:
                found.setdefault(call_name(node), []).append(node)
        return found

    @cached_property
    def signatures(self) -> dict[str, list[str]]:
        """Parameters of functions, methods and classes, by name."""
        found: dict[str, list[str]] = {}
        for node in self.nodes:
            if isinstance(node, FUNCTIONS):
                above = self.parents.get(node)
                name = above.name if node.name == "__init__" and isinstance(above, ast.ClassDef) else node.name
                every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                found.setdefault(name, [argument.arg for argument in every])
        return found

    def offset(self, line: int, column: int) -> int:
        return self._starts[line - 1] + column

    def line_at(self, offset: int) -> int:
        return bisect.bisect_right(self._starts, offset)

    def span(self, node: ast.expr | ast.stmt | ast.keyword | ast.arg) -> tuple[int, int]:
        return (
            self.offset(node.lineno, node.col_offset),
            self.offset(node.end_lineno or node.lineno, node.end_col_offset or node.col_offset),
        )

    def text(self, node: ast.expr | ast.stmt | ast.keyword | ast.arg) -> str:
        start, end = self.span(node)
        return self.data[start:end].decode("utf-8")

    def indent(self, statement: ast.stmt) -> str | None:
        """White space before a statement that begins its line, else None."""
        before = self.data[self.offset(statement.lineno, 0) : self.span(statement)[0]].decode("utf-8")
        return before if not before.strip() else None

    def lines_of(self, statement: ast.stmt) -> range:
        """Lines of a simple statement, or of the header of a compound one."""
        body: list[ast.stmt] = getattr(statement, "body", None) or getattr(statement, "cases", None) or []
        last = statement.end_lineno or statement.lineno
        if body:
            first = body[0]
            last = max(statement.lineno, getattr(first, "lineno", getattr(first, "pattern", first).lineno) - 1)
        return range(statement.lineno, last + 1)

    def expressions(self, statement: ast.stmt) -> Iterator[ast.expr]:
        """Expressions of the statement's own header, parents first; not those of statements inside it."""
        waiting: list[ast.AST] = list(ast.iter_child_nodes(statement))
        while waiting:
            node = waiting.pop(0)
            if isinstance(node, (ast.stmt, ast.ExceptHandler, ast.match_case)):
                continue
            if isinstance(node, ast.expr):
                yield node
            if isinstance(node, ast.JoinedStr):
                continue  # places inside f-strings are not to be relied upon before Python 3.12
            waiting = [*ast.iter_child_nodes(node), *waiting]

    def function_of(self, node: ast.AST) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The innermost function whose body holds ``node``."""
        return next((f for f in self.ancestors(node) if isinstance(f, FUNCTIONS)), None)

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        above = self.parents.get(node)
        while above is not None:
            yield above
            above = self.parents.get(above)

    def statement_of(self, node: ast.AST) -> ast.stmt:
        return next(n for n in (node, *self.ancestors(node)) if isinstance(n, ast.stmt))

    @cached_property
    def _bodies(self) -> list[tuple[int, int, tuple[int, str]]]:
        """(start, end, owner) of the bodies of outermost functions; a body on the line of its ``def`` is left out."""
        found: list[tuple[int, int, tuple[int, str]]] = []
        waiting: list[ast.AST] = list(self.tree.body)
        while waiting:
            node = waiting.pop()
            if not isinstance(node, FUNCTIONS):
                waiting.extend(child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr))
            elif node.body[0].lineno > node.lineno:
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                found.append((self.offset(node.body[0].lineno, 0), self.span(node)[1] + 1, (first, node.name)))
        return sorted(found)

    def owner(self, start: int, end: int) -> tuple[int, str] | None:
        """(first line, name) of the outermost function whose *body* holds the span, else None."""
        index = bisect.bisect_right(self._bodies, start, key=lambda body: body[0]) - 1
        if index >= 0 and end <= self._bodies[index][1]:
            return self._bodies[index][2]
        return None

    def put(self, node: ast.expr, text: str, operator: str, prior: float) -> Mutation:
        """A mutation that puts the expression ``text`` in the place of ``node``, in parentheses where they are needed."""
        start, end = self.span(node)
        if self._needs_parentheses(node, text, start, end):
            text = f"({text})"
        return Mutation(operator, node.lineno, start, end, text, prior)

    def _needs_parentheses(self, node: ast.expr, text: str, start: int, end: int) -> bool:
        try:
            new = ast.parse(text.strip(), mode="eval").body
        except SyntaxError:
            return False
        parent = self.parents.get(node)
        level = precedence(new)
        if isinstance(new, ast.Tuple) and text.lstrip().startswith("("):
            level = 15
        if level == 15:
            integer = isinstance(new, ast.Constant) and isinstance(new.value, (int, float))
            return integer and isinstance(parent, ast.Attribute)
        needed = _demand(parent, node)
        if needed is None or level >= needed:
            return False
        return not self._enclosed(start, end)

    def _enclosed(self, start: int, end: int) -> bool:
        before, after = self.data[:start].rstrip(), self.data[end:].lstrip()
        return before.endswith(b"(") and after.startswith(b")")


def _demand(parent: ast.AST | None, node: ast.expr) -> int | None:
    """The least precedence that may stand bare in the place of ``node``; None where anything may."""
    match parent:
        case ast.BinOp():
            return precedence(parent) + (0 if node is parent.left and not isinstance(parent.op, ast.Pow) else 1)
        case ast.BoolOp() | ast.Compare():
            return precedence(parent) + 1
        case ast.UnaryOp():
            return precedence(parent)
        case ast.IfExp():
            return 2
        case ast.Attribute() | ast.Await():
            return 15
        case ast.Subscript():
            return 15 if node is parent.value else None
        case ast.Call():
            return 15 if node is parent.func else 0
        case ast.keyword() | ast.Starred() | ast.comprehension() | ast.List() | ast.Tuple() | ast.Set() | ast.Dict():
            return 0 if not isinstance(parent, ast.comprehension) else 2
        case ast.Slice() | ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            return 0
        case ast.FormattedValue():
            return 2
        case _:
            return None
