"""Off by one, or by another variable: indexes, bounds, arguments, sides of comparisons, returned and assigned values."""

import ast
from collections.abc import Iterator

from clew.agents.code.context import Context
from clew.agents.code.kinds import NUMBER, call_name
from clew.agents.code.source import ATOMS, Mutation

FAMILY = "off by one"
_NEVER = (ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.Compare, ast.BoolOp, ast.JoinedStr, ast.Slice)
_NEVER_BESIDES = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda, ast.Starred, ast.Yield)


def mutate(statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    for node in context.source.expressions(statement):
        one, other = _weights(node, statement, context)
        if not one or isinstance(node, (*_NEVER, *_NEVER_BESIDES)):
            continue
        likely = context.may_be(node, NUMBER)
        if isinstance(statement, ast.Return) and context.truthful:
            likely *= 0.1
        text = _operand(node, context)
        for sign, prior in (("-", one * likely), ("+", one * likely * 0.98)):
            if not _undone(node, sign):
                yield context.source.put(node, f"{text} {sign} 1", FAMILY, prior)
        rank = 0
        for name in context.of_kind(NUMBER):
            if name != text:
                prior = other * likely / (1 + 0.15 * rank)
                yield context.source.put(node, f"{text} - {name}", "difference missing", prior)
                yield context.source.put(node, f"{text} + {name}", "sum missing", prior * 0.9)
                rank += 1


def _undone(node: ast.expr, sign: str) -> bool:
    """Whether this takes back the one that is added, or adds the one that is taken off: dropping it says so better."""
    opposite = ast.Add if sign == "-" else ast.Sub
    return (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, opposite)
        and isinstance(node.right, ast.Constant)
        and node.right.value == 1
    )


def _weights(node: ast.expr, statement: ast.stmt, context: Context) -> tuple[float, float]:
    """Priors of ±1 and of ± another variable, by where the expression stands."""
    parent = context.source.parents.get(node)
    match parent:
        case ast.Slice():
            return 0.6, 0.15
        case ast.Subscript(slice=index) if index is node:
            return 0.6, 0.15
        case ast.Tuple() if isinstance(context.source.parents.get(parent), ast.Subscript):
            return 0.55, 0.12
        case ast.Tuple():
            return 0.2, 0.05
        case ast.Call(args=args) if node in args:
            if call_name(parent) == "range":
                return 0.65, 0.15
            recursive = context.function is not None and call_name(parent) in {
                context.function.name,
                *context.functions,
            }
            return (0.5, 0.3) if recursive else (0.2, 0.06)
        case ast.Compare():
            return 0.4, 0.12
        case ast.Return():
            return 0.35, 0.15
        case ast.Assign() | ast.AugAssign() | ast.AnnAssign() if node is parent.value:
            return 0.3, 0.15
        case ast.BinOp():
            return 0.12, 0.04
        case _:
            return 0.0, 0.0


def _operand(node: ast.expr, context: Context) -> str:
    text = context.source.text(node)
    plain = isinstance(node, ATOMS) or (
        isinstance(node, ast.BinOp) and not isinstance(node.op, (ast.BitAnd, ast.BitOr))
    )
    return text if plain else f"({text})"
