"""Files of a dense index: ``vectors.f32`` (see ``vectors``), ``rows.i64``, ``codes.faiss``; ``dense.json`` tells of them."""

import zlib
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from clew.context.damage import Damaged
from clew.context.dense.scan import Codes, Ints
from clew.context.dense.vectors import Vectors

FORMAT = 1
VECTORS = "vectors.f32"


class Saved(NamedTuple):
    vectors: Vectors
    rows: Ints
    zeros: Ints
    codes: Codes | None


class _Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: int
    dims: int
    rows: int
    zeros: int
    rows_crc: int
    learned: int
    coded: int
    codes_crc: int


def write(folder: Path, previous: Path | None, saved: Saved) -> None:
    """``dense.json`` last. Raises OSError; FileExistsError where an index is there already."""
    folder.mkdir(parents=True, exist_ok=True)
    saved.vectors.save(folder / VECTORS, previous / VECTORS if previous is not None else None)
    rows = np.concatenate([saved.rows, saved.zeros]).astype("<i8").tobytes()
    (folder / "rows.i64").write_bytes(rows)
    codes = saved.codes.to_bytes() if saved.codes is not None else b""
    (folder / "codes.faiss").write_bytes(codes)
    header = _Header(
        format=FORMAT,
        dims=saved.vectors.dims,
        rows=len(saved.rows),
        zeros=len(saved.zeros),
        rows_crc=zlib.crc32(rows),
        learned=saved.codes.learned if saved.codes is not None else 0,
        coded=len(saved.codes) if saved.codes is not None else 0,
        codes_crc=zlib.crc32(codes),
    )
    (folder / "dense.json").write_bytes(msgspec.json.encode(header))


def read(folder: Path) -> Saved:
    """Raises Damaged. Digests are checked but for the vectors', which would have to be read for it."""
    try:
        header = msgspec.json.decode((folder / "dense.json").read_bytes(), type=_Header)
        rows, codes = (folder / "rows.i64").read_bytes(), (folder / "codes.faiss").read_bytes()
    except (OSError, msgspec.DecodeError) as error:
        raise Damaged(f"{folder.name}: {error}") from error
    if header.format != FORMAT or header.dims < 1 or min(header.rows, header.zeros, header.coded, header.learned) < 0:
        raise Damaged(f"{folder.name}: format {header.format}")
    if (zlib.crc32(rows), zlib.crc32(codes)) != (header.rows_crc, header.codes_crc):
        raise Damaged(f"{folder.name}: rows or codes have changed")
    if len(rows) != 8 * (header.rows + header.zeros):
        raise Damaged(f"{folder.name}: not as many rows as it says")
    numbers = np.frombuffer(rows, dtype="<i8").astype(np.int64)
    known, zeros = numbers[: header.rows].copy(), numbers[header.rows :].copy()
    if any(len(part) and (part[0] < 0 or (np.diff(part) <= 0).any()) for part in (known, zeros)):
        raise Damaged(f"{folder.name}: rows are not in order")
    coded = Codes.from_bytes(codes, header.dims, header.learned) if codes else None
    if (len(coded) if coded is not None else 0) != header.coded or header.coded > header.rows:
        raise Damaged(f"{folder.name}: not as many codes as it says")
    return Saved(Vectors.load(folder / VECTORS, header.dims, header.rows), known, zeros, coded)
