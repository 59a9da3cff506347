"""Calls: arguments swapped, dropped, missing or of the wrong amount; a call too many or too few around a value."""

import ast
from collections.abc import Iterator

from clew.agents.code.context import Context
from clew.agents.code.kinds import MAPPING, NUMBER, SEQUENCE, SET, TEXT, call_name
from clew.agents.code.source import Mutation

FAMILY = "call"

# What is forgotten around a value of a kind, most usual first.
_WRAPPERS = {
    NUMBER: ("abs", "int", "str", "float", "round"),
    SEQUENCE: (
        "len",
        "list",
        "sorted",
        "set",
        "tuple",
        "iter",
        "sum",
        "max",
        "min",
        "reversed",
        "enumerate",
        "dict",
        "next",
    ),
    SET: ("len", "sorted", "list"),
    MAPPING: ("dict", "list", "len", "sorted"),
    TEXT: ("int", "len", "list", "str", "float"),
}
_UNKNOWN = (
    *("len", "list", "int", "str", "tuple", "iter", "set", "sorted", "abs", "bool", "next", "sum", "float", "dict"),
    *("reversed", "frozenset", "enumerate", "repr"),
)
_GENERATED = ("list", "tuple", "set", "sum", "sorted", "any", "all", "dict", "max", "min", "next", "frozenset")
_SECOND = {
    "setdefault": ("{}", "[]", "set()", "0"),
    "isinstance": ("str", "list", "tuple", "dict", "int"),
}
"""What stands second where the first argument alone is hardly ever meant."""
_MORE = ("None", "0", "1", "{}", "[]", "''", "True", "False")
_METHOD_CALLS = {SEQUENCE: (".copy()", "[:]"), TEXT: (".strip()", ".lower()", ".split()"), SET: (".copy()",)}
_UNKNOWN_METHODS = (".copy()", ".strip()", ".lower()", ".items()", ".values()", ".keys()")
_PLACES = (
    ast.Call,
    ast.Return,
    ast.Assign,
    ast.AugAssign,
    ast.For,
    ast.Compare,
    ast.BinOp,
    ast.comprehension,
    ast.Yield,
)


def mutate(statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    source = context.source
    for node in source.expressions(statement):
        if isinstance(node, ast.Call):
            yield from _arguments(node, context)
            yield from _unwrapped(node, context)
        if isinstance(source.parents.get(node), _PLACES) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            yield from _wrapped(node, statement, context)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and node.attr in context.methods:
            yield source.put(node, source.text(node) + "()", "call missing", 0.2)


def _arguments(node: ast.Call, context: Context) -> Iterator[Mutation]:
    source = context.source
    texts = [source.text(argument) for argument in node.args]
    for i in range(len(texts)):
        for j in range(i + 1, len(texts)):
            swapped = list(texts)
            swapped[i], swapped[j] = texts[j], texts[i]
            yield _with_arguments(node, swapped, context, "arguments swapped", 0.55 / (j - i))
    for i in range(len(texts)):
        yield _with_arguments(node, texts[:i] + texts[i + 1 :], context, "argument dropped", 0.25)
    wanted = context.functions.get(call_name(node), context.methods.get(call_name(node)))
    usual = 0.3 if wanted is not None and wanted > len(texts) + len(node.keywords) else 0.06
    idiom = _SECOND.get(call_name(node), ()) if len(texts) == 1 else ()
    if context.unread or idiom:
        usual = max(usual, 0.3 if idiom else 0.15)
    for rank, name in enumerate(dict.fromkeys([*idiom, *context.unread, *_others_first(context.names[:8]), *_MORE])):
        if name not in texts:
            yield _with_arguments(node, [*texts, name], context, "argument missing", usual / (1 + 0.2 * rank))
            if texts:
                yield _with_arguments(node, [name, *texts], context, "argument missing", 0.8 * usual / (1 + 0.2 * rank))
    for keyword in node.keywords:
        if keyword.arg:
            rest = [source.text(k) for k in node.keywords if k is not keyword]
            yield source.put(node, _call(node, [*texts, *rest], context), "argument dropped", 0.2)
    for rank, keyword in enumerate(_keywords(node, context)[:8]):
        every = [*texts, *(source.text(k) for k in node.keywords), keyword]
        yield source.put(node, _call(node, every, context), "argument missing", 0.25 / (1 + 0.2 * rank))
    if call_name(node) in {"sorted", "sort"} and not any(k.arg == "reverse" for k in node.keywords):
        every = [*texts, *(source.text(k) for k in node.keywords), "reverse=True"]
        yield source.put(node, _call(node, every, context), "argument missing", 0.25)


def _others_first(names: list[str]) -> list[str]:
    """An object is seldom handed on by its own methods."""
    return sorted(names, key=lambda name: name in {"self", "cls"})


def _keywords(node: ast.Call, context: Context) -> list[str]:
    """Named arguments that this call might have, too: of other calls of the same name, and parameters by their own name."""
    source, name = context.source, call_name(node)
    given = {keyword.arg for keyword in node.keywords}
    names = {*context.names, *context.module_names}
    found: dict[str, None] = {}
    for other in source.named_calls.get(name, ()):
        for keyword in other.keywords:
            local = {n.id for n in ast.walk(keyword.value) if isinstance(n, ast.Name)}
            if keyword.arg and keyword.arg not in given and local <= names:
                found.setdefault(source.text(keyword))
    return [*found, *(f"{p}={p}" for p in source.signatures.get(name, ()) if p in names and p not in given)]


def _with_arguments(node: ast.Call, texts: list[str], context: Context, operator: str, prior: float) -> Mutation:
    every = [*texts, *(context.source.text(keyword) for keyword in node.keywords)]
    return context.source.put(node, _call(node, every, context), operator, prior)


def _call(node: ast.Call, texts: list[str], context: Context) -> str:
    return f"{context.source.text(node.func)}({', '.join(texts)})"


def _unwrapped(node: ast.Call, context: Context) -> Iterator[Mutation]:
    again = context.function is not None and call_name(node) == context.function.name
    kind = "recursion dropped" if again else "call too many"
    for rank, argument in enumerate(node.args[:3]):
        if not isinstance(argument, (ast.Starred, ast.GeneratorExp)):
            yield context.source.put(node, context.source.text(argument), kind, 0.4 / (1 + 0.2 * rank))
    if isinstance(node.func, ast.Attribute):
        yield context.source.put(node, context.source.text(node.func.value), "call too many", 0.2)
    if not node.args and not node.keywords:
        yield context.source.put(node, context.source.text(node.func), "call too many", 0.12)


def _wrapped(node: ast.expr, statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    source, text = context.source, context.source.text(node)
    parent = source.parents.get(node)
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and isinstance(parent, ast.BinOp):
        for rank, wrapper in enumerate(("list", "tuple", "set")):
            yield source.put(node, f"{wrapper}({text})", "call missing", 0.14 / (1 + 0.2 * rank))
    if isinstance(node, (ast.Starred, ast.Constant)):
        return
    if isinstance(parent, ast.Call) and parent.func is node:
        return
    kinds = sorted(context.kind_of(node))
    if isinstance(node, ast.GeneratorExp):
        for rank, wrapper in enumerate(_GENERATED if not isinstance(parent, ast.Call) else ()):
            yield source.put(node, wrapper + text, "call missing", 0.4 / (1 + 0.2 * rank))
        return
    wrappers = dict.fromkeys(w for kind in kinds for w in _WRAPPERS.get(kind, ())) or dict.fromkeys(_UNKNOWN)
    for rank, wrapper in enumerate(w for w in wrappers if w != call_name(node) and w != call_name_of(parent)):
        yield source.put(node, f"{wrapper}({text})", "call missing", 0.14 / (1 + 0.2 * rank))
    own = [n for n, arity in context.functions.items() if arity == 1 and n != call_name(node)]
    for rank, wrapper in enumerate(own[:5]):
        yield source.put(node, f"{wrapper}({text})", "call missing", 0.14 / (1 + 0.2 * rank))
    if isinstance(node, (ast.Name, ast.Attribute, ast.Call, ast.Subscript)):
        methods = dict.fromkeys(m for kind in kinds for m in _METHOD_CALLS.get(kind, ())) or dict.fromkeys(
            _UNKNOWN_METHODS
        )
        for rank, method in enumerate(methods):
            yield source.put(node, text + method, "call missing", 0.09 / (1 + 0.2 * rank))
    if node is getattr(statement, "value", None) or isinstance(parent, (ast.Return, ast.BinOp, ast.Call)):
        yield from _bounded(node, statement, context)


def call_name_of(parent: ast.AST | None) -> str:
    return call_name(parent) if isinstance(parent, ast.expr) else ""


def _bounded(node: ast.expr, statement: ast.stmt, context: Context) -> Iterator[Mutation]:
    """A value that should not have passed a bound: ``max(value, bound)`` or ``min``."""
    text, likely = context.source.text(node), context.may_be(node, NUMBER)
    assigned = isinstance(statement, ast.Assign) and node is statement.value
    targets = [context.source.text(t) for t in statement.targets] if isinstance(statement, ast.Assign) else []
    bounds = [(t, 0.4 if assigned else 0.1) for t in targets]
    bounds += [("0", 0.25 if assigned else 0.12), ("1", 0.12)]
    bounds += [(n, 0.12 / (1 + 0.15 * i)) for i, n in enumerate(context.of_kind(NUMBER)) if n not in targets]
    for bound, prior in bounds:
        if bound != text:
            yield context.source.put(node, f"max({bound}, {text})", "bound missing", prior * likely)
            yield context.source.put(node, f"min({bound}, {text})", "bound missing", prior * likely * 0.8)
