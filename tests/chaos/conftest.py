"""Makes the helpers of this folder importable by its tests, and keeps the tally of kills."""

import shutil
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import trials as trials_module
from trials import Trials


@pytest.fixture(scope="session")
def trials(request: pytest.FixtureRequest) -> Generator[Trials]:
    """Two warm processes that fork trials. Their directories lie in memory where there is room: SIGKILL cannot see a sync.

    They are left to be looked at when a test has failed.
    """
    memory = Path("/dev/shm")
    base = Path(tempfile.mkdtemp(prefix="clew-chaos-", dir=memory if memory.is_dir() else None))
    made = Trials(base)
    yield made
    made.close()
    if not request.session.testsfailed:
        shutil.rmtree(base)


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> str:
    """The name from which a test draws its chances; with CLEW_CHAOS_SEED it gives the same ones again."""
    return request.node.name


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    tally = trials_module.TALLY
    if tally:
        terminalreporter.section("chaos")
        for what, number in sorted(tally.items(), key=lambda item: -item[1]):
            terminalreporter.write_line(f"{number:6} {what}")
