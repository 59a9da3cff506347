"""Exceptions: another one caught or raised than was meant, and values that should have been refused or given back at once."""

import ast
from collections.abc import Iterator

from clew.agents.code.context import Context
from clew.agents.code.source import FUNCTIONS, Mutation

FAMILY = "exception"
_BUILT_IN = (
    "ValueError",
    "KeyError",
    "TypeError",
    "IndexError",
    "AttributeError",
    "LookupError",
    "RuntimeError",
    "StopIteration",
)
_NEAR = {
    "KeyError": ("IndexError", "AttributeError", "LookupError"),
    "IndexError": ("KeyError", "LookupError"),
    "ValueError": ("TypeError", "KeyError"),
    "TypeError": ("ValueError", "AttributeError"),
}
_EARLY = ("None", "[]", "0", "''", "False", "{}", "True")
_MOST = 24


def mutate(statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    if isinstance(statement, ast.Try):
        yield from _caught(statement, context)
    elif isinstance(statement, ast.Raise):
        yield from _raised(statement, context)
    if isinstance(statement, FUNCTIONS):
        yield from _refused(statement, Context(context.source, statement))
    elif context.function is not None and not isinstance(statement, ast.ClassDef):
        yield from _given_back(statement, context)


def _others(name: str, context: Context) -> list[str]:
    """Exceptions that may be meant, likeliest first: those alike, those of the file, the others of the language."""
    own = [n.name for n in context.source.tree.body if isinstance(n, ast.ClassDef) and n.bases]
    found = [*_NEAR.get(name, ()), *(n for n in own if n.endswith(("Error", "Exception"))), *_BUILT_IN]
    return [other for other in dict.fromkeys(found) if other != name]


def _caught(statement: ast.Try, context: Context) -> Iterator[Mutation]:
    source = context.source
    for handler in statement.handlers:
        kind = handler.type
        if isinstance(kind, (ast.Name, ast.Attribute)):
            text = source.text(kind)
            for rank, other in enumerate([*_others(text, context), "Exception"]):
                prior = 0.4 / (1 + 0.2 * rank)
                yield source.put(kind, other, FAMILY, prior)
                yield source.put(kind, f"({text}, {other})", FAMILY, prior * 0.7)
        elif isinstance(kind, ast.Tuple):
            inside = [source.text(element) for element in kind.elts]
            for rank, other in enumerate(o for o in _others("", context) if o not in inside):
                yield source.put(kind, f"({', '.join([*inside, other])})", FAMILY, 0.25 / (1 + 0.2 * rank))


def _raised(statement: ast.Raise, context: Context) -> Iterator[Mutation]:
    error = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
    if isinstance(error, ast.Name):
        for rank, other in enumerate(_others(error.id, context)):
            yield context.source.put(error, other, FAMILY, 0.4 / (1 + 0.2 * rank))


def _refused(function: ast.FunctionDef | ast.AsyncFunctionDef, context: Context) -> Iterator[Mutation]:
    """``if <a parameter is odd>: raise …`` at the top, where the function, or the class it is of, refuses other values so."""
    source = context.source
    around = next((n for n in source.ancestors(function) if isinstance(n, ast.ClassDef)), function)
    raised = [n for n in ast.walk(around) if isinstance(n, ast.Raise) and isinstance(n.exc, ast.Call)]
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(function.body) > 1:
        first = function.body[1]
    indent = source.indent(first)
    if indent is None or not raised:
        return
    texts = dict.fromkeys(source.text(n) for n in raised if n.lineno == n.end_lineno)
    tests = [
        f"{name} {odd}"
        for name in context.parameters
        if name not in {"self", "cls"}
        for odd in ("<= 0", "< 0", "is None")
    ]
    tests += [f"not {name}" for name in context.parameters if name not in {"self", "cls"}]
    pairs = [(test, text) for text in texts for test in tests][:_MOST]
    start = source.span(first)[0]
    for rank, (test, text) in enumerate(pairs):
        added = f"if {test}:\n{indent}    {text}\n{indent}"
        yield Mutation("check missing", first.lineno, start, start, added, 0.12 / (1 + 0.1 * rank))


def _given_back(statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    """``if <what is looked into here> is None: return …`` before a statement."""
    source = context.source
    indent = source.indent(statement)
    if indent is None or context.is_generator:
        return
    looked = dict.fromkeys(
        node.value.id
        for node in source.expressions(statement)
        if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.value, ast.Name)
    )
    names = [name for name in looked if name in context.names and name not in {"self", "cls"}]
    start = source.span(statement)[0]
    values = [value for value in dict.fromkeys([*_EARLY[:1], *context.returns, *_EARLY[1:]]) if "\n" not in value]
    rank = 0
    for name in names[:3]:
        for value in values[:6]:
            for test in (f"{name} is None", f"not {name}"):
                added = f"if {test}:\n{indent}    return {value}\n{indent}"
                yield Mutation("guard missing", statement.lineno, start, start, added, 0.12 / (1 + 0.1 * rank))
                rank += 1
