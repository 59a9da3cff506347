"""Entry: ``python start.py SPEC RESULT`` performs the task in SPEC (JSON) and writes RESULT (JSON)."""

import importlib.util
import json
import sys
from pathlib import Path

PACKAGE = "_clew_runner"


def load_package(folder: Path) -> None:
    """Make ``folder`` importable as ``_clew_runner`` and take it off ``sys.path``."""
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != folder]
    spec = importlib.util.spec_from_file_location(
        PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise SystemExit("the runner's own folder cannot be loaded")
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)


def main(spec_path: str, result_path: str) -> None:
    """Read the task, perform it, write what came of it. A missing pytest is an answer, not a crash."""
    load_package(Path(__file__).resolve().parent)
    spec = json.loads(Path(spec_path).read_text("utf-8"))
    if importlib.util.find_spec("pytest") is None:
        result = {"error": "no_pytest", "message": "pytest is not installed for " + sys.executable}
    else:
        task = importlib.import_module(PACKAGE + "." + spec["task"])
        result = task.perform(spec)
    Path(result_path).write_text(json.dumps(result, separators=(",", ":")), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
