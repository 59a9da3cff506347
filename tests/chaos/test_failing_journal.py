"""A journal that cannot be written, at any write: the driver stops in order, and the run goes on later as if nothing had been."""

import pytest
from trials import Trials

pytestmark = [pytest.mark.chaos, pytest.mark.slow]


def planned(trials: Trials, step: int, **fault: object) -> list[list[dict[str, object]]]:
    writes = trials.reference()["writes"]
    return [[{"write": k, "raises": "JournalError: journal state/journal.db", **fault}] for k in range(1, writes, step)]


def test_disk_full_from_a_write_on(trials: Trials) -> None:
    trials.acquit(planned(trials, 2, phase="SQLITE_FULL", on=True))


def test_disk_full_at_every_write(trials: Trials) -> None:
    """There is room again at once: the run must stop all the same, with the error that it met."""
    trials.acquit(planned(trials, 1, phase="SQLITE_FULL"))


def test_a_disk_that_refuses_to_sync(trials: Trials) -> None:
    trials.acquit(planned(trials, 4, phase="SQLITE_IOERR_FSYNC"))


def test_another_process_that_keeps_the_write_lock(trials: Trials) -> None:
    trials.acquit(planned(trials, 6, phase="SQLITE_BUSY"))


def test_told_to_end_at_every_write(trials: Trials) -> None:
    """SIGTERM: what runs is put down in order and entered again."""
    writes = trials.reference()["writes"]
    trials.acquit([[{"write": k, "phase": "stop"}] for k in range(1, writes, 2)])
