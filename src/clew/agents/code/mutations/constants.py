"""Wrong constants: numbers one off, Booleans turned, a string that belongs elsewhere, a display with an element amiss."""

import ast
from collections.abc import Iterator

from clew.agents.code.context import Context
from clew.agents.code.kinds import NUMBER
from clew.agents.code.source import FUNCTIONS, Mutation

FAMILY = "constant"
_USUAL = {0: (1,), 1: (0, 2), -1: (0, 1), 2: (1, 3, 0)}
_DISPLAYS = (ast.List, ast.Tuple, ast.Set)


def mutate(statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    source = context.source
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return  # a documentation string
    defaults = [*statement.args.defaults, *statement.args.kw_defaults] if isinstance(statement, FUNCTIONS) else []
    for node in source.expressions(statement):
        if isinstance(node, ast.Constant):
            yield from _constant(node, context)
            if node in defaults:
                yield from _default(node, context)
        elif isinstance(node, _DISPLAYS) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            yield from _display(node, context)


def _constant(node: ast.Constant, context: Context) -> Iterator[Mutation]:
    source, value = context.source, node.value
    if isinstance(value, bool):
        yield source.put(node, str(not value), FAMILY, 0.6)
        yield source.put(node, "None", FAMILY, 0.1)
    elif isinstance(value, int):
        yield from _integer(node, value, context)
    elif isinstance(value, float):
        for other, prior in ((value + 1, 0.2), (value - 1, 0.2), (value * 10, 0.15), (value / 10, 0.15), (-value, 0.1)):
            yield source.put(node, repr(other), FAMILY, prior)
    elif isinstance(value, str):
        yield from _string(node, value, context)
    elif value is None:
        for text, prior in (("[]", 0.15), ("0", 0.15), ("False", 0.15), ("True", 0.1), ("''", 0.1), ("{}", 0.05)):
            yield source.put(node, text, FAMILY, prior)


def _default(node: ast.Constant, context: Context) -> Iterator[Mutation]:
    """Of a parameter: a switch is turned more often than anything else, and nothing may stand where something does."""
    if isinstance(node.value, bool):
        yield context.source.put(node, str(not node.value), FAMILY, 0.9)
    elif node.value is not None:
        yield context.source.put(node, "None", FAMILY, 0.25)


def _integer(node: ast.Constant, value: int, context: Context) -> Iterator[Mutation]:
    near = [n for n in dict.fromkeys((*_USUAL.get(value, ()), value + 1, value - 1)) if n >= 0 or value < 0]
    for rank, other in enumerate(near):
        added_to = context.source.parents.get(node)
        whole = (
            isinstance(added_to, ast.BinOp) and isinstance(added_to.op, (ast.Add, ast.Sub)) and added_to.right is node
        )
        if other == 0 and whole and isinstance(added_to, ast.BinOp):
            text = context.source.text(added_to.left)
            yield context.source.put(added_to, text, "constant dropped", 0.6 / (1 + 0.35 * rank))
        else:
            yield context.source.put(node, str(other), FAMILY, 0.6 / (1 + 0.35 * rank))
    others = [n for n in context.integers if n not in near and n != value]
    scaled = [value // 2] if value % 2 == 0 else []
    far = dict.fromkeys([*others, *(n for n in (0, 1) if n not in near), *scaled, value * 10, value // 10, value * 2])
    for rank, other in enumerate(n for n in far if n != value and n not in near):
        yield context.source.put(node, str(other), FAMILY, 0.2 / (1 + 0.2 * rank))
    for other in (-1, -value) if value >= 0 else (-value,):
        yield context.source.put(node, str(other), "sign of a constant", 0.15)
    for rank, name in enumerate(context.of_kind(NUMBER)):
        yield context.source.put(node, name, "constant for variable", 0.3 / (1 + 0.25 * rank))


def _string(node: ast.Constant, value: str, context: Context) -> Iterator[Mutation]:
    if len(value) > 60 or isinstance(context.source.parents.get(node), ast.JoinedStr):
        return
    variants = [
        value.strip(),
        value + " ",
        value.swapcase(),
        value.lower(),
        value.upper(),
        value.capitalize(),
        "",
        " ",
        value[1:],
        value[:-1],
    ]
    for rank, other in enumerate(v for v in dict.fromkeys(variants) if v != value):
        yield context.source.put(node, repr(other), FAMILY, 0.2 / (1 + 0.2 * rank))
    others = (s for s in context.strings if s != value)
    near = sorted(others, key=lambda s: (not (s.startswith(value) or value.startswith(s)), abs(len(s) - len(value)), s))
    for rank, other in enumerate(near[:12]):
        yield context.source.put(node, repr(other), FAMILY, 0.25 / (1 + 0.2 * rank))


def _display(node: ast.List | ast.Tuple | ast.Set, context: Context) -> Iterator[Mutation]:
    source = context.source
    texts = [source.text(element) for element in node.elts]
    for index in range(len(texts)):
        if len(texts) > 1 or not isinstance(node, ast.Set):
            yield source.put(node, _joined(node, texts[:index] + texts[index + 1 :]), "element dropped", 0.25)
        if index + 1 < len(texts):
            swapped = [*texts[:index], texts[index + 1], texts[index], *texts[index + 2 :]]
            yield source.put(node, _joined(node, swapped), "elements swapped", 0.4)
    if isinstance(node, ast.Tuple) and isinstance(source.parents.get(node), ast.Subscript):
        return
    usual = 0.35 if not texts else 0.12
    candidates = [*context.names, *("0", "1", "[]") * (not texts)]
    for rank, name in enumerate(candidates):
        for place in {len(texts), 0}:
            added = [*texts[:place], name, *texts[place:]]
            yield source.put(node, _joined(node, added), "element added", usual / (1 + 0.15 * rank))


def _joined(node: ast.List | ast.Tuple | ast.Set, texts: list[str]) -> str:
    inside = ", ".join(texts)
    if isinstance(node, ast.List):
        return f"[{inside}]"
    if isinstance(node, ast.Set):
        return "{" + inside + "}"
    return f"({inside},)" if len(texts) == 1 else f"({inside})"
