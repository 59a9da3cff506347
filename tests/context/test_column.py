"""The values of one field: what metadata has in it, and which numbers are kept exactly."""

import msgspec
import pytest

from clew.context.column import Column, Saved, as_float, flat, nearest_float


def test_metadata_as_paths_and_values():
    metadata = {"a": {"b": [1, True, {"c": "x"}], "n": None}, "t": ("y",), "o": object()}
    assert sorted(flat(metadata), key=str) == [("a.b", 1), ("a.b", True), ("a.b.c", "x"), ("t", "y")]
    assert not [*flat({"a" * 5000: {"b": 1}})]


@pytest.mark.parametrize(
    ("value", "found"), [(3, 3.0), (2**53 + 1, None), (2**60, 2.0**60), (10**400, None), (0.1, 0.1)]
)
def test_numbers_that_are_floats(value, found):
    assert as_float(value) == found


def test_the_nearest_float_of_what_is_too_large():
    assert (nearest_float(10**400), nearest_float(-(10**400))) == (float("inf"), float("-inf"))


def test_written_and_read():
    column = Column()
    for row, value in ((0, "x"), (1, 2), (2, True), (2, "x"), (5, 2**53 + 1)):
        column.add(row, value)
    assert (column.sizes(), column.single, column.names) == ((3, 1, 1), False, ["x", True])
    large = [(row, hex(n)) for row, n in column.large]
    saved = Saved("p", *column.sizes()[:2], len(column.encoded()), column.single, large)
    lists = [memoryview(one) for one in (column.word_rows, column.words, column.number_rows, column.numbers)]
    again = Column.read(lists, column.encoded(), msgspec.convert(msgspec.to_builtins(saved), Saved))
    assert again.encoded() == column.encoded()
    assert (again.sizes(), again.large, again.texts) == (column.sizes(), column.large, {"x": 0, True: 1})
    again.add(6, "new")
    assert again.names == ["x", True, "new"]
