"""Whole statements: one too many, one missing, in the wrong order, at the wrong depth, or of the wrong assigning kind."""

import ast
import re
from collections.abc import Iterator

from clew.agents.code.context import Context
from clew.agents.code.kinds import NUMBER, SEQUENCE, SET
from clew.agents.code.signs import block
from clew.agents.code.source import FUNCTIONS, Mutation, Source

FAMILY = "statement"
_SIMPLE = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Return, ast.Raise, ast.Delete)
_SIMPLE_TOO = (ast.Break, ast.Continue, ast.Pass, ast.Assert)
_SMALL = 2
_LOOPS = (ast.For, ast.While, ast.AsyncFor)


def mutate(statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    if isinstance(statement, (ast.Import, ast.ImportFrom, ast.ClassDef, *FUNCTIONS)):
        return
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return
    yield from _deleted(statement, context)
    yield from _jumps(statement, context)
    yield from _assignments(statement, context)
    yield from _moved(statement, context)
    if context.function is not None:
        yield from _inserted(statement, context)


def _deleted(statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    source = context.source
    start, end = source.span(statement)
    simple = isinstance(statement, (*_SIMPLE, *_SIMPLE_TOO))
    if not simple and not _is_small_if(statement):
        return
    prior = 0.3 if simple else 0.2
    around = block(statement, source)
    if len(around) > 1 and source.indent(statement) is not None and _ends_line(source, end):
        line_start = source.offset(statement.lineno, 0)
        yield Mutation("statement too many", statement.lineno, line_start, _after_line(source, end), "", prior)
    elif len(around) == 1 and simple and not isinstance(statement, ast.Pass):
        yield Mutation("statement too many", statement.lineno, start, end, "pass", prior)


def _is_small_if(statement: ast.stmt) -> bool:
    """Of the statements with a body only these are superfluous now and then; without others too much is lost."""
    return isinstance(statement, ast.If) and not statement.orelse and len(statement.body) <= _SMALL


def _jumps(statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    """``break``, ``continue`` and ``pass`` for one another."""
    if not isinstance(statement, (ast.Break, ast.Continue, ast.Pass)):
        return
    source = context.source
    start, end = source.span(statement)
    around = [n for n in source.ancestors(statement) if isinstance(n, (*_LOOPS, *FUNCTIONS, ast.ClassDef))]
    others = ["break", "continue"] if around and isinstance(around[0], _LOOPS) else []
    others += ["return"] if context.function is not None and not context.is_generator else []
    for rank, other in enumerate(o for o in others if o != source.text(statement)):
        yield Mutation("wrong jump", statement.lineno, start, end, other, 0.4 / (1 + 0.3 * rank))


def _ends_line(source: Source, end: int) -> bool:
    rest = source.data[end : _after_line(source, end)].strip()
    return not rest or rest.startswith(b"#")


def _after_line(source: Source, offset: int) -> int:
    found = source.data.find(b"\n", offset)
    return len(source.data) if found < 0 else found + 1


def _assignments(statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    source = context.source
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return
    target, value = statement.targets[0], statement.value
    if not isinstance(target, (ast.Name, ast.Attribute, ast.Subscript)):
        return
    start, end = source.span(statement)
    name, text = source.text(target), source.text(value)
    number = context.may_be(target, NUMBER) if isinstance(target, ast.Name) else 0.5
    for symbol, prior in (("+=", 0.3), ("-=", 0.15), ("*=", 0.1), ("|=", 0.05)):
        yield Mutation(
            "accumulation missing",
            statement.lineno,
            start,
            end,
            f"{name} {symbol} {text}",
            prior * (0.4 + 0.6 * number),
        )
    yield Mutation("part missing", statement.lineno, start, end, f"{name} = {text} + {name}", 0.15)
    yield Mutation("part missing", statement.lineno, start, end, f"{name} = {name} + [{text}]", 0.05)
    yield Mutation("part missing", statement.lineno, start, end, f"{name} = {name} or {text}", 0.12)
    yield Mutation("part missing", statement.lineno, start, end, f"{name} = {name} and {text}", 0.08)


def _moved(statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    source = context.source
    around = block(statement, source)
    indent = source.indent(statement)
    if indent is None:
        return
    index = around.index(statement)
    if index + 1 < len(around) and source.indent(around[index + 1]) == indent:
        yield from _swapped(statement, around[index + 1], source)
    parent = source.parents[statement]
    if index == len(around) - 1 and len(around) > 1 and isinstance(parent, (*_LOOPS, ast.If, ast.With)):
        yield from _dedented(statement, parent, source)
    before = around[index - 1] if index else None
    if before is not None and isinstance(before, (*_LOOPS, ast.If, ast.With)) and not getattr(before, "orelse", None):
        deeper = source.indent(before.body[0])
        if deeper is not None and len(deeper) > len(indent):
            start, end = source.offset(statement.lineno, 0), source.span(statement)[1]
            text = _reindented(source.data[start:end].decode(), indent, deeper)
            yield Mutation("wrong depth", statement.lineno, start, end, text, 0.25)


def _swapped(first: ast.stmt, second: ast.stmt, source: Source) -> Iterator[Mutation]:
    (start, middle), (then, end) = source.span(first), source.span(second)
    between = source.data[middle:then].decode()
    text = source.text(second) + between + source.text(first)
    yield Mutation("wrong order", first.lineno, start, end, text, 0.25)


def _dedented(statement: ast.stmt, parent: ast.stmt, source: Source) -> Iterator[Mutation]:
    outer, indent = source.indent(parent), source.indent(statement)
    if outer is None or indent is None or getattr(parent, "orelse", None):
        return
    start, end = source.offset(statement.lineno, 0), source.span(statement)[1]
    text = _reindented(source.data[start:end].decode(), indent, outer)
    yield Mutation("wrong depth", statement.lineno, start, end, text, 0.3)


def _reindented(text: str, old: str, new: str) -> str:
    return re.sub(f"^{re.escape(old)}", new, text, flags=re.MULTILINE)


def _inserted(statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    """A missing statement, before this one; after it too when it is the last of its block."""
    source = context.source
    indent = source.indent(statement)
    if indent is None:
        return
    around = block(statement, source)
    start, end = source.span(statement)
    last = around[-1] is statement and not isinstance(statement, (ast.Return, ast.Raise, ast.Break, ast.Continue))
    for text, prior in _candidates(statement, context):
        if isinstance(statement, ast.Pass):
            yield Mutation("statement missing", statement.lineno, start, end, text, prior)
            continue
        yield Mutation("statement missing", statement.lineno, start, start, f"{text}\n{indent}", prior)
        if last:
            line = statement.end_lineno or statement.lineno
            yield Mutation("statement missing", line, end, end, f"\n{indent}{text}", prior)


def _candidates(statement: ast.stmt, context: Context) -> Iterator[tuple[str, float]]:
    source = context.source
    looping = any(isinstance(n, _LOOPS) for n in source.ancestors(statement))
    seen: dict[str, float] = {}
    for text, prior in (
        *_memory(context),
        *_copies(statement, context),
        *_progress(statement, context),
        *_taken_up(statement, context),
        *_steps(context, looping=looping),
    ):
        if text != source.text(statement):
            seen[text] = max(prior, seen.get(text, 0.0))
    yield from seen.items()


def _memory(context: Context) -> Iterator[tuple[str, float]]:
    """A collection that is asked about but never filled (or hardly): ``seen.add(node)``, ``found.append(x)``."""
    names = context.names
    latest = [*reversed(context.own), *names]
    for collection in names:
        kinds = context.kinds.get(collection, set())
        for kind, method in ((SET, "add"), (SEQUENCE, "append")):
            if kind not in kinds:
                continue
            called = context.attributes.get(collection + "()", [])
            if kind == SEQUENCE and not {"append", "extend", "pop", "popleft"} & set(called):
                continue
            usual = 0.1 if method in called or "update" in called else 0.35
            for rank, name in enumerate(n for n in dict.fromkeys(latest) if n != collection):
                yield f"{collection}.{method}({name})", usual / (1 + 0.15 * rank)


def _copies(statement: ast.stmt, context: Context) -> Iterator[tuple[str, float]]:
    """Simple statements of the same function, as they are and with one name for another."""
    source = context.source
    found = [
        n
        for n in ast.walk(context.root)
        if isinstance(n, (ast.Assign, ast.AugAssign, ast.Expr)) and n.lineno == n.end_lineno
    ]
    found.sort(key=lambda n: (abs(n.lineno - statement.lineno), n.lineno))
    for rank, node in enumerate(found[:10]):
        text = source.text(node)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        yield text, 0.14 / (1 + 0.15 * rank)
        used = dict.fromkeys(n.id for n in ast.walk(node) if isinstance(n, ast.Name) and n.id in context.names)
        for turn, name in enumerate(used):
            for place, other in enumerate(n for n in context.names if n != name and context.alike(name, n) >= 0.6):
                changed = re.sub(rf"\b{re.escape(name)}\b", other, text)
                yield changed, 0.06 / (1 + 0.15 * (rank + turn + place))


def _progress(statement: ast.stmt, context: Context) -> Iterator[tuple[str, float]]:
    """What brings a ``while`` loop nearer to its end: the next of a chain, one item less, half of a number."""
    source = context.source
    loops = [n for n in source.ancestors(statement) if isinstance(n, ast.While)]
    for loop in loops[:1]:
        for name in dict.fromkeys(
            n.id for n in ast.walk(loop.test) if isinstance(n, ast.Name) and n.id in context.names
        ):
            kinds = context.kinds.get(name, set())
            for rank, attribute in enumerate(context.attributes.get(name, [])[:6]):
                yield f"{name} = {name}.{attribute}", 0.2 / (1 + 0.2 * rank)
            if SEQUENCE in kinds or not kinds:
                for rank, step in enumerate((f"{name}.pop()", f"{name}.pop(0)", f"{name} = {name}[1:]")):
                    yield step, 0.15 / (1 + 0.2 * rank)
            if NUMBER in kinds:
                yield f"{name} //= 2", 0.06
        held = [n for n in ast.walk(loop.test) if isinstance(n, ast.Attribute) and source.text(n) in context.paths]
        for rank, path in enumerate(dict.fromkeys(source.text(n) for n in held)):
            yield f"{path}.pop()", 0.15 / (1 + 0.2 * rank)
            yield f"{path}.pop(0)", 0.12 / (1 + 0.2 * rank)


def _taken_up(statement: ast.stmt, context: Context) -> Iterator[tuple[str, float]]:
    """What is done with each item of a loop that never reads its variable."""
    loop = context.source.parents[statement]
    if not isinstance(loop, ast.For) or not isinstance(loop.target, ast.Name) or loop.target.id not in context.unread:
        return
    item = loop.target.id
    others = [name for name in reversed(context.names) if name != item]
    for rank, name in enumerate(others[:6]):
        for turn, text in enumerate((f"{name} = {item}({name})", f"{name}.append({item})", f"{name} += {item}")):
            yield text, 0.2 / (1 + 0.2 * (rank + turn))


def _steps(context: Context, *, looping: bool) -> Iterator[tuple[str, float]]:
    for rank, name in enumerate(context.of_kind(NUMBER)[:6]):
        yield f"{name} += 1", (0.15 if looping else 0.06) / (1 + 0.2 * rank)
        yield f"{name} -= 1", (0.12 if looping else 0.06) / (1 + 0.2 * rank)
    if looping:
        yield "break", 0.12
        yield "continue", 0.12
    if not context.is_generator:
        for rank, name in enumerate([*context.returns, *context.names[:6]]):
            if "\n" not in name:
                yield f"return {name}", 0.08 / (1 + 0.2 * rank)
    locals_ = [n for n in context.names if n not in {"self", "cls"}][:8]
    for rank, (a, b) in enumerate(
        (a, b) for a in reversed(locals_) for b in locals_ if a != b and context.alike(a, b) >= 0.6
    ):
        if rank < 30:
            yield f"{a} = {b}", 0.06 / (1 + 0.08 * rank)
