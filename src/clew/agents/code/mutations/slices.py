"""Slices and subscripts: the rest of a sequence for the whole of it, a bound amiss, an index too many or missing."""

import ast
from collections.abc import Iterator

from clew.agents.code.context import Context
from clew.agents.code.kinds import CALLABLE, MAPPING, NUMBER, SEQUENCE, TEXT, TRUTH, call_name
from clew.agents.code.source import Mutation

FAMILY = "slice"


# What a method that is called on an entry of a mapping needs there.
_HELD = {"append": "[]", "extend": "[]", "insert": "[]", "add": "set()", "update": "{}", "setdefault": "{}"}
_STARTS: dict[type[ast.operator], tuple[str, ...]] = {
    ast.Add: ("0", "[]", "''"),
    ast.Sub: ("0",),
    ast.Mult: ("1",),
    ast.BitOr: ("set()", "0"),
}


def mutate(statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    source = context.source
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Subscript):
        yield from _started(statement, statement.target, context)
    for node in source.expressions(statement):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            yield from _subscript(node, context)
        if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.Call)):
            usual = _usual(node, context)
            if usual and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
                yield from _sliced(node, usual, context)


def _started(statement: ast.AugAssign, target: ast.Subscript, context: Context) -> Iterator[Mutation]:
    """``table[key] += 1`` for a key that is not there yet."""
    if isinstance(target.slice, ast.Slice):
        return
    source = context.source
    base, key, value = source.text(target.value), source.text(target.slice), source.text(statement.value)
    start, end = source.span(statement)
    symbol = source.data[source.span(target)[1] : source.span(statement.value)[0]].decode().strip().rstrip("=")
    for rank, first in enumerate(_STARTS.get(type(statement.op), ())):
        text = f"{base}[{key}] = {base}.get({key}, {first}) {symbol} {value}"
        yield Mutation("default missing", statement.lineno, start, end, text, 0.3 / (1 + 0.3 * rank))


def _usual(node: ast.expr, context: Context) -> float:
    """How usual it is to forget a slice where this expression stands."""
    kinds = context.kind_of(node)
    if kinds and not kinds & {SEQUENCE, TEXT}:
        return 0.0 if kinds & {NUMBER, CALLABLE, TRUTH, MAPPING} else 0.05
    sure = 1.0 if kinds else 0.5
    parent = context.source.parents.get(node)
    match parent:
        case ast.For() | ast.comprehension():
            return 0.3 * sure if parent.iter is node else 0.0
        case ast.Call(args=args) if node in args:
            recursive = context.function is not None and call_name(parent) == context.function.name
            return (0.5 if recursive else 0.2) * sure
        case ast.Return() | ast.Assign() | ast.BinOp() | ast.Yield():
            return 0.2 * sure
        case ast.Compare():
            return 0.08 * sure
        case _:
            return 0.0


def _sliced(node: ast.expr, usual: float, context: Context) -> Iterator[Mutation]:
    source, text = context.source, context.source.text(node)
    for rank, part in enumerate(("[1:]", "[:-1]", "[::-1]", "[2:]", "[0]", "[-1]")):
        yield source.put(node, text + part, "slice missing", usual / (1 + 0.15 * rank))
    for rank, name in enumerate(n for n in context.of_kind(NUMBER) if n != text):
        if rank < 5:
            for turn, part in enumerate((f"[{name}:]", f"[:{name}]", f"[{name}]", f"[{name} + 1:]", f"[:{name} + 1]")):
                yield source.put(node, text + part, "slice missing", 0.8 * usual / (1 + 0.2 * rank + 0.15 * turn))


def _subscript(node: ast.Subscript, context: Context) -> Iterator[Mutation]:
    source = context.source
    base, index = source.text(node.value), node.slice
    if isinstance(index, ast.Slice):
        lower = source.text(index.lower) if index.lower else ""
        upper = source.text(index.upper) if index.upper else ""
        step = ":" + source.text(index.step) if index.step else ""
        yield source.put(node, base, "slice too many", 0.3)
        for low, high, by, prior in _bounds(lower, upper, step, context):
            yield source.put(node, f"{base}[{low}:{high}{by}]", FAMILY, prior)
        return
    text = source.text(index)
    yield source.put(node, base, "index too many", 0.1)
    if text in {"0", "-1"}:
        yield source.put(node, f"{base}[{'-1' if text == '0' else '0'}]", FAMILY, 0.45)
    if not isinstance(index, (ast.Constant, ast.UnaryOp)):
        likely = 0.3 if context.kind_of(node.value) & {SEQUENCE, TEXT} else 0.1
        if NUMBER in context.kind_of(index):
            yield source.put(node, f"{base}[-{text} - 1]", FAMILY, likely * 0.3)
            yield source.put(node, f"{base}[:{text}]", FAMILY, likely * 0.4)
            yield source.put(node, f"{base}[{text}:]", FAMILY, likely * 0.4)
    if not context.kind_of(node.value) & {TEXT}:
        for rank, default in enumerate(("", ", 0", ", None", ", []", ", ''")):
            yield source.put(node, f"{base}.get({text}{default})", "default missing", 0.12 / (1 + 0.2 * rank))
        parent = source.parents.get(node)
        if isinstance(parent, ast.Attribute) and parent.attr in _HELD:
            held = f"{base}.setdefault({text}, {_HELD[parent.attr]})"
            yield source.put(node, held, "default missing", 0.3)
    if text in {"0", "-1"}:
        last = "" if text == "-1" else text
        yield source.put(node, f"{base}.pop({last})", "call missing", 0.15)


def _bounds(lower: str, upper: str, step: str, context: Context) -> Iterator[tuple[str, str, str, float]]:
    if lower:
        yield "", upper, step, 0.25
    if upper:
        yield lower, "", step, 0.25
    if lower and not upper:
        yield "", lower, step, 0.35
    if upper and not lower:
        yield upper, "", step, 0.35
    if lower and upper:
        yield upper, lower, step, 0.15
    if step:
        yield lower, upper, "", 0.25
    if not lower:
        yield "1", upper, step, 0.25
    if not upper:
        yield lower, "-1", step, 0.25
    for rank, name in enumerate(context.of_kind(NUMBER)[:6]):
        if not upper:
            yield lower, name, step, 0.2 / (1 + 0.2 * rank)
        if not lower:
            yield name, upper, step, 0.2 / (1 + 0.2 * rank)
