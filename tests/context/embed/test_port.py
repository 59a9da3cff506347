"""What every embedder shares."""

import numpy as np
import pytest

from clew.context.embed.port import unit


def test_rows_get_length_one_and_nothing_stays_nothing():
    made = unit(np.array([[3, 4], [0, 0], [1e-15, 0]], dtype=np.float32))
    assert made.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0], [pytest.approx(1), 0]]
    assert made.dtype == np.float32
    assert unit(np.zeros((0, 5), dtype=np.float32)).shape == (0, 5)
