"""Entry: ``python plain.py REPORT [pytest arguments]`` runs pytest as it is and notes each outcome, one JSON line per test.

The lines are there as soon as a test has ended, so that they tell how far a suite came that was killed.
"""

import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any, Dict

MOST = 4000
"""Characters of a failure that are kept."""
NO_PYTEST = 4


class Notes:
    """A plugin; ``path`` is opened anew for each line, whatever the tests do to descriptors."""

    def __init__(self, path: str) -> None:
        self._path = path

    def note(self, **line: Any) -> None:
        with open(self._path, "a", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            file.write(json.dumps(line) + "\n")

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.note(id=report.nodeid, outcome="error", **told(report))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.note(id=nodeid, outcome="started")

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or report.failed or (report.when == "setup" and report.skipped):
            outcome = "error" if report.failed and report.when != "call" else report.outcome
            self.note(id=report.nodeid, outcome=outcome, ms=round(report.duration * 1000), **told(report))


def told(report: Any) -> Dict[str, str]:
    """The message in one line, and the end of the whole of it."""
    crash = getattr(report.longrepr, "reprcrash", None)
    detail = str(report.longreprtext) if report.longrepr is not None else ""
    message = str(crash.message) if crash is not None else (detail.strip().splitlines() or [""])[-1]
    return {"message": message[:MOST], "detail": detail[-MOST:]} if report.failed else {"message": "", "detail": ""}


def main(report: str, *arguments: str) -> int:
    folder = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != folder]
    sys.dont_write_bytecode = True
    notes = Notes(report)
    if importlib.util.find_spec("pytest") is None:
        notes.note(id="", outcome="no_pytest", message="pytest is not installed for " + sys.executable)
        return NO_PYTEST
    pytest: Any = importlib.import_module("pytest")  # what is said without it comes first
    return int(pytest.main(list(arguments), plugins=[notes]))


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads that tests left behind do not hold the end up
