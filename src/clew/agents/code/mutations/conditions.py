"""Conditions: turned round, too wide or too narrow (a part missing), constant where something should be tested."""

import ast
from collections.abc import Iterator

from clew.agents.code.context import Context
from clew.agents.code.kinds import NUMBER, SEQUENCE, SET, TEXT, TRUTH
from clew.agents.code.source import Mutation

FAMILY = "condition"
_LIMIT = 40


def tests_of(statement: ast.stmt, context: Context) -> Iterator[ast.expr]:
    """Expressions used as conditions in the header of a statement."""
    for node in context.source.expressions(statement):
        parent = context.source.parents.get(node)
        match parent:
            case ast.If() | ast.While() | ast.IfExp() | ast.Assert() if parent.test is node:
                yield node
            case ast.comprehension() if node in parent.ifs:
                yield node
            case _:
                continue


def mutate(statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    source = context.source
    for test in tests_of(statement, context):
        text = source.text(test)
        if isinstance(test, ast.Constant):
            for rank, atom in enumerate(atoms(context, bare_first=True)):
                yield source.put(test, atom, "condition missing", 0.4 / (1 + 0.1 * rank))
            continue
        yield source.put(test, _negated(test, text), FAMILY, 0.4)
        yield source.put(test, "True", "condition too many", 0.2)
        yield source.put(test, "False", "condition too many", 0.12)
        yield from _guarded(test, text, context)
        for rank, atom in enumerate(a for a in atoms(context, bare_first=False) if a != text):
            prior = 0.25 / (1 + 0.12 * rank)
            yield source.put(test, f"{_part(text, test, ast.Or)} and {atom}", "condition missing", prior)
            yield source.put(test, f"{_part(text, test, ast.And)} or {atom}", "condition missing", prior * 0.98)
            yield source.put(test, atom, "wrong condition", prior * 0.5)
    for node in source.expressions(statement):
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
            yield from _filters(node, context)
    yield from _truths(statement, context)
    yield from _turned(statement, context)


def _turned(statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    """``not`` that is missing before a returned value or before a part of ``and`` and ``or``."""
    source = context.source
    for node in source.expressions(statement):
        if isinstance(node, ast.BoolOp):
            for part in node.values:
                yield source.put(part, _negated(part, source.text(part)), FAMILY, 0.25)
        elif (
            isinstance(source.parents.get(node), (ast.Assign, ast.keyword, ast.Call, ast.Lambda))
            and not isinstance(node, (ast.Name, ast.Constant))
            and TRUTH in context.kind_of(node)
        ):
            yield source.put(node, _negated(node, source.text(node)), FAMILY, 0.2)
    value = statement.value if isinstance(statement, ast.Return) else None
    if isinstance(value, (ast.Name, ast.Attribute, ast.Call, ast.Compare, ast.BoolOp, ast.UnaryOp)):
        usual = 0.3 if context.truthful or TRUTH in context.kind_of(value) else 0.08
        yield source.put(value, _negated(value, source.text(value)), FAMILY, usual)


def _guarded(test: ast.expr, text: str, context: Context) -> Iterator[Mutation]:
    """A null guard before the condition, for what the condition dereferences."""
    source = context.source
    guarded: dict[str, int] = {}
    around = [*ast.walk(test), *(n for n in ast.walk(source.statement_of(test)) if isinstance(n, ast.Attribute))]
    for node in around:
        if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.value, (ast.Name, ast.Attribute)):
            guarded.setdefault(source.text(node.value), len(guarded))
            if isinstance(node, ast.Attribute) and node in ast.walk(test):
                guarded.setdefault(source.text(node), len(guarded))
    for name in context.names:
        if any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(test)):
            guarded.setdefault(name, len(guarded))
    for thing, rank in guarded.items():
        prior = 0.35 / (1 + 0.25 * rank)
        yield source.put(test, f"{thing} is None or {text}", "guard missing", prior)
        yield source.put(test, f"{thing} is not None and {_part(text, test, ast.Or)}", "guard missing", prior)
        yield source.put(test, f"not {thing} or {text}", "guard missing", prior * 0.7)
        yield source.put(test, f"{thing} and {_part(text, test, ast.Or)}", "guard missing", prior * 0.7)


def atoms(context: Context, *, bare_first: bool) -> list[str]:
    """Small conditions over what is in scope, likeliest first."""
    bare = [n for n in context.names if context.kinds.get(n, set()) & {SEQUENCE, SET, TEXT} or not context.kinds.get(n)]
    rest = [n for n in context.names if n not in bare]
    found = list(bare) if bare_first else []
    found += context.conditions
    numbers = context.of_kind(NUMBER)[:6]
    if not bare_first:
        found += [f"not {n}" for n in bare[:5]] + bare[:5]
        found += [f"{n} is {word}None" for n in bare[:5] for word in ("", "not ")]
    found += [f"{n} {op} 0" for n in numbers for op in (">", "==", "!=", "<")]
    found += [f"{a} {op} {b}" for a in numbers[:4] for b in numbers[:4] if a < b for op in ("<", ">", "==", "!=")]
    members = [n for n in context.names if SET in context.kinds.get(n, set())]
    found += [f"{n} {word}in {m}" for m in members[:2] for n in context.names[:6] if n != m for word in ("not ", "")]
    found += rest if bare_first else []
    return list(dict.fromkeys(found))[:_LIMIT]


def _filters(
    node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, context: Context
) -> Iterator[Mutation]:
    source = context.source
    for generator in node.generators:
        for test in generator.ifs:
            before = source.data[: source.span(test)[0]].rstrip()
            if before.endswith(b"if"):
                start = len(before) - 2
                yield Mutation("condition too many", test.lineno, start, source.span(test)[1], "", 0.25)
        if not generator.ifs and isinstance(generator.target, ast.Name):
            end = source.span(generator.iter)[1]
            name = generator.target.id
            others = [n for n in context.names if n != name]
            choices = [name, f"{name} is not None", *(f"{name} != {n}" for n in others[:4])]
            choices += [f"{name} not in {n}" for n in others[:4]]
            for rank, choice in enumerate(choices):
                prior = 0.12 / (1 + 0.2 * rank)
                yield Mutation(
                    "condition missing", generator.iter.end_lineno or node.lineno, end, end, f" if {choice}", prior
                )


def _truths(statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    """A returned or assigned True or False that should be the outcome of a test."""
    value = getattr(statement, "value", None)
    if not (isinstance(value, ast.Constant) and isinstance(value.value, bool)):
        return
    ranked = [c for n in context.names for c in (f"{n} == 0", f"not {n}", n, f"{n} is None", f"{n} > 0", f"{n} != 0")]
    for rank, text in enumerate(dict.fromkeys([*context.conditions, *ranked])):
        yield context.source.put(value, text, "condition missing", 0.35 / (1 + 0.08 * rank))


def _negated(test: ast.expr, text: str) -> str:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return text[3:].strip()
    return f"not ({text})" if isinstance(test, (ast.BoolOp, ast.Compare, ast.IfExp, ast.NamedExpr)) else f"not {text}"


def _part(text: str, test: ast.expr, other: type[ast.boolop]) -> str:
    loose = isinstance(test, (ast.IfExp, ast.Lambda, ast.NamedExpr))
    return f"({text})" if loose or (isinstance(test, ast.BoolOp) and isinstance(test.op, other)) else text
