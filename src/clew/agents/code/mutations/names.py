"""The wrong name: another variable, function, attribute or method of the same sort."""

import ast
from collections.abc import Iterator

from clew.agents.code.context import Context
from clew.agents.code.source import Mutation

FAMILY = "wrong name"

# Things that are mistaken for one another.
_SIBLINGS = (
    ("append", "extend", "insert"),
    ("append", "appendleft"),
    ("pop", "popleft"),
    ("add", "update"),
    ("add", "discard"),
    ("remove", "discard", "pop"),
    ("index", "find", "rindex", "rfind"),
    ("strip", "lstrip", "rstrip"),
    ("lower", "upper", "title", "capitalize"),
    ("startswith", "endswith"),
    ("keys", "values", "items"),
    ("union", "intersection", "difference", "symmetric_difference"),
    ("issubset", "issuperset"),
    ("split", "rsplit", "splitlines", "partition"),
    ("isdigit", "isalpha", "isalnum", "isnumeric", "isspace"),
    ("min", "max", "sum"),
    ("any", "all"),
    ("floor", "ceil", "round", "int"),
    ("sorted", "list", "reversed", "set"),
    ("list", "tuple"),
    ("heappush", "heappop", "heappushpop", "heapreplace", "heapify"),
    ("bisect_left", "bisect_right", "insort_left", "insort_right"),
    ("days", "seconds", "total_seconds"),
    ("weekday", "isoweekday"),
    ("width", "height"),
    ("start", "end", "stop"),
    ("left", "right"),
    ("first", "last"),
    ("ljust", "rjust", "center"),
    ("len", "sum", "max"),
    ("str", "repr"),
    ("int", "float", "round"),
    ("isinstance", "issubclass"),
    ("permutations", "combinations", "product"),
)


def siblings(name: str) -> list[str]:
    """Names that are easily mistaken for ``name``, nearest table first."""
    found = dict.fromkeys(other for group in _SIBLINGS if name in group for other in group if other != name)
    return list(found)


def mutate(statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    for node in context.source.expressions(statement):
        parent = context.source.parents.get(node)
        called = isinstance(parent, ast.Call) and parent.func is node
        if isinstance(node, ast.Name):
            if called:
                yield from _function(node, context)
            else:
                yield from _variable(node, statement, context)
        elif isinstance(node, ast.Attribute):
            yield from _attribute(node, context, called=called)


def _variable(node: ast.Name, statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    stored = not isinstance(node.ctx, ast.Load)
    if stored and not isinstance(statement, (ast.Assign, ast.AugAssign)):
        return
    usual = 0.15 if stored else 0.55
    others = [n for n in context.names if n != node.id]
    fits = {n: max(context.alike(node.id, n), 0.9 * (n in context.unread)) for n in others}
    others.sort(key=lambda n: -fits[n])
    for rank, other in enumerate(others[:12]):
        yield context.source.put(node, other, FAMILY, usual * fits[other] / (1 + 0.1 * rank))
    if stored:
        return
    for rank, other in enumerate(n for n in context.module_names if n != node.id and n not in others):
        if rank < 8:
            near = 1.5 if node.id in context.module_names else 1.0
            yield context.source.put(node, other, FAMILY, 0.2 * near * context.alike(node.id, other) / (1 + 0.2 * rank))
    for rank, attribute in enumerate(context.attributes.get(node.id, ())[:6]):
        yield context.source.put(node, f"{node.id}.{attribute}", "attribute missing", 0.25 / (1 + 0.2 * rank))
    for rank, path in enumerate(sorted(context.paths, key=lambda p: not p.endswith(f".{node.id}"))[:8]):
        usual = 0.35 if path.endswith(f".{node.id}") else 0.15
        yield context.source.put(node, path, FAMILY, usual / (1 + 0.2 * rank))
    for rank, attribute in enumerate(a for a in context.attributes.get("self", ()) if a == node.id):
        yield context.source.put(node, f"self.{attribute}", "attribute missing", 0.4 / (1 + rank))


def _function(node: ast.Name, context: Context) -> Iterator[Mutation]:
    for rank, other in enumerate(siblings(node.id)):
        yield context.source.put(node, other, "wrong function", 0.45 / (1 + 0.3 * rank))
    arity = context.functions.get(node.id)
    others = [n for n, count in context.functions.items() if n != node.id and (arity is None or count == arity)]
    for rank, other in enumerate(others[:8]):
        yield context.source.put(node, other, "wrong function", (0.3 if arity is not None else 0.1) / (1 + 0.2 * rank))


def _attribute(node: ast.Attribute, context: Context, *, called: bool) -> Iterator[Mutation]:
    source = context.source
    start = source.span(node)[1] - len(node.attr.encode())
    if source.data[start : start + len(node.attr.encode())] != node.attr.encode():
        return
    near = siblings(node.attr)
    base = node.value.id if isinstance(node.value, ast.Name) else ""
    if called:
        arity = context.methods.get(node.attr) if base == "self" else None
        own = [m for m, count in context.methods.items() if arity is not None and count == arity]
    else:
        own = context.attributes.get(base, [])
    for rank, other in enumerate(dict.fromkeys([*near, *own])):
        if other != node.attr and rank < 12:
            prior = (0.45 if other in near else 0.4) / (1 + 0.15 * rank)
            yield Mutation("wrong attribute", node.lineno, start, source.span(node)[1], other, prior)
    if not called and isinstance(node.ctx, ast.Load):
        yield source.put(node, source.text(node.value), "attribute too many", 0.2)
        if base == "self" and node.attr in context.names:
            yield source.put(node, node.attr, FAMILY, 0.35)
        for rank, name in enumerate(context.names[:8]):
            yield source.put(node, name, FAMILY, 0.12 / (1 + 0.15 * rank))
