import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.gate.ports.embedding import MOST_BYTES, clipped, packed, unpacked


@given(st.lists(st.floats(width=32, allow_nan=False)))
def test_vectors_come_back(numbers):
    vector = struct.pack(f"<{len(numbers)}f", *numbers)
    assert unpacked(packed(vector)) == vector


@pytest.mark.parametrize("text", ["?", "AAA", "[redacted]", "AAAA"])
def test_what_is_no_vector_is_refused(text):
    with pytest.raises(ValueError):
        unpacked(text)


@pytest.mark.parametrize("sign", ["a", "ü", "語", "🙂", "\ud800"])
def test_a_long_text_is_cut_between_characters(sign):
    assert clipped(sign * 10) == sign * 10
    cut = clipped(sign * MOST_BYTES)
    assert 0 < len(cut.encode("utf-8", "replace")) <= MOST_BYTES
    assert set(cut) <= {sign, "?"}
