"""Comparisons: a bound that is one off, a wrong direction, equality for identity, membership turned round."""

import ast
from collections.abc import Iterator

from clew.agents.code.context import Context
from clew.agents.code.mutations.operators import replace_token
from clew.agents.code.source import Mutation

FAMILY = "comparison"

SYMBOLS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}
INSTEAD: dict[type[ast.cmpop], tuple[tuple[str, float], ...]] = {
    ast.Lt: (("<=", 0.95), (">", 0.5), (">=", 0.4), ("!=", 0.2), ("==", 0.15)),
    ast.LtE: (("<", 0.95), (">=", 0.5), (">", 0.4), ("==", 0.2), ("!=", 0.1)),
    ast.Gt: ((">=", 0.95), ("<", 0.5), ("<=", 0.4), ("!=", 0.2), ("==", 0.15)),
    ast.GtE: ((">", 0.95), ("<=", 0.5), ("<", 0.4), ("==", 0.2), ("!=", 0.1)),
    ast.Eq: (("!=", 0.6), ("<=", 0.3), (">=", 0.3), ("<", 0.15), (">", 0.15), ("in", 0.15), ("is", 0.1)),
    ast.NotEq: (("==", 0.6), ("<", 0.25), (">", 0.25), ("not in", 0.15), ("is not", 0.1)),
    ast.Is: (("is not", 0.6), ("==", 0.4)),
    ast.IsNot: (("is", 0.6), ("!=", 0.4)),
    ast.In: (("not in", 0.6), ("==", 0.2)),
    ast.NotIn: (("in", 0.6), ("!=", 0.2)),
}


def mutate(statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    for node in context.source.expressions(statement):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
            for other, prior in INSTEAD[type(operator)]:
                symbols = (SYMBOLS[type(operator)], other)
                mutation = replace_token(context.source, (left, right), symbols, prior, FAMILY)
                if mutation:
                    yield mutation
