"""Tensors of a safetensors file: eight bytes of length, a JSON header, the numbers. Nothing in it is run.

The format is that of "Safetensors" (Hugging Face): https://github.com/huggingface/safetensors#format. Every bound is checked, for
the file may be anybody's.
"""

from math import prod
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from clew.context.damage import Damaged

_MOST_HEADER = 10 * 1024 * 1024
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I8": "|i1", "I64": "<i8", "I32": "<i4"}


class _Entry(msgspec.Struct, frozen=True):
    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def tensors(data: bytes) -> dict[str, NDArray[Any]]:
    """By name, as views of ``data``; those of other types of numbers are left out. Raises Damaged."""
    length = int.from_bytes(data[:8], "little")
    room = len(data) - 8 - length
    if len(data) < 8 or room < 0 or length > _MOST_HEADER:
        raise Damaged("it is no safetensors file")
    found: dict[str, NDArray[Any]] = {}
    for name, entry in _header(data[8 : 8 + length]).items():
        if entry.dtype not in _DTYPES:
            continue
        dtype, (start, end) = np.dtype(_DTYPES[entry.dtype]), entry.data_offsets
        numbers = prod(entry.shape) if all(one >= 0 for one in entry.shape) else -1
        if not 0 <= start <= end <= room or numbers * dtype.itemsize != end - start:
            raise Damaged(f"tensor {name!r} does not lie where it says")
        array = np.frombuffer(data, dtype=dtype, count=numbers, offset=8 + length + start)
        found[name] = array.reshape(entry.shape)
    return found


def _header(text: bytes) -> dict[str, _Entry]:
    try:
        fields = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        return {name: msgspec.json.decode(raw, type=_Entry) for name, raw in fields.items() if name != "__metadata__"}
    except (msgspec.DecodeError, RecursionError) as error:
        raise Damaged(f"its header cannot be read: {error}") from error
