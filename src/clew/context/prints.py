"""What a saved folder's files looked like when it was written, so that one that is mixed or half written is noticed."""

from pathlib import Path
from zlib import crc32

from clew.context.damage import Damaged

_WHOLE = 1 << 20
"""Bytes of a file that is read whole; of a larger one (whose part of the index has digests of its own, or none since it is
mapped) so many blocks, spread evenly, are looked at."""
_BLOCKS, _BLOCK = 32, 4096
Prints = dict[str, tuple[int, int]]
"""Path within the folder -> bytes and CRC-32."""


def prints(folder: Path) -> Prints:
    """Raises OSError."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sizes = {path: path.stat().st_size for path in files}
    return {str(path.relative_to(folder)): (size, _print(path, size)) for path, size in sizes.items()}


def check(folder: Path, known: Prints) -> None:
    """Raises Damaged. A file may have become longer: nobody looks behind what was there."""
    for name, (size, print_) in known.items():
        try:
            found = _print(folder / name, size)
        except OSError as error:
            raise Damaged(f"{folder}: {name}: {error.strerror or error}") from error
        if found != print_:
            raise Damaged(f"{folder}: {name} is not what was saved")


def _print(path: Path, size: int) -> int:
    with path.open("rb") as file:
        if size <= _WHOLE:
            return crc32(file.read(size))
        found = 0
        for block in range(_BLOCKS):
            file.seek((size - _BLOCK) * block // (_BLOCKS - 1))
            found = crc32(file.read(_BLOCK), found)
        return found
