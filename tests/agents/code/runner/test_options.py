import importlib.util
import sys

from clew.agents.code.runner.options import prepare_path, pytest_arguments


def test_the_repositorys_configuration_is_found_where_it_was(tmp_path):
    arguments = pytest_arguments({"root": str(tmp_path), "rootdir": ".", "inifile": "setup.cfg"})
    assert f"--rootdir={tmp_path}" in arguments
    assert arguments[arguments.index("-c") + 1] == str(tmp_path / "setup.cfg")


def test_order_and_tracing_are_protected_only_from_what_is_installed(monkeypatch):
    installed = {"xdist", "pytest_cov"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if name in installed else None)
    arguments = pytest_arguments({"root": "/workspace"})
    assert "no:randomly" in arguments
    assert "-n0" in arguments
    assert "--no-cov" in arguments
    assert not any(a.startswith("--hypothesis") for a in arguments)
    installed.clear()
    assert not {"-n0", "--no-cov"} & set(pytest_arguments({"root": "/workspace"}))


def test_the_repository_comes_first(monkeypatch):
    monkeypatch.setattr(sys, "path", ["/usr/lib/python3", "/workspace"])
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    prepare_path({"path": ["/workspace/src", "/workspace"]})
    assert sys.path == ["/workspace/src", "/usr/lib/python3", "/workspace"]
    assert sys.dont_write_bytecode
