"""Finds the function behind ``module:function`` without importing anything.

A module is looked for in the project directory first, then where Python would find it; of packages only the place is
asked, so that no code of theirs runs. The source is parsed, never executed.
"""

import ast
import hashlib
import importlib.machinery
import sys
import warnings
from pathlib import Path as FilePath
from typing import NamedTuple

from clew.manifest.context import Context
from clew.manifest.problems import Path, one_of, shown
from clew.manifest.read import MAX_BYTES


class Module(NamedTuple):
    """Where a module is. ``relative``: its path in the project, empty when it is installed."""

    file: FilePath
    relative: str
    source: bytes | None
    """``None`` for a module without readable source."""


class Parsed(NamedTuple):
    """The functions of a module, and the other names that it binds."""

    functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef]
    names: frozenset[str]
    open: bool
    """It imports ``*`` or makes names up: a name that is not seen may still be there."""


class Handlers:
    """Checks references; ``digests`` collects reference -> SHA-256 of the defining file."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._modules: dict[str, Module | None] = {}
        self._parsed: dict[str, Parsed | str] = {}
        self.digests: dict[str, str] = {}

    def check(self, path: Path, reference: str | None, called_with: str) -> None:
        """Reports a reference that leads to no function taking two arguments, named ``called_with``."""
        if reference is None or not self._context.sound(path):
            return
        name, _, function = reference.partition(":")
        before = len(self._context.problems)
        if name not in self._modules:
            self._modules[name] = self._find(name, path)
        module = self._modules[name]
        if module is None:
            if len(self._context.problems) == before:
                where = f"{name.replace('.', '/')}.py in the project, nor an installed module"
                modules = [file.stem for file in self._context.sources.root.glob("*.py")]
                message = f"there is no {where} {shown(name)}"
                self._context.report(path, "handler", message, suggestion=self._context.problems.closest(name, modules))
            return
        data = module.source if module.source is not None else str(module.file).encode()
        self.digests[reference] = hashlib.sha256(data).hexdigest()
        if module.source is None:
            return
        if name not in self._parsed:
            self._parsed[name] = parse(module.source)
        parsed = self._parsed[name]
        if isinstance(parsed, str):
            self._context.report(path, "handler", f"{module.relative or name}{parsed}")
        else:
            self._check_function(path, parsed, function, module, called_with)

    def _check_function(self, path: Path, parsed: Parsed, function: str, module: Module, called_with: str) -> None:
        definition = parsed.functions.get(function)
        where = module.relative or str(module.file)
        if definition is not None:
            if why := _unfit(definition):
                message = f"{function} in {where}:{definition.lineno} {why}; it is called with ({called_with})"
                self._context.report(path, "handler", message)
        elif function not in parsed.names and not parsed.open:
            public = [name for name in parsed.functions if not name.startswith("_")]
            message = f"{where} has no function {shown(function)}, expected {one_of(public)}"
            self._context.report(path, "handler", message, suggestion=self._context.problems.closest(function, public))

    def _find(self, name: str, path: Path) -> Module | None:
        parts = name.split(".")
        root = self._context.sources.root
        stem = "/".join(parts)
        for relative in (f"{stem}/__init__.py", f"{stem}.py"):
            if (root / relative).is_symlink() or (root / relative).exists():
                source = self._context.sources.bytes_of(relative, self._context.mark(path), path)
                return None if source is None else Module(root / relative, relative, source)
        return _installed(parts)


def _installed(parts: list[str]) -> Module | None:
    """A module on Python's own path; the finder only looks at directories."""
    if parts[0] in sys.builtin_module_names:
        return Module(FilePath(parts[0]), "", None)
    locations: list[str] | None = None
    found: importlib.machinery.ModuleSpec | None = None
    for index in range(len(parts)):
        try:
            found = importlib.machinery.PathFinder.find_spec(".".join(parts[: index + 1]), locations)
        except (ImportError, ValueError, OSError):
            return None
        if found is None:
            return None
        locations = list(found.submodule_search_locations or ())
        if not locations and index + 1 < len(parts):
            return None
    if found is None or found.origin is None:
        return None
    file = FilePath(found.origin)
    try:
        source = file.read_bytes() if file.suffix == ".py" and file.stat().st_size <= MAX_BYTES else None
    except OSError:
        return None
    return Module(file, "", source)


def parse(source: bytes) -> Parsed | str:
    """The names of a module, or what is wrong with its source, as the end of a sentence that begins with its file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except SyntaxError as error:
        return f":{error.lineno or 1}:{error.offset or 1} is not Python: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f" cannot be parsed as Python: {error or 'nested too deeply'}"
    functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
    names: set[str] = set()
    loose = False
    pending: list[ast.stmt] = list(tree.body)
    while pending:
        statement = pending.pop(0)
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                functions[statement.name] = statement
            case ast.ClassDef():
                names.add(statement.name)
            case ast.Import() | ast.ImportFrom():
                bound = [(alias.asname or alias.name).partition(".")[0] for alias in statement.names]
                loose = loose or "*" in bound
                names.update(bound)
            case ast.If() | ast.Try() | ast.With() | ast.For() | ast.While() | ast.TryStar():
                pending.extend(node for node in ast.walk(statement) if isinstance(node, ast.stmt) and node != statement)
            case _:
                stored = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
                names.update(node.id for node in stored if isinstance(node.ctx, ast.Store))
    loose = loose or "__getattr__" in functions
    decorated = {name for name, function in functions.items() if function.decorator_list}
    plain = {name: function for name, function in functions.items() if name not in decorated}
    return Parsed(plain, frozenset(names | decorated), loose)


def _unfit(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Why it cannot be called with two positional arguments, or ``""``."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) - len(arguments.defaults)
    needed = [
        argument.arg
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is None
    ]
    if needed:
        return f"needs the keyword argument {shown(needed[0])}"
    if required > 2:
        return f"needs {required} arguments"
    if len(positional) < 2 and arguments.vararg is None:
        return f"takes {len(positional)} argument{'' if len(positional) == 1 else 's'}"
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in _own_nodes(function)):
        return "is a generator"
    return ""


def _own_nodes(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.AST]:
    """Nodes of the body, without those of functions and classes inside it."""
    found: list[ast.AST] = []
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop()
        found.append(node)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            pending.extend(ast.iter_child_nodes(node))
    return found
