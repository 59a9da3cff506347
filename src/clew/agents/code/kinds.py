"""What a name or an expression is likely to be: guessed from its uses, never from types.

Guesses only decide what is tried first, so a wrong one costs time and nothing else.
"""

import ast
from collections.abc import Iterator

NUMBER = "number"
SEQUENCE = "sequence"
SET = "set"
MAPPING = "mapping"
TEXT = "text"
TRUTH = "truth"
CALLABLE = "callable"
OBJECT = "object"

_RESULTS = {
    **dict.fromkeys(("len", "int", "sum", "abs", "ord", "round", "float", "pow", "divmod", "count", "index"), NUMBER),
    **dict.fromkeys(("list", "sorted", "tuple", "deque", "range", "reversed", "split", "enumerate", "zip"), SEQUENCE),
    **dict.fromkeys(("set", "frozenset"), SET),
    **dict.fromkeys(("dict", "defaultdict", "Counter", "OrderedDict"), MAPPING),
    **dict.fromkeys(("str", "repr", "join", "strip", "lower", "upper", "format", "chr"), TEXT),
    **dict.fromkeys(("bool", "isinstance", "any", "all", "startswith", "endswith"), TRUTH),
}
_METHODS = {
    **dict.fromkeys(("append", "extend", "insert", "pop", "popleft", "appendleft", "sort", "reverse"), SEQUENCE),
    **dict.fromkeys(("add", "discard", "union", "intersection", "difference"), SET),
    **dict.fromkeys(("get", "items", "keys", "values", "setdefault"), MAPPING),
    **dict.fromkeys(("lower", "upper", "strip", "split", "startswith", "endswith", "join", "format"), TEXT),
}
_DISPLAYS: tuple[tuple[tuple[type[ast.expr], ...], str], ...] = (
    ((ast.List, ast.ListComp, ast.Tuple, ast.GeneratorExp), SEQUENCE),
    ((ast.Set, ast.SetComp), SET),
    ((ast.Dict, ast.DictComp), MAPPING),
    ((ast.JoinedStr,), TEXT),
    ((ast.Compare, ast.BoolOp), TRUTH),
)
CONTAINERS = {SEQUENCE, SET, MAPPING, TEXT}


def call_name(node: ast.expr) -> str:
    """``f`` of ``f(...)`` and of ``x.f(...)``; empty for anything else."""
    if isinstance(node, ast.Call):
        function = node.func
        if isinstance(function, ast.Name):
            return function.id
        if isinstance(function, ast.Attribute):
            return function.attr
    return ""


def kind_of_value(node: ast.expr) -> str:
    """The kind of an expression by its form alone; empty when nothing is known."""
    if isinstance(node, ast.Constant):
        table: dict[type, str] = {int: NUMBER, float: NUMBER, str: TEXT, bytes: TEXT, bool: TRUTH}
        return table.get(type(node.value), "")
    for kinds, kind in _DISPLAYS:
        if isinstance(node, kinds):
            return kind
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Sub, ast.FloorDiv, ast.Div, ast.Pow)):
        return NUMBER
    return _RESULTS.get(call_name(node), "")


def evidence(node: ast.AST) -> Iterator[tuple[str, str]]:
    """(name, kind) pairs that one node speaks for."""
    match node:
        case ast.Assign(targets=targets, value=value):
            yield from ((t.id, kind) for t in targets if isinstance(t, ast.Name) and (kind := kind_of_value(value)))
        case ast.AugAssign(target=ast.Name(id=name), value=value):
            yield name, kind_of_value(value) or NUMBER
        case ast.For(target=target, iter=iterable):
            yield from _loop_evidence(target, iterable)
        case ast.comprehension(target=target, iter=iterable):
            yield from _loop_evidence(target, iterable)
        case ast.BinOp(left=left, op=ast.Sub() | ast.FloorDiv() | ast.Div(), right=right):
            yield from ((n.id, NUMBER) for n in (left, right) if isinstance(n, ast.Name))
        case ast.BinOp(left=left, op=ast.Add() | ast.Mod() | ast.Mult(), right=right):
            for one, other in ((left, right), (right, left)):
                if isinstance(one, ast.Name) and (kind := kind_of_value(other)):
                    yield one.id, kind
        case ast.Compare():
            yield from _comparison_evidence(node)
        case ast.Subscript(value=value, slice=index):
            if isinstance(value, ast.Name):
                yield value.id, SEQUENCE
            if isinstance(index, ast.Name):
                yield index.id, NUMBER
        case ast.Call():
            yield from _call_evidence(node)
        case ast.Attribute(value=ast.Name(id=name), attr=attribute):
            yield name, _METHODS.get(attribute, OBJECT)
        case _:
            return


def _loop_evidence(target: ast.expr, iterable: ast.expr) -> Iterator[tuple[str, str]]:
    if isinstance(iterable, ast.Name):
        yield iterable.id, SEQUENCE
    name = call_name(iterable)
    if name == "range" and isinstance(target, ast.Name):
        yield target.id, NUMBER
    if name == "enumerate" and isinstance(target, ast.Tuple) and isinstance(target.elts[0], ast.Name):
        yield target.elts[0].id, NUMBER


def _comparison_evidence(node: ast.Compare) -> Iterator[tuple[str, str]]:
    sides = [node.left, *node.comparators]
    for one, operator, other in zip(sides, node.ops, sides[1:], strict=False):
        if isinstance(operator, (ast.In, ast.NotIn)):
            if isinstance(other, ast.Name):
                yield other.id, SET
        elif not isinstance(operator, (ast.Is, ast.IsNot)):
            for a, b in ((one, other), (other, one)):
                if isinstance(a, ast.Name) and (kind := kind_of_value(b)):
                    yield a.id, kind


def _call_evidence(node: ast.Call) -> Iterator[tuple[str, str]]:
    if isinstance(node.func, ast.Name):
        yield node.func.id, CALLABLE
        wanted = {"len": SEQUENCE, "range": NUMBER, "sorted": SEQUENCE, "sum": SEQUENCE, "enumerate": SEQUENCE}
        if kind := wanted.get(node.func.id):
            yield from ((a.id, kind) for a in node.args if isinstance(a, ast.Name))
