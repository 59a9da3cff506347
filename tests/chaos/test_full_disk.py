"""A disk that is really full, in the middle of a run."""

from typing import Any

import judge
import pytest
from trials import Trials, read_log

pytestmark = [pytest.mark.chaos, pytest.mark.slow]


def on_small_disk(trials: Trials, size: int) -> tuple[dict[str, Any], list[str]]:
    directory = trials.directory()
    told = trials.forked({"do": "on_small_disk", "directory": str(directory), "size": size})
    if "impossible" in told:
        pytest.skip(f"no small disk here: {told['impossible']}")
    assert "raised" not in told["second"], told["second"]["traceback"]
    assert "raised" not in told["seen"], told["seen"]["traceback"]
    return told["first"], judge.problems(told["seen"], trials.reference(), read_log(directory))


def test_a_full_disk_stops_the_run_and_room_lets_it_go_on(trials: Trials) -> None:
    """Disks of every size between too small for the first event and just large enough."""
    met: list[int] = []
    for kib in (int(100 * 1.1**n) for n in range(60)):
        first, problems = on_small_disk(trials, kib << 10)
        assert problems == [], f"{kib} KiB"
        if "raised" not in first:
            break
        assert first["raised"].startswith("JournalError"), first["traceback"]
        if "disk is full" in first["raised"]:
            met.append(kib)
    else:
        pytest.fail("even the largest disk was full")
    assert len(met) > 5


def test_files_that_may_not_grow(trials: Trials) -> None:
    """The same without any privilege: writes are refused from a size on."""
    plans = [[{"file_size": kib << 10, "raises": "JournalError"}] for kib in range(40, 700, 60)]
    trials.acquit(plans)
