"""Imports point down only; cycles are refused; the core is pure; imports stand at the top."""

import ast
import os
import subprocess
import sys
from pathlib import Path

ALLOWED_WITHIN_FUNCTIONS: set[str] = set()
"""``module:line`` would rot, so ``module:function``. Lazy tables use ``importlib.import_module`` and need no entry."""

PURE = {
    "msgspec",
    "clew",
    "collections",
    "typing",
    "hashlib",
    "heapq",
    "enum",
    "dataclasses",
    "functools",
    "itertools",
    "re",
    "json",
}


def test_the_contracts_of_the_import_linter_are_kept(root, tmp_path):
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


def test_the_core_imports_the_standard_library_and_msgspec_only(modules):
    for name, tree in modules.items():
        if name.startswith("core/"):
            for imported in _imports(tree):
                assert imported.split(".")[0] in PURE, f"{name} imports {imported}"
                assert imported.split(".")[:2] == ["clew", "core"] or not imported.startswith("clew"), (
                    f"{name}: {imported}"
                )


def test_imports_are_absolute(modules):
    """But for the programs (``runner``) that are carried into a sandbox as a folder, where there is no ``clew``."""
    for name, tree in modules.items():
        if "/runner/" in name:
            continue
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{name}:{node.lineno}"


def test_no_import_within_a_function(modules, shrinks):
    found = {
        f"{name}:{function.name}"
        for name, tree in modules.items()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    shrinks(found, ALLOWED_WITHIN_FUNCTIONS, "imports within functions")


def test_no_cycle_of_imports(modules):
    """The layers cannot tell within a package."""
    names = {("clew." + n[:-3].replace("/", ".")).removesuffix(".__init__"): n for n in modules}
    uses = {}
    for module, name in names.items():
        body = [n for n in modules[name].body if isinstance(n, ast.Import | ast.ImportFrom)]
        found = set()
        for node in body:
            if isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module} | {f"{node.module}.{a.name}" for a in node.names}
            elif isinstance(node, ast.Import):
                found |= {a.name for a in node.names}
        uses[module] = {f for f in found if f in names and f != module}
    done: set[str] = set()
    while ready := {m for m, used in uses.items() if m not in done and used <= done}:
        done |= ready
    assert set(uses) == done, f"in cycles: {sorted(set(uses) - done)}"
