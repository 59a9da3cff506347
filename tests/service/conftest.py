"""Projects that the service tests share."""

import pytest

from clew.core import events as ev
from clew.testing import ManualClock


@pytest.fixture
def clock():
    return ManualClock(auto=True)


@pytest.fixture
def seq_of():
    """``seq_of(result, kind, **fields)``: number of the first event whose fact is of this kind and has these fields."""

    def find(result, kind, /, **fields):
        return next(
            r.seq
            for r in result.history
            if isinstance(r.event.fact, getattr(ev, kind))
            and all(getattr(r.event.fact, k) == v for k, v in fields.items())
        )

    return find
