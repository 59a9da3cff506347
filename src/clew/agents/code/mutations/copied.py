"""A statement that is missing and that stands elsewhere in the file (Barr et al., "The plastic surgery hypothesis", FSE 2014)."""

import ast
from collections.abc import Iterator

from clew.agents.code.context import Context
from clew.agents.code.mutations.initial import placed
from clew.agents.code.signs import idle
from clew.agents.code.source import FUNCTIONS, Mutation, Source

FAMILY = "statement copied"
_LEAVES = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_MOST = 12
_LOOKED_AT = 40
_LINES = 4


def mutate(statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    source, function = context.source, context.function
    indent = source.indent(statement)
    if function is None or indent is None or isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
        return
    yield from _bindings(statement, indent, context)
    guards = [n for n in source.statements if _is_guard(n) or isinstance(n, ast.Raise)]
    guards.sort(key=lambda n: (abs(n.lineno - statement.lineno), n.lineno))
    usual = 0.3 if idle(statement, source) else 0.1
    known = {*context.names, *context.functions}
    near = {statement, *source.ancestors(statement)}
    fitting = [n for n in guards[:_LOOKED_AT] if n not in near and _fits(n, function, known, source)]
    for rank, text in enumerate(_texts(fitting, indent, source)[:_MOST]):
        yield from placed(statement, text, source, (FAMILY, usual / (1 + 0.2 * rank)))


def _bindings(statement: ast.stmt, indent: str, context: Context) -> Iterator[Mutation]:
    """What gives a first value, in other functions, to a variable that has none in this one."""
    source, function = context.source, context.function
    if function is None or (statement not in function.body and not isinstance(statement, ast.Pass)):
        return
    names = set(context.unbound)
    used = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
    if not names or not (names & used or idle(statement, source)):
        return
    binding = [
        n
        for n in source.statements
        if isinstance(n, ast.Assign) and any(isinstance(t, ast.Name) and t.id in names for t in _targets(n))
    ]
    binding.sort(key=lambda n: (-len(names & {t.id for t in _targets(n) if isinstance(t, ast.Name)}), n.lineno))
    for rank, text in enumerate(_texts(binding, indent, source)[:_MOST]):
        yield from placed(statement, text, source, (FAMILY, 0.6 / (1 + 0.2 * rank)))


def _targets(statement: ast.Assign) -> list[ast.expr]:
    return [n for target in statement.targets for n in ([target, *getattr(target, "elts", ())])]


def _is_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and not node.orelse and len(node.body) == 1 and isinstance(node.body[0], _LEAVES)


def _fits(node: ast.stmt, function: ast.AST, known: set[str], source: Source) -> bool:
    """Whether the statement, of another function or another place of this one, names nothing that is unknown here."""
    if (node.end_lineno or node.lineno) - node.lineno >= _LINES:
        return False
    home = source.function_of(node)
    if home is function or home is None:
        return home is function
    local = source.bound.get(home, set())
    return not ({n.id for n in ast.walk(node) if isinstance(n, ast.Name)} & local) - known


def _texts(nodes: list[ast.Assign] | list[ast.stmt], indent: str, source: Source) -> list[str]:
    """Their texts, each once, as deep as they are to stand."""
    found: dict[str, None] = {}
    for node in nodes:
        own = source.indent(node)
        if own is not None:
            lines = source.text(node).split("\n")
            moved = [lines[0], *(indent + line.removeprefix(own) if line.strip() else line for line in lines[1:])]
            found.setdefault("\n".join(moved))
    return list(found)
