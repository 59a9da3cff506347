"""Metadata of rows, by field, so that a filter becomes a mask without a look at a document."""

import operator
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from clew.context.column import Column, Saved, as_float, flat, nearest_float
from clew.context.damage import Damaged
from clew.context.filters import And, AnyOf, Filter, Not, Or, Range, canonical
from clew.context.sparse import arrays

Mask = NDArray[np.bool_]
_KIND = "clew columns 1"
_DTYPES = {"word_rows": "<i4", "words": "<i4", "number_rows": "<i4", "numbers": "<f8", "texts": "u1"}
_KEPT_BYTES = 1 << 24
"""Masks of conditions that are remembered, together."""


class _Known:
    """The mask of one condition, as far as ``seen``: values of each kind that were looked at."""

    __slots__ = ("mask", "seen")

    def __init__(self) -> None:
        self.mask: Mask = np.zeros(0, dtype=np.bool_)
        self.seen: tuple[int, int, int] = (0, 0, 0)


class Columns:
    """Safe for one writer and several readers.

    A row's metadata never changes, so what is known of a condition is only ever extended.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._columns: dict[str, Column] = {}
        self._known: dict[bytes, _Known] = {}
        """By digest of the condition, which may itself be long."""
        self._rows = 0

    @property
    def rows(self) -> int:
        """Dead ones included."""
        return self._rows

    def unknown(self, paths: Iterable[str]) -> list[str]:
        """Those of which no row has a value."""
        with self._lock:
            return sorted(path for path in paths if path not in self._columns)

    def add(self, rows: NDArray[np.int64], metadata: Sequence[Mapping[str, Any]]) -> None:
        """Rows increasing; rows that are not greater than all before are passed over (a log may be read twice)."""
        columns = self._columns
        with self._lock:
            for row, one in zip(rows.tolist(), metadata, strict=True):
                if row < self._rows:
                    continue
                self._rows = row + 1
                for path, value in flat(one):
                    column = columns.get(path)
                    if column is None:
                        column = columns[path] = Column()
                    column.add(row, value)

    def mask(self, filter: Filter, rows_total: int) -> Mask:  # noqa: A002 - the word of the contract
        """Which of the first ``rows_total`` rows match; do not write into it."""
        with self._lock:
            return self._mask(filter, rows_total)

    def _mask(self, tree: Filter, rows: int) -> Mask:
        match tree:
            case And(args):
                return np.logical_and.reduce([np.ones(rows, dtype=np.bool_), *(self._mask(arg, rows) for arg in args)])
            case Or(args):
                return np.logical_or.reduce([np.zeros(rows, dtype=np.bool_), *(self._mask(arg, rows) for arg in args)])
            case Not(arg):
                return ~self._mask(arg, rows)
            case AnyOf(path, values) if None in values:
                held = self._leaf(Range(path), rows)  # without bounds: any value
                others = tuple(value for value in values if value is not None)
                return ~held | self._leaf(AnyOf(path, others), rows) if others else ~held
            case AnyOf() | Range():
                return self._leaf(tree, rows)

    def _leaf(self, leaf: AnyOf | Range, rows: int) -> Mask:
        key = blake2b(canonical(leaf).encode(), digest_size=16).digest()
        known = self._known.pop(key, None) or _Known()
        self._known[key] = known  # the last one is the one used last
        known.mask = arrays.room(known.mask, max(rows, self._rows))
        column = self._columns.get(leaf.path)
        if column is not None and column.sizes() != known.seen:
            _extend(known, column, leaf)
        while len(self._known) > 1 and len(self._known) * len(known.mask) > _KEPT_BYTES:
            del self._known[next(iter(self._known))]
        found = known.mask[:rows]
        found.flags.writeable = False
        return found

    def save(self, folder: Path) -> None:
        """Into a new folder."""
        with self._lock:
            columns = list(self._columns.values())
            texts = [column.encoded() for column in columns]
            saved = [
                Saved(path, *c.sizes()[:2], len(text), c.single, [(row, hex(n)) for row, n in c.large])
                for (path, c), text in zip(self._columns.items(), texts, strict=True)
            ]
            found: dict[str, NDArray[Any]] = {
                name: _joined([getattr(column, name) for column in columns], _DTYPES[name]) for name in _LISTS
            }
            rows = self._rows
        found["texts"] = np.frombuffer(b"".join(texts), dtype=np.uint8)
        arrays.save(folder, _KIND, found, {"rows": rows, "columns": saved})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises Damaged."""
        found, facts = arrays.load(folder, _KIND, _DTYPES)
        self = cls()
        try:
            self._rows = msgspec.convert(facts.get("rows"), int)
            saved = msgspec.convert(facts.get("columns"), list[Saved])
            words, numbers, texts = (
                ([0, *accumulate(sizes)] for sizes in zip(*map(_sizes, saved), strict=True)) if saved else _NO
            )
            if (words[-1], numbers[-1], texts[-1]) != tuple(len(found[name]) for name in ("words", "numbers", "texts")):
                raise Damaged(f"{folder}: the fields and their values do not agree")
            for i, one in enumerate(saved):
                here, there = slice(words[i], words[i + 1]), slice(numbers[i], numbers[i + 1])
                lists = [
                    found["word_rows"][here],
                    found["words"][here],
                    found["number_rows"][there],
                    found["numbers"][there],
                ]
                self._columns[one.path] = Column.read(lists, found["texts"][texts[i] : texts[i + 1]].tobytes(), one)
        except (ValueError, msgspec.MsgspecError) as error:
            raise Damaged(f"{folder}: {error}") from error
        for name in ("word_rows", "number_rows"):
            rows = found[name]
            if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < self._rows:
                raise Damaged(f"{folder}: values of rows that are not there")
        return self


_LISTS = ("word_rows", "words", "number_rows", "numbers")
_NO: tuple[list[int], list[int], list[int]] = [0], [0], [0]


def _sizes(saved: Saved) -> tuple[int, int, int]:
    return saved.words, saved.numbers, saved.texts


def _joined(lists: "Iterable[array[Any]]", dtype: str) -> NDArray[Any]:
    return np.frombuffer(b"".join(lists), dtype=dtype)


def _extend(known: _Known, column: Column, leaf: AnyOf | Range) -> None:
    """Look at the values that came since."""
    words, numbers, large = known.seen
    if words < len(column.words):
        codes, rows = (
            np.frombuffer(column.words, dtype=np.int32)[words:],
            np.frombuffer(column.word_rows, dtype=np.int32),
        )
        _mark(known.mask, rows[words:], _words(leaf, column, codes), column)
    if numbers < len(column.numbers):
        values, rows = np.frombuffer(column.numbers)[numbers:], np.frombuffer(column.number_rows, dtype=np.int32)
        _mark(known.mask, rows[numbers:], _numbers(leaf, values), column)
    if large < len(column.large):
        hits = _large(leaf, [value for _, value in column.large[large:]])
        known.mask[[row for (row, _), hit in zip(column.large[large:], hits, strict=True) if hit]] = True
    known.seen = column.sizes()


def _mark(mask: Mask, rows: NDArray[np.int32], hits: Mask, column: Column) -> None:
    first, last = int(rows[0]), int(rows[-1]) + 1
    if column.single and last - first == len(rows):  # every row has one
        mask[first:last] |= hits
    else:
        mask[rows[hits]] = True


def _words(leaf: AnyOf | Range, column: Column, codes: NDArray[np.int32]) -> Mask:
    names = column.names
    table = np.zeros(len(names), dtype=np.bool_)
    if isinstance(leaf, AnyOf):
        texts = column.texts
        wanted = [texts[value] for value in leaf.values if isinstance(value, str | bool) and value in texts]
        if len(wanted) == 1:
            return codes == wanted[0]
        table[wanted] = True
        return table[codes]
    for code in range(len(names)) if len(names) <= len(codes) else set(codes.tolist()):
        table[code] = _within(leaf, names[code])
    return table[codes]


def _numbers(leaf: AnyOf | Range, values: NDArray[np.float64]) -> Mask:
    if isinstance(leaf, AnyOf):
        exact = [
            as_float(value) for value in leaf.values if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        wanted = [value for value in exact if value is not None]
        return values == wanted[0] if len(wanted) == 1 else np.isin(values, np.array(wanted, dtype=np.float64))
    hits: Mask = np.ones(len(values), dtype=np.bool_)
    for bound, compare in _bounds(leaf):
        if isinstance(bound, str):
            return np.zeros(len(values), dtype=np.bool_)
        near = nearest_float(bound)
        if near != bound:  # no float lies between it and the bound
            compare = (
                (operator.ge if near > bound else operator.gt)
                if compare in _ABOVE
                else (operator.lt if near > bound else operator.le)
            )
        hits &= compare(values, near)
    return hits


_ABOVE = (operator.gt, operator.ge)


def _bounds(leaf: Range) -> list[tuple[str | float, Callable[[Any, Any], Any]]]:
    pairs = ((leaf.gt, operator.gt), (leaf.ge, operator.ge), (leaf.lt, operator.lt), (leaf.le, operator.le))
    return [(bound, compare) for bound, compare in pairs if bound is not None]


def _within(leaf: Range, value: str | float) -> bool:
    return all(
        isinstance(bound, str) == isinstance(value, str) and not isinstance(value, bool) and compare(value, bound)
        for bound, compare in _bounds(leaf)
    )


def _large(leaf: AnyOf | Range, values: Sequence[int]) -> list[bool]:
    """``values``: integers that no float is."""
    if isinstance(leaf, Range):
        return [_within(leaf, value) for value in values]
    # As texts: integers can be made to collide.
    wanted = {hex(value) for value in leaf.values if isinstance(value, int)}
    return [hex(value) in wanted for value in values]
