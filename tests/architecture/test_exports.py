"""The public facade is frozen: a change here is a change of the contract."""

import importlib
import subprocess
import sys

import pytest

import clew

NAMES = ["AsyncEngine", "ClewError", "Ctx", "Engine", "Failure", "Handle", "ManifestError", "RunResult", "__version__"]


def test_the_facade():
    assert clew.__all__ == NAMES
    for name in NAMES:
        assert getattr(clew, name) is not None


def test_what_is_not_public():
    with pytest.raises(AttributeError, match="module 'clew' has no attribute 'Machine'"):
        clew.Machine  # noqa: B018


def test_the_public_fakes():
    assert sorted(importlib.import_module("clew.testing").__all__) == [
        "FakeProvider", "MachineScript", "ManualClock", "MemoryRecord", "ScriptedDriver", "ScriptedHuman", "ScriptedModel",
        "graph_of", "one_node", "write_project",
    ]  # fmt: skip


def test_importing_the_facade_costs_nothing():
    code = "import clew, sys; print(sorted(m for m in sys.modules if m.split('.')[0] in ('clew','msgspec','yaml','asyncio')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['clew', 'clew._version']"
