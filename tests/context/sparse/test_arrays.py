"""Arrays in a folder come back as they were, or not at all."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clew.context.damage import Damaged
from clew.context.sparse import arrays

KIND, DTYPES = "test 1", {"a": "<i4", "b": "<f8", "none": "u1"}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    found = {"a": np.arange(5, dtype=np.int32), "b": np.array([0.5, np.nan]), "none": np.zeros(0, np.uint8)}
    arrays.save(tmp_path / "saved", KIND, found, {"x": [1]})
    return tmp_path / "saved"


def test_there_and_back(saved: Path) -> None:
    found, facts = arrays.load(saved, KIND, DTYPES)
    assert found["a"].tolist() == [0, 1, 2, 3, 4]
    assert found["b"].dtype == np.float64
    assert found["none"].tolist() == []
    assert facts == {"x": [1]}
    with pytest.raises(ValueError, match="read-only"):
        found["a"][0] = 1


def _rewritten(array: np.ndarray) -> Callable[[Path], None]:
    return lambda folder: np.save(folder / "a.npy", array, allow_pickle=True)


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "header.json").unlink(),
        lambda folder: (folder / "header.json").write_bytes(b"{"),
        lambda folder: (folder / "header.json").write_bytes(b"[" * 100_000),
        lambda folder: (folder / "header.json").write_bytes(b'{"kind": "test 2", "arrays": {}, "facts": {}}'),
        lambda folder: (folder / "header.json").write_bytes(b'{"kind": "test 1", "arrays": {}, "facts": {}}'),
        lambda folder: (folder / "a.npy").write_bytes(b""),
        lambda folder: (folder / "a.npy").write_bytes((folder / "a.npy").read_bytes()[:-4]),
        lambda folder: (folder / "a.npy").write_bytes(b"\x93NUMPY\x01\x00\xff\xff" + b"{" * 70_000),
        _rewritten(np.arange(4, dtype=np.int32)),
        _rewritten(np.arange(5, dtype=np.int64)),
        _rewritten(np.zeros((5, 1), dtype=np.int32)),
        _rewritten(np.array([0, 1, 2, 3, 5], dtype=np.int32)),
        _rewritten(np.array([object()])),
    ],
)
def test_whatever_is_odd_is_damage(saved: Path, harm: Callable[[Path], None]) -> None:
    harm(saved)
    with pytest.raises(Damaged):
        arrays.load(saved, KIND, DTYPES)


def test_room_grows_in_steps() -> None:
    array = arrays.room(np.zeros(0, np.int32), 1)
    assert len(array) == 1024
    assert arrays.room(array, 1024) is array
    array[0] = 7
    grown = arrays.room(array, 1025)
    assert (len(grown), grown[0], grown[1024]) == (2048, 7, 0)
    assert len(arrays.room(array, 10_000)) == 10_000
