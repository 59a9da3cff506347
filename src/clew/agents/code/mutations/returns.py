"""What a function gives back: the wrong value, no value, a base case that is missing; generators that do not delegate."""

import ast
from collections.abc import Iterator

from clew.agents.code.context import Context
from clew.agents.code.kinds import NUMBER, SEQUENCE, TEXT
from clew.agents.code.source import FUNCTIONS, Mutation

FAMILY = "return"
DROPPED = "result dropped"
_EMPTY = ("[]", "0", "''", "None", "True", "False", "1", "[[]]", "{}", "-1")


def mutate(statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    if isinstance(statement, ast.Return):
        yield from _value(statement, context)
    elif isinstance(statement, ast.Expr):
        yield from _expression(statement, context)
    elif isinstance(statement, FUNCTIONS):
        inner = Context(context.source, statement)
        yield from _base_cases(statement, inner)
        yield from _missing(statement, inner)


def _value(statement: ast.Return, context: Context) -> Iterator[Mutation]:
    source, node = context.source, statement.value
    if node is None:
        end = source.span(statement)[1]
        for rank, text in enumerate(dict.fromkeys([*context.nested, *context.unread, *context.names, *_EMPTY])):
            yield Mutation(FAMILY, statement.lineno, end, end, f" {text}", 0.25 / (1 + 0.12 * rank))
        return
    text = source.text(node)
    if context.is_generator:
        yield _replaced(statement, f"yield {text}", context, 0.2)
    others = [r for r in context.returns if r != text]
    for rank, other in enumerate(others[:6]):
        yield source.put(node, other, "result of another branch", 0.25 / (1 + 0.2 * rank))
    if not isinstance(node, ast.Name):
        for rank, name in enumerate(n for n in context.names if n != text):
            yield source.put(node, name, DROPPED, 0.25 / (1 + 0.15 * rank))
    for rank, empty in enumerate(e for e in _EMPTY if e != text):
        yield source.put(node, empty, DROPPED, 0.1 / (1 + 0.2 * rank))
    yield source.put(node, f"[{text}]", FAMILY, 0.12)
    if not context.kind_of(node) & {NUMBER}:
        bracketed = text if isinstance(node, (ast.Name, ast.Call, ast.BinOp)) else f"({text})"
        likely = [n for n in context.names if context.kinds.get(n, set()) & {SEQUENCE, TEXT}] or context.names
        for rank, name in enumerate(n for n in likely[:6] if n != text):
            yield source.put(node, f"{bracketed} + {name}", "part missing", 0.12 / (1 + 0.2 * rank))
            yield source.put(node, f"{name} + {bracketed}", "part missing", 0.12 / (1 + 0.2 * rank))
            yield source.put(node, f"{bracketed} + [{name}]", "part missing", 0.08 / (1 + 0.2 * rank))
            yield source.put(node, f"[{name}] + {bracketed}", "part missing", 0.08 / (1 + 0.2 * rank))


def _expression(statement: ast.Expr, context: Context) -> Iterator[Mutation]:
    source, node = context.source, statement.value
    if isinstance(node, ast.Constant):
        return
    ending = FAMILY if _is_last(statement, context) else "rest dropped"
    match node:
        case ast.Yield(value=value) if value is not None:
            yield _replaced(statement, f"yield from {source.text(value)}", context, 0.4)
        case ast.YieldFrom(value=value):
            yield _replaced(statement, f"yield {source.text(value)}", context, 0.3)
        case ast.Await(value=value):
            yield _replaced(statement, f"return await {source.text(value)}", context, 0.2, ending)
        case ast.Call():
            text = source.text(node)
            yield _replaced(statement, f"return {text}", context, 0.35, ending)
            if context.is_generator:
                yield _replaced(statement, f"yield from {text}", context, 0.5)
                yield _replaced(statement, f"yield {text}", context, 0.3)
            if isinstance(context.function, ast.AsyncFunctionDef):
                yield _replaced(statement, f"await {text}", context, 0.4)
        case _:
            yield _replaced(statement, f"return {source.text(node)}", context, 0.4, ending)


def _is_last(statement: ast.stmt, context: Context) -> bool:
    """Nothing follows in its block."""
    parent = context.source.parents.get(statement)
    blocks: list[list[ast.stmt]] = [getattr(parent, name, []) for name in ("body", "orelse", "finalbody")]
    return any(block[-1] is statement for block in blocks if block)


def _replaced(statement: ast.stmt, text: str, context: Context, prior: float, operator: str = FAMILY) -> Mutation:
    start, end = context.source.span(statement)
    return Mutation(operator, statement.lineno, start, end, text, prior)


def _first_statement(function: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.stmt:
    first = function.body[0]
    documented = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return function.body[1] if documented and len(function.body) > 1 else first


def _base_cases(function: ast.FunctionDef | ast.AsyncFunctionDef, context: Context) -> Iterator[Mutation]:
    """``if <parameter is at its end>: return <something>`` at the top of the function."""
    first = _first_statement(function)
    indent = context.source.indent(first)
    if indent is None or context.is_generator:
        return
    recursive = any(
        isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == function.name
        for n in ast.walk(function)
    )
    usual = 0.25 if recursive else 0.1
    start = context.source.span(first)[0]
    parameters = [p for p in context.parameters if p not in {"self", "cls"}][:4]
    rank = 0
    for parameter in parameters:
        tests = [f"not {parameter}", f"{parameter} is None"]
        if NUMBER in context.kinds.get(parameter, set()) or not context.kinds.get(parameter):
            tests += [f"{parameter} == 0", f"{parameter} <= 1", f"{parameter} < 0"]
        if context.kinds.get(parameter, set()) & {SEQUENCE, TEXT}:
            tests += [f"len({parameter}) <= 1", f"len({parameter}) == 1"]
        empty = sorted(_EMPTY, key=lambda e: e in {"True", "False"}) if not context.truthful else _EMPTY
        values = dict.fromkeys([*context.returns, *parameters, *empty])
        for test in tests:
            for value in [v for v in values if "\n" not in v][:12]:
                text = f"if {test}:\n{indent}    return {value}\n{indent}"
                yield Mutation("base case missing", first.lineno, start, start, text, usual / (1 + 0.06 * rank))
                rank += 1


def _missing(function: ast.FunctionDef | ast.AsyncFunctionDef, context: Context) -> Iterator[Mutation]:
    """A ``return`` at the end of a function that runs off its end."""
    last = function.body[-1]
    indent = context.source.indent(last)
    if indent is None or context.is_generator or isinstance(last, (ast.Return, ast.Raise)):
        return
    end = context.source.span(last)[1]
    usual = 0.3 if context.returns or len(function.body) > 1 else 0.15
    if function.name == "__init__":
        return
    for rank, name in enumerate(dict.fromkeys([*context.returns, *reversed(context.names), "self", *_EMPTY])):
        text = f"\n{indent}return {name}"
        yield Mutation("return missing", last.end_lineno or last.lineno, end, end, text, usual / (1 + 0.15 * rank))
