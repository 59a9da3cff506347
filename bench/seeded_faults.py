"""Seeded faults: small changes of a program's text, as mutation testing makes them, and pairs of such changes.

The operators are those that Offutt et al. found sufficient (ABS, AOR, LCR, ROR, UOI; "An experimental determination of
sufficient mutant operators", TOSEM 1996), of Mothra those that carry over to Python (CRP, SVR, SDL; King and Offutt,
"A Fortran language system for mutation-based software testing", SPE 1991), and slips that studies of real faults name
(missing branch, missing condition, wrong function, swapped and missing arguments, wrong exception, off by one; Duraes
and Madeira, "Emulation of software faults", TSE 2006). Nothing here knows which changes the repair can undo.
"""

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Pair = tuple[ast.AST, ast.AST]
"""A node of the program and what stands there in the faulty one."""
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
RELATIONS = ((ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq), (ast.Is, ast.IsNot), (ast.In, ast.NotIn))
LEAVES = (ast.Return, ast.Raise, ast.Continue, ast.Break)
SWAPS: tuple[tuple[str, ...], ...] = (
    *(("append", "extend"), ("startswith", "endswith"), ("lower", "upper"), ("strip", "lstrip", "rstrip")),
    *(("find", "rfind"), ("index", "rindex"), ("split", "rsplit"), ("keys", "values", "items"), ("add", "discard")),
    *(("get", "pop", "setdefault"), ("popleft", "pop"), ("union", "intersection"), ("partition", "rpartition")),
    *(("match", "search", "fullmatch"), ("min", "max"), ("any", "all"), ("sorted", "list", "set"), ("sum", "len")),
    *(("int", "float"), ("isinstance", "issubclass"), ("tuple", "list"), ("str", "repr"), ("map", "filter")),
    *(("reversed", "iter"), ("group", "groups"), ("floor", "ceil"), ("getattr", "hasattr"), ("popitem", "clear")),
)
WRAPPERS = frozenset(
    (
        *("list", "tuple", "set", "frozenset", "dict", "int", "float", "bool", "str", "repr"),
        *("sorted", "reversed", "enumerate", "iter", "next", "len", "abs"),
    )
)
EXCEPTIONS = ("ValueError", "TypeError", "KeyError", "IndexError", "AttributeError", "StopIteration")


@dataclass
class Scope:
    """What a fault in one function may name: its variables, and the attributes of its class."""

    name: str
    variables: list[str] = field(default_factory=list)
    attributes: list[str] = field(default_factory=list)


def altered(node: ast.AST, **fields: Any) -> Any:
    """The node with some fields changed; the others are shared."""
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def _call(name: str, node: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), [node], [])


def _shifted(node: ast.expr, by: int) -> ast.expr:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return ast.Constant(node.value + by) if node.value + by >= 0 else ast.UnaryOp(ast.USub(), ast.Constant(1))
    return ast.BinOp(node, ast.Add() if by > 0 else ast.Sub(), ast.Constant(1))


def _calculates(node: ast.AST) -> bool:
    formats = isinstance(node, ast.BinOp) and isinstance(node.left, ast.Constant) and isinstance(node.left.value, str)
    return isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ARITHMETIC) and not formats


def _operands(node: ast.AST) -> list[ast.expr]:
    if not isinstance(node, ast.BinOp) or not _calculates(node):
        return []
    return [n for n in (node.left, node.right) if isinstance(n, (ast.Name, ast.Attribute, ast.Call, ast.Subscript))]


def arithmetic(node: ast.AST, _: Scope) -> Iterator[Pair]:
    if _calculates(node):
        yield from ((node, altered(node, op=other())) for other in ARITHMETIC if not isinstance(node.op, other))


def relational(node: ast.AST, _: Scope) -> Iterator[Pair]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for group in RELATIONS:
            if isinstance(node.ops[0], group):
                yield from ((node, altered(node, ops=[o()])) for o in group if not isinstance(node.ops[0], o))


def connector(node: ast.AST, _: Scope) -> Iterator[Pair]:
    if isinstance(node, ast.BoolOp):
        yield node, altered(node, op=ast.And() if isinstance(node.op, ast.Or) else ast.Or())
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.BitAnd, ast.BitOr)):
        yield node, altered(node, op=ast.BitAnd() if isinstance(node.op, ast.BitOr) else ast.BitOr())


def unary_insertion(node: ast.AST, _: Scope) -> Iterator[Pair]:
    if isinstance(node, (ast.If, ast.While, ast.IfExp)) and not isinstance(node.test, ast.UnaryOp):
        yield node.test, ast.UnaryOp(ast.Not(), node.test)
    yield from ((n, ast.UnaryOp(ast.USub(), n)) for n in _operands(node))


def unary_deletion(node: ast.AST, _: Scope) -> Iterator[Pair]:
    if isinstance(node, ast.UnaryOp):
        yield node, node.operand


def absolute(node: ast.AST, _: Scope) -> Iterator[Pair]:
    for operand in _operands(node):
        yield operand, _call("abs", operand)
        yield operand, ast.UnaryOp(ast.USub(), _call("abs", operand))


def _constants(node: ast.AST) -> Iterator[Pair]:
    if not isinstance(node, ast.Constant):
        return
    if isinstance(node.value, bool):
        yield node, ast.Constant(not node.value)
    elif isinstance(node.value, (int, float)):
        yield from ((node, ast.Constant(v)) for v in (node.value + 1, node.value * 2, 0) if v != node.value)
        yield node, _shifted(node, -1)
    elif isinstance(node.value, str):
        variants = dict.fromkeys((node.value[:-1], node.value.swapcase(), node.value + " "))
        yield from ((node, ast.Constant(v)) for v in variants if v != node.value)


def constant(node: ast.AST, _: Scope) -> Iterator[Pair]:
    yield from _constants(node)


def default(node: ast.AST, _: Scope) -> Iterator[Pair]:
    if isinstance(node, ast.arguments):
        for value in (*node.defaults, *(d for d in node.kw_defaults if d)):
            yield from _constants(value)
            if isinstance(value, ast.Constant) and value.value is None:
                yield value, ast.Constant(0)


def off_by_one(node: ast.AST, _: Scope) -> Iterator[Pair]:
    places: list[ast.expr | None] = []
    if isinstance(node, ast.Slice):
        places = [node.lower, node.upper]
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, (ast.BinOp, ast.Constant)):
        places = (
            [node.slice] if not (isinstance(node.slice, ast.Constant) and type(node.slice.value) is not int) else []
        )
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        places = list(node.args) if node.func.id in {"range", "islice"} else [node] if node.func.id == "len" else []
        places = [p for p in places if isinstance(p, (ast.Constant, ast.BinOp, ast.Call)) or node.func.id == "range"]
    for place in places:
        if place is not None and not isinstance(place, ast.Starred):
            yield from ((place, _shifted(place, by)) for by in (1, -1))


def variable(node: ast.AST, scope: Scope) -> Iterator[Pair]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in scope.variables:
        yield from ((node, ast.Name(v, ast.Load())) for v in scope.variables if v not in {node.id, "self", "cls"})


def attribute(node: ast.AST, scope: Scope) -> Iterator[Pair]:
    own = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    if own and isinstance(node.ctx, ast.Load) and node.attr in scope.attributes:
        yield from ((node, altered(node, attr=a)) for a in scope.attributes if a != node.attr)


def swapped_arguments(node: ast.AST, _: Scope) -> Iterator[Pair]:
    if isinstance(node, ast.Call) and not any(isinstance(a, ast.Starred) for a in node.args):
        for i in range(len(node.args) - 1):
            args = [*node.args[:i], node.args[i + 1], node.args[i], *node.args[i + 2 :]]
            yield node, altered(node, args=args)


def missing_argument(node: ast.AST, _: Scope) -> Iterator[Pair]:
    if isinstance(node, ast.Call):
        yield from (
            (node, altered(node, keywords=[k for k in node.keywords if k is not gone])) for gone in node.keywords
        )
        if len(node.args) > 1:
            yield node, altered(node, args=node.args[:-1])


def statement_deletion(node: ast.AST, _: Scope) -> Iterator[Pair]:
    called = isinstance(node, ast.Expr) and isinstance(node.value, (ast.Call, ast.Await))
    if called or isinstance(node, (ast.Assign, ast.AugAssign, ast.Delete)):
        yield node, ast.Pass()


def missing_branch(node: ast.AST, _: Scope) -> Iterator[Pair]:
    if isinstance(node, ast.If):
        if node.orelse:
            yield node, altered(node, orelse=[])
        elif isinstance(node.body[-1], LEAVES):
            yield node, ast.Pass()


def missing_condition(node: ast.AST, _: Scope) -> Iterator[Pair]:
    if isinstance(node, ast.BoolOp):
        for gone in node.values:
            rest = [v for v in node.values if v is not gone]
            yield node, rest[0] if len(rest) == 1 else altered(node, values=rest)
    elif isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        if node.generators[0].ifs:
            yield node, altered(node, generators=[altered(node.generators[0], ifs=[]), *node.generators[1:]])
    elif isinstance(node, ast.If) and not node.orelse and len(node.body) == 1 and not isinstance(node.body[0], LEAVES):
        yield node, node.body[0]


def wrong_function(node: ast.AST, _: Scope) -> Iterator[Pair]:
    if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
        name, part = (node.id, "id") if isinstance(node, ast.Name) else (node.attr, "attr")
        for group in SWAPS:
            if name in group:
                yield from ((node, altered(node, **{part: other})) for other in group if other != name)


def exception(node: ast.AST, _: Scope) -> Iterator[Pair]:
    if isinstance(node, ast.Raise) and node.exc:
        yield node, ast.Pass()
        named = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        yield from ((named, ast.Name(e, ast.Load())) for e in EXCEPTIONS if ast.unparse(named) != e)
    elif isinstance(node, ast.ExceptHandler):
        if isinstance(node.type, (ast.Name, ast.Attribute)):
            yield from ((node.type, ast.Name(e, ast.Load())) for e in EXCEPTIONS if ast.unparse(node.type) != e)
        if len(node.body) == 1 and not isinstance(node.body[0], ast.Raise):
            yield node.body[0], ast.Raise(None, None)


def result(node: ast.AST, _: Scope) -> Iterator[Pair]:
    if isinstance(node, (ast.Return, ast.Yield)) and node.value is not None:
        yield node, altered(node, value=None)
        if isinstance(node.value, (ast.Compare, ast.BoolOp)):
            yield from ((node.value, ast.Constant(v)) for v in (True, False))
        elif isinstance(node.value, ast.Tuple) and len(node.value.elts) > 1:
            yield node.value, altered(node.value, elts=node.value.elts[::-1])


def loop_control(node: ast.AST, _: Scope) -> Iterator[Pair]:
    if isinstance(node, (ast.Break, ast.Continue)):
        yield node, ast.Continue() if isinstance(node, ast.Break) else ast.Break()
        yield node, ast.Pass()


def missing_call(node: ast.AST, _: Scope) -> Iterator[Pair]:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in WRAPPERS:
        return
    if len(node.args) == 1 and not node.keywords and not isinstance(node.args[0], ast.Starred):
        yield node, node.args[0]


OPERATORS: dict[str, Callable[[ast.AST, Scope], Iterator[Pair]]] = {
    "ABS absolute value inserted": absolute,
    "AOR arithmetic operator": arithmetic,
    "LCR logical connector": connector,
    "ROR relational operator": relational,
    "UOI unary operator inserted": unary_insertion,
    "UOD unary operator removed": unary_deletion,
    "CRP constant": constant,
    "DFT default of a parameter": default,
    "OBO off by one": off_by_one,
    "SVR wrong variable": variable,
    "ATR wrong attribute": attribute,
    "ARS arguments swapped": swapped_arguments,
    "ARD argument missing": missing_argument,
    "SDL statement deleted": statement_deletion,
    "BRD branch or guard missing": missing_branch,
    "CND condition missing": missing_condition,
    "FUN wrong function or method": wrong_function,
    "UNW conversion missing": missing_call,
    "EXC wrong or missing exception": exception,
    "RET wrong return value": result,
    "LCF loop control": loop_control,
}
TWO = "TWO two places in a function"
FAR = "FAR two functions"
