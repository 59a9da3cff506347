"""How pytest is called: the repository's own configuration, minus what would break order, isolation or tracing."""

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any, Dict, List


def pytest_arguments(spec: Dict[str, Any]) -> List[str]:
    """Arguments that go before the paths. ``spec`` may name ``rootdir`` and ``inifile`` found by an earlier session.

    ``plugins: false`` leaves off the plugins that the interpreter has installed, and everything that is said to them.
    """
    plugins = spec.get("plugins", True)
    if not plugins:
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    arguments = [
        "-q",
        "--tb=short",
        "--maxfail=0",
        "--capture=sys",
        "--continue-on-collection-errors",
        *("-p", "no:cacheprovider"),
        *("-p", "no:randomly"),
        *("-p", "no:random_order"),
    ]
    if plugins and importlib.util.find_spec("xdist"):
        arguments.append("-n0")
    if plugins and importlib.util.find_spec("pytest_cov"):
        arguments.append("--no-cov")
    if plugins and importlib.util.find_spec("hypothesis"):
        arguments.append("--hypothesis-seed=0")
    root = Path(spec["root"])
    if spec.get("rootdir"):
        arguments.append(f"--rootdir={root / spec['rootdir']}")
    if spec.get("inifile"):
        arguments.extend(("-c", str(root / spec["inifile"])))
    return arguments


def prepare_path(spec: Dict[str, Any]) -> None:
    """Put the repository's import roots first, as ``python -m pytest`` does with the working directory."""
    roots = [entry for entry in spec["path"] if entry not in sys.path]
    sys.path[:0] = roots
    sys.dont_write_bytecode = True
