"""A program of its own (``python -I -S pychecks.py``) that reads Python files and says what is wrong in them.

Source that nobody has checked can make the parser take all memory or all stack; only another process survives that. It is
parsed and never executed, nothing is imported from it. Standard library only.

Input: for each file a JSON line ``{"path", "bytes"}`` and the bytes. Output: a JSON line for each finding ``{"path", "line",
"column", "rule", "message"}``, a line ``{"file"}`` after each file. Rules have Ruff's codes where Ruff has one that means the same.
"""

import ast
import builtins
import json
import re
import resource
import symtable
import sys
import warnings
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple, cast

_MEMORY = 1024 * 1024 * 1024
_CPU_S = 120
_MOST = 20_000
"""Findings in all: more would only fill memory."""
COMPLEX = 15
"""Branches of one function that are still taken for readable (McCabe, 1976)."""

_KNOWN = frozenset(dir(builtins)) | {
    "__file__", "__name__", "__path__", "__doc__", "__spec__", "__loader__", "__package__", "__builtins__", "__annotations__",
    "__module__", "__qualname__", "__class__", "__debug__", "WindowsError",
}  # fmt: skip
_MUTABLE = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
_BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case)
_ENDS = (ast.Return, ast.Raise, ast.Break, ast.Continue)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Finding(NamedTuple):
    line: int
    column: int
    rule: str
    message: str


def findings(data: bytes, path: str = "") -> list[Finding]:
    """What is wrong in one file, in the order of its lines."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
            table = symtable.symtable(data.decode("utf-8-sig", "replace"), path, "exec")
    except SyntaxError as error:
        return [Finding(error.lineno or 1, error.offset or 1, "syntax", error.msg)]
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        return [Finding(1, 1, "syntax", f"cannot be parsed: {error or type(error).__name__}")]
    found = [*_nodes(tree), *_undefined(tree, table)]
    if not path.endswith(("__init__.py", ".pyi")):
        found += _unused_imports(tree)
    quiet = {n for n, line in enumerate(data.split(b"\n"), 1) if b"# noqa" in line}
    return sorted(one for one in set(found) if one.line not in quiet)


def _at(node: ast.AST, rule: str, message: str) -> Finding:
    return Finding(getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1, rule, message)


def _nodes(tree: ast.Module) -> Iterator[Finding]:
    formats = {id(n.format_spec) for n in ast.walk(tree) if isinstance(n, ast.FormattedValue)}
    for node in ast.walk(tree):
        if id(node) in formats:
            continue
        for field in ("body", "orelse", "finalbody"):
            block: object = getattr(node, field, None)
            if isinstance(block, list):
                statements = cast("list[ast.stmt]", block)
                yield from _unreachable(statements)
                yield from _redefined(statements)
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from _function(node)
            case ast.Lambda():
                yield from _defaults(node.args)
            case ast.Call():
                yield from _call(node)
            case ast.Compare():
                yield from _compare(node)
            case ast.ExceptHandler(type=None):
                yield _at(node, "E722", "a bare `except:` also catches KeyboardInterrupt and SystemExit")
            case ast.Assert(test=ast.Tuple(elts=[_, *_])):
                yield _at(node, "F631", "an assertion on a tuple is always true")
            case ast.Dict():
                yield from _repeated_keys(node)
            case ast.JoinedStr() if not any(isinstance(v, ast.FormattedValue) for v in node.values):
                yield _at(node, "F541", "an f-string without placeholders")
            case ast.Try():
                yield from _finally(node)
            case (
                ast.Raise(exc=ast.Name(id="NotImplemented"))
                | ast.Raise(exc=ast.Call(func=ast.Name(id="NotImplemented")))
            ):
                yield _at(node, "F901", "`NotImplemented` cannot be raised")
            case ast.Expr(value=ast.Compare()):
                yield _at(node, "B015", "a comparison whose result is not used")
            case _:
                pass


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Finding]:
    yield from _defaults(node.args)
    branches = 1 + sum(isinstance(n, _BRANCHES) for n in _own(node))
    if branches > COMPLEX:
        yield _at(node, "C901", f"`{node.name}` is too complex ({branches} > {COMPLEX})")
    if node.name == "__init__":
        for inner in _own(node):
            if isinstance(inner, ast.Return) and inner.value is not None and not _is_none(inner.value):
                yield _at(inner, "PLE0101", "`__init__` returns a value")


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions and classes in it."""
    todo = list(ast.iter_child_nodes(function))
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef, ast.Lambda)):
            todo += ast.iter_child_nodes(node)


def _defaults(arguments: ast.arguments) -> Iterator[Finding]:
    for default in (*arguments.defaults, *filter(None, arguments.kw_defaults)):
        made = isinstance(default, ast.Call) and isinstance(default.func, ast.Name) and not default.args
        if isinstance(default, _MUTABLE) or (made and _named(default) in ("list", "dict", "set")):
            yield _at(default, "B006", "a mutable default is shared by all calls")


def _named(call: ast.expr | None) -> str:
    """The dotted name that is called."""
    node, parts = call.func if isinstance(call, ast.Call) else None, list[str]()
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


_CALLS = {
    "eval": ("S307", "`eval` runs whatever it is given"),
    "exec": ("S102", "`exec` runs whatever it is given"),
    "pickle.load": ("S301", "unpickling runs code of whoever wrote the data"),
    "pickle.loads": ("S301", "unpickling runs code of whoever wrote the data"),
    "os.system": ("S605", "a command line goes through a shell"),
    "os.popen": ("S605", "a command line goes through a shell"),
}


def _call(node: ast.Call) -> Iterator[Finding]:
    name = _named(node)
    if name in _CALLS:
        yield _at(node, *_CALLS[name])
    for keyword in node.keywords:
        if (
            keyword.arg == "shell"
            and name.startswith("subprocess.")
            and isinstance(keyword.value, ast.Constant)
            and keyword.value.value is True
        ):
            yield _at(node, "S602", "`shell=True` lets the shell read the arguments")
    if name == "yaml.load" and len(node.args) < 2 and not node.keywords:
        yield _at(node, "S506", "`yaml.load` without a safe loader makes objects of any kind")


def _compare(node: ast.Compare) -> Iterator[Finding]:
    sides = [node.left, *node.comparators]
    for operator, left, right in zip(node.ops, sides, sides[1:], strict=False):
        if isinstance(operator, ast.Is | ast.IsNot) and (_is_literal(left) or _is_literal(right)):
            yield _at(node, "F632", "identity with a literal: use `==`")
        if isinstance(operator, ast.Eq | ast.NotEq):
            if _is_none(left) or _is_none(right):
                yield _at(right if _is_none(right) else left, "E711", "comparison to `None`: use `is`")
            for side in (left, right):
                if isinstance(side, ast.Constant) and isinstance(side.value, bool):
                    yield _at(side, "E712", f"comparison to `{side.value}`")


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_literal(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str | bytes | int | float)
        and not isinstance(node.value, bool)
    )


def _repeated_keys(node: ast.Dict) -> Iterator[Finding]:
    seen: dict[tuple[type, object], str] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant):
            same = (type(key.value), key.value)
            if same in seen and seen[same] != ast.dump(value):
                yield _at(key, "F601", f"the key {key.value!r} is repeated, and the first value lost"[:200])
            seen[same] = ast.dump(value)


def _finally(node: ast.Try) -> Iterator[Finding]:
    for statement in node.finalbody:
        for inner in [statement, *_own(statement)]:
            if isinstance(inner, ast.Return):
                yield _at(inner, "B012", "`return` in `finally` swallows the exception")


def _unreachable(block: list[ast.stmt]) -> Iterator[Finding]:
    for before, after in pairwise(block):
        if isinstance(before, _ENDS) and not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Yield)):
            yield _at(after, "unreachable", "this is never reached")
            return


def _redefined(block: list[ast.stmt]) -> Iterator[Finding]:
    last: dict[str, int] = {}
    for statement in block:
        if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
            if statement.decorator_list:  # overloads, setters, registrations
                last.pop(statement.name, None)
                continue
            if statement.name in last:
                first = last[statement.name]
                yield _at(statement, "F811", f"`{statement.name}` is defined again; the one of line {first} is lost")
            last[statement.name] = statement.lineno
        else:
            for node in ast.walk(statement):
                if isinstance(node, ast.Name):
                    last.pop(node.id, None)


def _unused_imports(tree: ast.Module) -> Iterator[Finding]:
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    used |= {word for text in _texts(tree) for word in re.findall(r"\w+", text)}
    for statement in tree.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
                continue
            for alias in statement.names:
                bound = alias.asname or alias.name.partition(".")[0]
                if bound not in used and bound != "*" and alias.asname != alias.name:
                    yield _at(alias, "F401", f"`{alias.asname or alias.name}` is imported and not used")


def _texts(tree: ast.Module) -> Iterator[str]:
    """Short texts: names in ``__all__`` and annotations in quotes are among them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 200:
            yield node.value


def _undefined(tree: ast.Module, table: symtable.SymbolTable) -> Iterator[Finding]:
    """Names that no scope binds (by the compiler's own symbol tables)."""
    if any(isinstance(n, ast.ImportFrom) and any(a.name == "*" for a in n.names) for n in ast.walk(tree)):
        return
    tables = list(_tables(table))
    bound = {s.get_name() for s in table.get_symbols() if _binds(s)} | _KNOWN
    bound |= {s.get_name() for t in tables for s in t.get_symbols() if s.is_declared_global() and _binds(s)}
    missing = {
        s.get_name()
        for t in tables
        for s in t.get_symbols()
        if s.is_referenced() and s.get_name() not in bound and (s.is_global() or (t is table and not _binds(s)))
    }
    missing -= {s.get_name() for t in tables[1:] for s in t.get_symbols() if _binds(s)}
    tried = {
        id(n)
        for t in ast.walk(tree)
        if isinstance(t, ast.Try) and _expects_missing(t)
        for s in t.body
        for n in ast.walk(s)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in missing and id(node) not in tried:
            yield _at(node, "F821", f"`{node.id}` is not defined")


def _expects_missing(node: ast.Try) -> bool:
    return any("NameError" in ast.dump(handler.type) for handler in node.handlers if handler.type is not None)


def _binds(symbol: symtable.Symbol) -> bool:
    return symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace() or symbol.is_parameter()


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)


def lines(files: Iterable[tuple[str, bytes]]) -> Iterator[str]:
    """The output for some files."""
    left = _MOST
    for path, data in files:
        for one in findings(data, path)[:left]:
            yield json.dumps({"path": path, **one._asdict()})
            left -= 1
        yield json.dumps({"file": path})


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    source = sys.stdin.buffer

    def files() -> Iterator[tuple[str, bytes]]:
        while head := source.readline():
            file = json.loads(head)
            yield file["path"], source.read(file["bytes"])

    for line in lines(files()):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
