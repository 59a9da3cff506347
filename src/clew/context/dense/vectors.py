"""Vectors of unit length, one after the other: the first ones in a mapped file, the newer ones in memory. Also that file.

The file is a header of 64 bytes (magic, dimensions), then float32, little-endian. It only ever grows: what one
folder's file has, a hard link to it in the next folder has as well, so that a checkpoint writes new vectors alone.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from clew.context.damage import Damaged
from clew.context.dense.scan import Floats, Ints, dots

_MAGIC = b"CLEWVEC1"
_HEADER = 64
_CHUNK = 8192

T = TypeVar("T", bound=np.generic)


class Vectors(NamedTuple):
    """Never changes: ``plus`` writes behind what this one knows, and gives one that knows more.

    Only the newest one may be added to.
    """

    mapped: Floats
    memory: Floats
    """With room at its end."""
    total: int
    """Vectors, those in the file included."""
    file: tuple[int, int] | None = None
    """Device and inode of the mapped one."""

    @classmethod
    def none(cls, dims: int) -> "Vectors":
        empty = np.empty((0, dims), np.float32)
        return cls(empty, empty, 0)

    def plus(self, more: Floats) -> "Vectors":
        held = self.total - len(self.mapped)
        memory = grown(self.memory, held, len(more))
        memory[held : held + len(more)] = more
        return self._replace(memory=memory, total=self.total + len(more))

    def dots(self, query: Floats, places: Ints | None = None) -> Floats:
        """Cosines with ``query`` of all, or of those at ``places`` (ascending)."""
        out = np.empty(self.total if places is None else len(places), np.float32)
        split = len(self.mapped)
        if places is None:
            dots(query, self.mapped, out[:split])
            dots(query, self.memory, out[split:])
            return out
        if split:
            cut = int(np.searchsorted(places, split))
            dots(query, self.mapped, out[:cut], places[:cut])
            places, behind = places[cut:] - split, out[cut:]
        else:
            behind = out
        dots(query, self.memory, behind, places)
        return out

    def at(self, places: Ints) -> Floats:
        split = len(self.mapped)
        cut = int(np.searchsorted(places, split))
        return np.concatenate([self.mapped[places[:cut]], self.memory[places[cut:] - split]])

    def parts(self, start: int, stop: int) -> Iterator[Floats]:
        """Those from ``start`` to before ``stop``, some thousands at a time."""
        split = len(self.mapped)
        for array, first, last in (
            (self.mapped, start, min(stop, split)),
            (self.memory, max(start - split, 0), stop - split),
        ):
            for begin in range(first, last, _CHUNK):
                yield np.ascontiguousarray(array[begin : min(begin + _CHUNK, last)])

    def save(self, path: Path, previous: Path | None) -> None:
        """To a new file.

        ``previous``: an older one; where it is the one that is mapped, and nobody wrote behind it, it is continued.
        """
        done = len(self.mapped)
        if previous is not None and self._is_mapped(previous) and _linked(previous, path):
            file = path.open("r+b")
            file.seek(_HEADER + done * self.dims * 4)
        else:
            done = 0
            file = path.open("xb")
            file.write((_MAGIC + self.dims.to_bytes(4, "little")).ljust(_HEADER, b"\0"))
        with file:
            for part in self.parts(done, self.total):
                file.write(part.data)

    def saved(self, path: Path, count: int) -> "Vectors":
        """The same, the first ``count`` of them from that file."""
        mapped = Vectors.load(path, self.dims, count)
        behind = list(self.parts(count, self.total))
        return mapped.plus(np.concatenate(behind)) if behind else mapped

    @classmethod
    def load(cls, path: Path, dims: int, count: int) -> "Vectors":
        """Raises Damaged.

        What is in the file behind ``count`` vectors was written for a folder that came to nothing.
        """
        try:
            with path.open("rb") as file:
                header, found = file.read(_HEADER), os.fstat(file.fileno())
                if header != (_MAGIC + dims.to_bytes(4, "little")).ljust(_HEADER, b"\0"):
                    raise Damaged(f"{path.name}: not vectors of {dims} dimensions")
                if found.st_size < _HEADER + count * dims * 4:
                    raise Damaged(f"{path.name}: too short for {count} vectors")
                empty = np.empty((0, dims), np.float32)
                if not count:
                    return cls(empty, empty, 0)
                mapped = np.memmap(file, np.float32, "r", _HEADER, (count, dims))
        except (OSError, ValueError) as error:
            raise Damaged(f"{path.name}: {error}") from error
        return cls(np.asarray(mapped), empty, count, (found.st_dev, found.st_ino))

    @property
    def dims(self) -> int:
        return self.mapped.shape[1]

    def _is_mapped(self, path: Path) -> bool:
        try:
            found = path.stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self.file and found.st_size == _HEADER + len(self.mapped) * self.dims * 4


def grown(array: NDArray[T], used: int, more: int) -> NDArray[T]:
    """The array, or a larger copy of it: with room for ``more`` behind the ``used`` first."""
    if used + more <= len(array):
        return array
    larger = np.empty((max(1024, used + more, used + used // 2), *array.shape[1:]), array.dtype)
    larger[:used] = array[:used]
    return larger


def _linked(old: Path, new: Path) -> bool:
    try:
        os.link(old, new)
    except OSError:  # another file system, or one without hard links
        return False
    return True
