"""Arithmetic, bitwise and Boolean operators: another operator, other operands, one operand too many."""

import ast
import io
import tokenize
from collections.abc import Iterator

from clew.agents.code.context import Context
from clew.agents.code.kinds import NUMBER, TEXT
from clew.agents.code.source import Mutation, Source

FAMILY = "operator"

SYMBOLS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
}
_USUAL: dict[type[ast.operator], tuple[tuple[str, float], ...]] = {
    ast.Add: (("-", 0.6), ("*", 0.3)),
    ast.Sub: (("+", 0.6), ("//", 0.1), ("*", 0.1), ("%", 0.1)),
    ast.Mult: (("+", 0.3), ("/", 0.2), ("//", 0.3), ("**", 0.25), ("%", 0.15)),
    ast.Div: (("//", 0.7), ("*", 0.4), ("%", 0.2)),
    ast.FloorDiv: (("/", 0.5), ("%", 0.5), ("*", 0.3)),
    ast.Mod: (("//", 0.5), ("/", 0.2), ("*", 0.15)),
    ast.Pow: (("*", 0.5),),
    ast.LShift: ((">>", 0.6), ("*", 0.1)),
    ast.RShift: (("<<", 0.6), ("&", 0.1)),
    ast.BitAnd: (("|", 0.6), ("^", 0.5), ("-", 0.15)),
    ast.BitOr: (("&", 0.6), ("^", 0.5), ("-", 0.15)),
    ast.BitXor: (("&", 0.6), ("|", 0.5), ("-", 0.1)),
}
_ARITHMETIC = ("+", "-", "*", "/", "//", "%", "**")
_RARE = 0.05
"""For the operators of arithmetic that are seldom mistaken for one another."""
INSTEAD: dict[type[ast.operator], tuple[tuple[str, float], ...]] = {
    kind: (
        *usual,
        *(
            (other, _RARE)
            for other in _ARITHMETIC
            if SYMBOLS[kind] in _ARITHMETIC and other != SYMBOLS[kind] and other not in dict(usual)
        ),
    )
    for kind, usual in _USUAL.items()
}
_MEANT = {"+": 0.4, "-": 0.25}
"""Whatever stands there: most statements that change a variable in place add to it, or take from it."""
_UNORDERED = (ast.Mult, ast.BitAnd, ast.BitOr, ast.BitXor)


def token_between(source: Source, low: int, high: int, symbol: str) -> tuple[int, int] | None:
    """Where the operator ``symbol`` (may be two words) stands between two operands, comments and brackets aside."""
    text = source.data[low:high].decode("utf-8")
    words = symbol.split()
    # Brackets between the operands belong to either of them and need not balance here: they are blanked out.
    blank = text.replace("(", " ").replace(")", " ")
    lines = [0]
    for line in blank.splitlines(keepends=True):
        lines.append(lines[-1] + len(line))
    places: list[tuple[int, int]] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO("(" + blank).readline):
            if len(places) < len(words) and token.string == words[len(places)]:
                shift = 1 if token.start[0] == 1 else 0
                begin = lines[token.start[0] - 1] + token.start[1] - shift
                places.append((begin, begin + len(token.string)))
    except (tokenize.TokenError, IndentationError, SyntaxError):
        pass  # the open bracket never ends; what was found before stands
    if len(places) != len(words):
        return None
    start, end = places[0][0], places[-1][1]
    return low + len(text[:start].encode()), low + len(text[:end].encode())


def replace_token(
    source: Source, between: tuple[ast.expr, ast.expr], symbols: tuple[str, str], prior: float, family: str
) -> Mutation | None:
    """Exchange the operator between two neighbouring operands, leaving all other text alone."""
    left, right = between
    place = token_between(source, source.span(left)[1], source.span(right)[0], symbols[0])
    if place is None:
        return None
    return Mutation(family, source.line_at(place[0]), place[0], place[1], symbols[1], prior)


def mutate(statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    source = context.source
    for node in source.expressions(statement):
        if isinstance(node, ast.BinOp):
            yield from _binary(node, context)
        elif isinstance(node, ast.BoolOp):
            yield from _boolean(node, source)
        elif isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.Invert):
            yield source.put(node, source.text(node.operand), FAMILY, 0.45)
            if isinstance(node.operand, ast.Call) and len(node.operand.args) == 1:
                yield source.put(node, source.text(node.operand.args[0]), "call too many", 0.2)
        elif isinstance(node, (ast.Name, ast.Attribute, ast.Call, ast.Subscript)):
            yield from _negative(node, context)
    if isinstance(statement, ast.AugAssign):
        yield from _augmented(statement, source)


def _negative(node: ast.expr, context: Context) -> Iterator[Mutation]:
    """A sign that is missing from a value."""
    source, parent = context.source, context.source.parents.get(node)
    whole = isinstance(parent, (ast.Assign, ast.Return)) and parent.value is node
    added = isinstance(parent, ast.BinOp) and isinstance(parent.op, (ast.Add, ast.Sub, ast.Mult))
    passed = isinstance(parent, ast.Call) and node in parent.args
    if whole or added or passed or isinstance(parent, (ast.Compare, ast.IfExp)):
        usual = 0.2 if whole else 0.12
        yield source.put(node, f"-{source.text(node)}", FAMILY, usual * context.may_be(node, NUMBER))


def _binary(node: ast.BinOp, context: Context) -> Iterator[Mutation]:
    source = context.source
    symbol = SYMBOLS.get(type(node.op))
    if symbol is None or (isinstance(node.op, ast.Mod) and TEXT in context.kind_of(node.left)):
        return
    for other, prior in INSTEAD[type(node.op)]:
        mutation = replace_token(source, (node.left, node.right), (symbol, other), prior, FAMILY)
        if mutation:
            yield mutation
    left, right = source.text(node.left), source.text(node.right)
    yield source.put(node, left, "operand dropped", 0.4)
    yield source.put(node, right, "operand dropped", 0.4)
    if not isinstance(node.op, _UNORDERED):
        text = f"{_bracket(node.right, right)} {symbol} {_bracket(node.left, left)}"
        yield source.put(node, text, "operands swapped", 0.15 if isinstance(node.op, ast.Add) else 0.4)
    yield from _grouping(node, symbol, source)


def _grouping(node: ast.BinOp, symbol: str, source: Source) -> Iterator[Mutation]:
    """``a + b * c`` meant as ``(a + b) * c``, and ``a - b + c`` as ``a - (b + c)``."""
    for inner, outer_first in ((node.right, True), (node.left, False)):
        if not isinstance(inner, ast.BinOp) or type(inner.op) not in SYMBOLS:
            continue
        between = SYMBOLS[type(inner.op)]
        a, b = source.text(inner.left), source.text(inner.right)
        if outer_first:
            text = f"({source.text(node.left)} {symbol} {a}) {between} {_bracket(inner.right, b)}"
        else:
            text = f"{_bracket(inner.left, a)} {between} ({b} {symbol} {source.text(node.right)})"
        yield source.put(node, text, "grouping", 0.15)


def _boolean(node: ast.BoolOp, source: Source) -> Iterator[Mutation]:
    symbol, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
    for left, right in zip(node.values, node.values[1:], strict=False):
        mutation = replace_token(source, (left, right), (symbol, other), 0.6, FAMILY)
        if mutation:
            yield mutation
    if len(node.values) > 2:
        every = [_bracket(v, source.text(v)) for v in node.values]
        yield source.put(node, f" {other} ".join(every), FAMILY, 0.5)
    for dropped in range(len(node.values)):
        rest = [_bracket(v, source.text(v)) for i, v in enumerate(node.values) if i != dropped]
        yield source.put(node, f" {symbol} ".join(rest), "condition dropped", 0.45)


def _augmented(statement: ast.AugAssign, source: Source) -> Iterator[Mutation]:
    symbol = SYMBOLS.get(type(statement.op))
    if symbol is None:
        return
    place = token_between(source, source.span(statement.target)[1], source.span(statement.value)[0], symbol + "=")
    if place is None:
        return
    for other, usual in (*INSTEAD[type(statement.op)], ("", 0.3)):
        prior = max(usual, _MEANT.get(other, 0.0))
        yield Mutation(FAMILY, statement.lineno, place[0], place[1], other + "=", prior)


def _bracket(node: ast.expr, text: str) -> str:
    simple = isinstance(node, (ast.Name, ast.Constant, ast.Call, ast.Attribute, ast.Subscript, ast.List, ast.Compare))
    return text if simple else f"({text})"
