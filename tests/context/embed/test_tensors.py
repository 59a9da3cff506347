import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.context.damage import Damaged
from clew.context.embed.tensors import tensors


def file(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def one(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


def test_tensors_come_back(tiny):
    arrays = {
        "a": tiny.table(),
        "b": np.arange(3, dtype=np.int64),
        "c": tiny.table().astype(np.float16),
        "d": np.zeros((0, 4), "f4"),
    }
    found = tensors(tiny.safetensors(**arrays, other=np.zeros(3, dtype=np.uint8)))
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"1234567", (1 << 63).to_bytes(8, "little") + b"{}", file(b"{no"), file(b"[" * 100_000), file({"a": 1}),
        file(one(offsets=(0, 8)), b"1234567"), file(one(offsets=(-8, 0)), b"12345678"), file(one(offsets=(8, 0)), b"12345678"),
        file(one(shape=(3,)), b"12345678"), file(one(shape=(-1, -2)), b"12345678"), file(one(shape=(1 << 40, 1 << 40)), b"1" * 8),
        file(one(offsets=(0, 1 << 70)), b"12345678"),
    ],
)  # fmt: skip
def test_what_lies_elsewhere_is_damaged(data):
    with pytest.raises(Damaged):
        tensors(data)


@given(st.binary(max_size=200), st.integers(0, 220))
def test_any_bytes_are_read_or_damaged(data, length):
    with suppress(Damaged):
        tensors(length.to_bytes(8, "little") + data)
