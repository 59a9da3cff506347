"""The machine and a naive interpreter of W5 and W6 come to the same end on random graphs, outcomes and interleavings."""

import pytest
from check import check

QUICK = 200
CASES = 10_000
PARTS = 10


def test_same_end_quick() -> None:
    check(range(QUICK))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_same_end(part: int) -> None:
    size = CASES // PARTS
    check(range(QUICK + part * size, QUICK + (part + 1) * size))
