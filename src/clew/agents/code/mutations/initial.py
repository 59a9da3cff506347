"""A variable that is read but never given a first value: the initialisation is missing."""

import ast
from collections.abc import Iterator

from clew.agents.code.context import Context
from clew.agents.code.signs import idle
from clew.agents.code.source import Mutation, Source

FAMILY = "initialisation missing"
_FIRST = ("[]", "{}", "0", "None", "''", "set()", "1", "False", "True")


def mutate(statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    function = context.function
    if function is None or statement not in function.body:
        return
    used = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
    for name in context.unbound:
        if name in used or idle(statement, context.source):
            for rank, first in enumerate(_FIRST):
                yield from placed(statement, f"{name} = {first}", context.source, (FAMILY, 0.5 / (1 + 0.15 * rank)))


def placed(statement: ast.stmt, text: str, source: Source, kind: tuple[str, float]) -> Iterator[Mutation]:
    """A statement more before this one, or in its place where it is a ``pass``; ``kind``: operator and prior."""
    (start, end), indent, (operator, prior) = source.span(statement), source.indent(statement), kind
    if isinstance(statement, ast.Pass):
        yield Mutation(operator, statement.lineno, start, end, text, prior)
    elif indent is not None:
        yield Mutation(operator, statement.lineno, start, start, f"{text}\n{indent}", prior)
