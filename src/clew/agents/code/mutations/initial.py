"""A variable that is read but never given a first value: the initialisation is missing."""

import ast
import builtins
from collections.abc import Iterator

from clew.agents.code.context import Context
from clew.agents.code.source import FUNCTIONS, Mutation

FAMILY = "initialisation missing"
_FIRST = ("[]", "{}", "0", "None", "''", "set()", "1", "False", "True")


def mutate(statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    function = context.function
    if function is None or statement not in function.body:
        return
    indent = context.source.indent(statement)
    if indent is None:
        return
    start = context.source.span(statement)[0]
    for name in _unbound(function, context):
        if any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(statement)):
            for rank, first in enumerate(_FIRST):
                text = f"{name} = {first}\n{indent}"
                yield Mutation(FAMILY, statement.lineno, start, start, text, 0.5 / (1 + 0.15 * rank))


def _unbound(function: ast.AST, context: Context) -> list[str]:
    """Names that the function reads and that nothing binds but, perhaps, an assignment that adds to them."""
    adding = {n.target for n in ast.walk(function) if isinstance(n, ast.AugAssign)}
    names = [n for n in ast.walk(function) if isinstance(n, ast.Name)]
    stored = {n.id for n in names if not isinstance(n.ctx, ast.Load) and n not in adding}
    used = dict.fromkeys(n.id for n in names if isinstance(n.ctx, ast.Load) or n in adding)
    added = {n.id for n in names if n in adding}
    known = stored | _elsewhere(context) | {a.arg for a in ast.walk(function) if isinstance(a, ast.arg)}
    outside = {n for node in ast.walk(function) if isinstance(node, (ast.Global, ast.Nonlocal)) for n in node.names}
    found = [name for name in used if name not in known or (name in added and name not in stored | outside)]
    return [name for name in found if name not in set(context.parameters) and name not in outside]


def _elsewhere(context: Context) -> set[str]:
    """Whatever any other code of the file binds, in any scope, and what the language has."""
    found = set(dir(builtins))
    for node in ast.walk(context.source.tree):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.update([node.id] if context.source.function_of(node) is not context.function else [])
    return found
