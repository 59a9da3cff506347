"""Arrays in a folder: written as .npy, mapped into memory when read, and never trusted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from clew.context.damage import Damaged


class _Array(msgspec.Struct, frozen=True, kw_only=True):
    dtype: str
    length: int
    total: int
    """Sum of the bytes as 64-bit words: notices what a disk or a torn write does, not what a forger does."""


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    arrays: dict[str, _Array]
    facts: dict[str, Any]


def save(folder: Path, kind: str, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
    """Into a new folder. ``kind`` names content and version; ``facts`` is JSON. The same content gives the same bytes."""
    folder.mkdir(parents=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    known = {name: _Array(dtype=str(a.dtype), length=len(a), total=_total(a)) for name, a in arrays.items()}
    (folder / "header.json").write_bytes(msgspec.json.encode(_Header(kind=kind, arrays=known, facts=dict(facts))))


def load(folder: Path, kind: str, dtypes: Mapping[str, Any]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays (one-dimensional, read only) and the facts. Raises Damaged."""
    try:
        header = msgspec.json.decode((folder / "header.json").read_bytes(), type=_Header)
        if header.kind != kind:
            raise Damaged(f"{folder}: this is {header.kind[:80]!r}, not {kind!r}")
        arrays = {name: _mapped(folder / f"{name}.npy") for name in dtypes}
    except (OSError, ValueError, EOFError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise Damaged(f"{folder}: {error}") from error
    for name, array in arrays.items():
        said = header.arrays.get(name)
        here = _Array(dtype=str(array.dtype), length=len(array), total=_total(array)) if array.ndim == 1 else None
        if array.dtype != np.dtype(dtypes[name]) or here != said:
            raise Damaged(f"{folder}: {name}.npy is not what was written")
    return arrays, header.facts


def _mapped(path: Path) -> NDArray[Any]:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    return np.asarray(array)  # a plain view: slices of a memmap are slow


def _total(array: NDArray[Any]) -> int:
    raw = np.ascontiguousarray(array).view(np.uint8)
    whole = len(raw) // 8 * 8
    return (int(raw[:whole].view(np.uint64).sum(dtype=np.uint64)) + int(raw[whole:].sum(dtype=np.uint64))) % 2**64


def room(array: NDArray[Any], length: int) -> NDArray[Any]:
    """``array``, or a copy with at least ``length`` places and zeros behind: growing by one costs O(1) on average."""
    if length <= len(array):
        return array
    grown = np.zeros(max(length, 2 * len(array), 1024), dtype=array.dtype)
    grown[: len(array)] = array
    return grown
