"""The source tree as data: parsed once for all rules."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "clew"


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def modules():
    """``core/flow.py`` -> its syntax tree, for every module of the package."""
    return {
        str(path.relative_to(SOURCE)): ast.parse(path.read_text(encoding="utf-8"), str(path))
        for path in sorted(SOURCE.rglob("*.py"))
        if "__pycache__" not in path.parts and "node_modules" not in path.parts
    }


@pytest.fixture(scope="session")
def lines():
    """``core/flow.py`` -> how many lines it has."""
    return {
        str(p.relative_to(SOURCE)): len(p.read_text(encoding="utf-8").splitlines())
        for p in sorted(SOURCE.rglob("*.py"))
    }


@pytest.fixture(scope="session")
def shrinks():
    """``shrinks(found, allowed)``: what is found must be allowed, and what is allowed must still be there to find."""

    def check(found, allowed, rule):
        new = sorted(set(found) - set(allowed))
        gone = sorted(set(allowed) - set(found))
        assert not new, f"{rule}: {new}"
        assert not gone, f"{rule}: mended; take off the allowlist: {gone}"

    return check
