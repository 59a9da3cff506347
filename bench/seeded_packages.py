"""The packages whose faults are repaired: fetched, laid out as repositories, their tests cut into two halves."""

import ast
import hashlib
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

VISIBLE, HELD_OUT = 0, 1


@dataclass(frozen=True)
class Package:
    """``code``: folders that are copied; ``tests``: those of them (or below them) that hold the tests."""

    name: str
    version: str
    code: tuple[str, ...]
    tests: tuple[str, ...]
    without: tuple[str, ...] = ()
    """Files of tests that need the package installed, and tests that need others to have run before them."""


PACKAGES = {
    p.name: p
    for p in (
        Package("cachetools", "8.0.1", ("src", "tests"), ("tests",)),
        Package(
            "toolz",
            "1.2.0",
            ("toolz", "tlz"),
            ("toolz/tests", "toolz/sandbox/tests"),
            ("test_package.py", "test_is_partial", "test_introspect_curry_partial_py3"),
        ),
        Package("parse", "1.22.4", ("parse", "tests"), ("tests",)),
    )
}


def fetch(package: Package, folder: Path) -> None:
    """The source distribution, from the registry that pip is set up for."""
    pinned = f"{package.name}=={package.version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", package.name]
    subprocess.run([*command, "--dest", str(folder), pinned], check=True)


def unpack(package: Package, folder: Path) -> Path:
    """The unpacked distribution. Raises SystemExit when it was not fetched."""
    stem = f"{package.name}-{package.version}"
    archive, target = folder / f"{stem}.tar.gz", folder / stem
    if not target.is_dir():
        if not archive.is_file():
            raise SystemExit(f"{archive} is missing: fetch it with --fetch")
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    return target


def lay_out(package: Package, origin: Path, target: Path, half: int) -> None:
    """The package with one half of its tests, and nothing of its own configuration, which asks for plugins."""
    for name in package.code:
        shutil.copytree(origin / name, target / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    (target / "pytest.ini").write_text(f"[pytest]\ntestpaths = {' '.join(package.tests)}\n")
    for folder in package.tests:
        for path in sorted((target / folder).rglob("*.py")):
            if path.name in package.without:
                path.unlink()
                continue
            path.write_text(cut(package, path.relative_to(target).as_posix(), path.read_text(), half))


def sources(package: Package, tree: Path) -> dict[str, bytes]:
    """The code under test."""
    files = (p for name in package.code for p in sorted((tree / name).rglob("*.py")))
    names = {p.relative_to(tree).as_posix(): p for p in files}
    return {n: p.read_bytes() for n, p in names.items() if not n.startswith(tuple(f"{t}/" for t in package.tests))}


def cut(package: Package, path: str, text: str, half: int) -> str:
    """A test file with the test functions of one half only; ``pass`` where the others stood."""
    lines = text.splitlines(keepends=True)
    tree = ast.parse(text)
    owners = [("", tree), *((f"{n.name}.", n) for n in ast.walk(tree) if isinstance(n, ast.ClassDef))]
    for prefix, owner in owners:
        for node in owner.body:
            test = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test")
            if test and (node.name in package.without or half_of(f"{path}::{prefix}{node.name}") != half):
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                gap = [""] * (node.end_lineno - first)
                lines[first - 1 : node.end_lineno] = [" " * node.col_offset + "pass\n", *gap]
    return "".join(lines)


def half_of(name: str) -> int:
    return hashlib.sha256(name.encode()).digest()[0] % 2
