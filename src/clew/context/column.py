"""The values of one metadata field, in the order of their rows."""

import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import Annotated, Any, Self, cast

import msgspec
from numpy.typing import NDArray

from clew.context.filters import LONGEST_PATH


def flat(metadata: Mapping[str, Any]) -> Iterator[tuple[str, str | int | float | bool]]:
    """Dotted path and value of everything in it; a list gives its elements one by one, null gives nothing."""
    stack: list[tuple[str, Any]] = [("", metadata)]
    while stack:
        name, value = stack.pop()
        if isinstance(value, str | int | float):
            yield name, value
        elif isinstance(value, dict):
            for key, inner in cast("dict[Any, Any]", value).items():
                path = f"{name}.{key}" if name else str(key)
                if len(path) <= LONGEST_PATH:
                    stack.append((path, inner))
        elif isinstance(value, list | tuple):
            stack.extend((name, inner) for inner in cast("Sequence[Any]", value))


class Saved(msgspec.Struct, array_like=True, frozen=True):
    """A column in a file: how many values and bytes of texts are its own in the arrays, and its large integers in base 16."""

    path: str
    words: Annotated[int, msgspec.Meta(ge=0)]
    numbers: Annotated[int, msgspec.Meta(ge=0)]
    texts: Annotated[int, msgspec.Meta(ge=0)]
    single: bool
    large: list[tuple[int, str]]


class Column:
    """One field: its values in the order of their rows. Texts, true and false are numbered; integers that no float is are apart."""

    __slots__ = ("_names", "_texts", "_written", "large", "number_rows", "numbers", "single", "word_rows", "words")

    def __init__(self) -> None:
        self.word_rows, self.words = array("i"), array("i")
        self.number_rows, self.numbers = array("i"), array("d")
        self.large: list[tuple[int, int]] = []
        self.single = True
        """No row has two values in one of the lists."""
        self._names: list[str | bool] = []
        self._texts: dict[str | bool, int] = {}
        self._written = b""
        """JSON of the names as read from a file, until they are needed."""

    @classmethod
    def read(cls, lists: Sequence[NDArray[Any]], written: bytes, saved: Saved) -> Self:
        """As it was saved. ``lists``: rows and numbers of words, rows and values of numbers; ``written``: ``encoded``."""
        column = cls()
        for mine, read in zip((column.word_rows, column.words, column.number_rows, column.numbers), lists, strict=True):
            mine.frombytes(read.tobytes())
        column.large = [(row, int(n, 16)) for row, n in saved.large]
        column.single, column._written = saved.single, written
        return column

    @property
    def names(self) -> list[str | bool]:
        """By number."""
        if self._written:
            self._names = json.loads(self._written)
            self._texts = {name: i for i, name in enumerate(self._names)}
            self._written = b""
        return self._names

    @property
    def texts(self) -> dict[str | bool, int]:
        """Name -> number."""
        _ = self.names
        return self._texts

    def encoded(self) -> bytes:
        """The names as JSON."""
        return self._written or json.dumps(self._names, separators=(",", ":")).encode()

    def add(self, row: int, value: str | float) -> None:
        """``row``: none before is greater."""
        if isinstance(value, str | bool):
            rows, names = self.word_rows, self.names
            number = self._texts.setdefault(value, len(names))
            if number == len(names):
                names.append(value)
            self.words.append(number)
        elif (exact := as_float(value)) is not None:
            rows = self.number_rows
            self.numbers.append(exact)
        else:
            self.large.append((row, int(value)))
            return
        self.single = self.single and not (rows and rows[-1] == row)
        rows.append(row)

    def sizes(self) -> tuple[int, int, int]:
        """Values of each kind: words, numbers, large integers."""
        return len(self.words), len(self.numbers), len(self.large)


def as_float(value: float) -> float | None:
    """The same number as a float; None where there is none."""
    near = nearest_float(value)
    return near if near == value or near != near else None


def nearest_float(value: float) -> float:
    """Infinite where none is near."""
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf
