"""Masks against a plain evaluation of the same filter on the same metadata."""

import operator
import random
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clew.context import columns as module
from clew.context.columns import Columns
from clew.context.damage import Damaged
from clew.context.filters import AnyOf, parse
from clew.context.sparse import arrays


def plain(given: dict[str, Any], metadata: Any) -> bool:
    """What a filter means, without columns."""
    if "op" not in given:
        return all(part for key, value in given.items() for part in _short(key, value, metadata))
    op, args = given["op"], given["args"]
    if op == "and":
        return all(plain(arg, metadata) for arg in args)
    if op == "or":
        return any(plain(arg, metadata) for arg in args)
    if op in ("not", "ne", "nin"):
        return not plain(args[0] if op == "not" else {"op": {"ne": "eq", "nin": "in"}[op], "args": args}, metadata)
    values = at(metadata, args[0])
    if op == "in":
        return any(plain({"op": "eq", "args": [args[0], value]}, metadata) for value in args[1])
    if op == "eq" and args[1] is None:
        return not values
    return any(compared(op, value, args[1]) for value in values)


def _short(key: str, value: Any, metadata: Any) -> list[bool]:
    if key == "range":
        return [
            any(all(compared(op, found, bound) for op, bound in bounds.items()) for found in at(metadata, path))
            for path, bounds in value.items()
        ]
    fields = value if key == "term" else {key: value}
    return [plain({"op": "in" if isinstance(v, list) else "eq", "args": [p, v]}, metadata) for p, v in fields.items()]


def at(metadata: Any, path: str) -> list[Any]:
    if isinstance(metadata, list):
        return [value for one in metadata for value in at(one, path)]
    if not path or not isinstance(metadata, dict):
        return [metadata] if not path and metadata is not None and not isinstance(metadata, dict) else []
    found = []
    for key, inner in metadata.items():
        if key == path or path.startswith(f"{key}."):
            found += at(inner, path[len(key) + 1 :])
    return found


def compared(op: str, left: Any, right: Any) -> bool:
    kinds = [bool if isinstance(v, bool) else str if isinstance(v, str) else float for v in (left, right)]
    if kinds[0] != kinds[1] or (op != "eq" and bool in kinds):
        return False
    return getattr(operator, {"gte": "ge", "lte": "le"}.get(op, op))(left, right)


ORDERED = [
    "en",
    "de",
    "",
    "é",
    "\U00010000",
    "\uffff",
    "\ud800",
    0,
    1,
    1.0,
    2,
    -3,
    0.5,
    2**53,
    2**53 + 1,
    2.0**53,
    2**70,
    -(2**63),
    1e308,
]
ORDERED += [10**400, -(10**400), 2**64 + 1, 1e22, 10**22, 10**22 + 1]
SOUGHT = [*ORDERED, True, False, None]
STORED = [*SOUGHT, nan, inf, -inf]
PATHS = ["a", "b", "c.d", "c.e", "x.y.z", "e.f"]


class Making:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def value(self, depth: int = 0) -> Any:
        pick = self.random.random()
        if pick < 0.7 or depth == 3:
            return self.random.choice(STORED)
        if pick < 0.85:
            return [self.value(depth + 1) for _ in range(self.random.randint(0, 3))]
        keys = self.random.sample(["d", "e", "f", "y.z", "y", "z"], self.random.randint(0, 2))
        return {key: self.value(depth + 1) for key in keys}

    def metadata(self) -> dict[str, Any]:
        keys = self.random.sample(["a", "b", "c", "x", "c.d", "e"], self.random.randint(0, 4))
        return {key: self.value() for key in keys}

    def filter(self, depth: int = 0) -> dict[str, Any]:
        path, choice = self.random.choice(PATHS), self.random.choice
        some = [choice(SOUGHT) for _ in range(self.random.randint(0, 4))]
        forms: list[dict[str, Any]] = [
            {"op": choice(["eq", "ne"]), "args": [path, choice(SOUGHT)]},
            {"op": choice(["lt", "le", "gt", "ge"]), "args": [path, choice(ORDERED)]},
            {"op": choice(["in", "nin"]), "args": [path, some]},
            {"term": {path: choice(SOUGHT)}, choice(PATHS): some},
            {
                "range": {
                    path: {choice(["gt", "gte", "ge"]): self.bound(str), choice(["lt", "lte", "le"]): self.bound(str)}
                }
            },
            {
                "range": {
                    path: {choice(["gt", "gte", "ge"]): self.bound(int), choice(["lt", "lte", "le"]): self.bound(int)}
                }
            },
        ]
        if depth < 3 and self.random.random() < 0.4:
            op = choice(["and", "or", "not"])
            count = 1 if op == "not" else self.random.randint(0, 3)
            return {"op": op, "args": [self.filter(depth + 1) for _ in range(count)]}
        return choice(forms)

    def bound(self, kind: type) -> Any:
        return self.random.choice([value for value in ORDERED if isinstance(value, str) == (kind is str)])


@pytest.mark.parametrize("seed", range(40))
def test_masks_are_what_the_filter_means_while_rows_come(seed: int, tmp_path: Path) -> None:
    making, columns, known, row = Making(seed), Columns(), dict[int, Any](), -1
    filters = [making.filter() for _ in range(10)]
    for step in range((5, 40)[seed % 2]):
        row += making.random.choice([1, 1, 1, 2])
        known[row] = making.metadata()
        columns.add(np.array([row]), [known[row]])
        if making.random.random() < 0.1:
            columns.save(tmp_path / str(step))
            columns = Columns.load(tmp_path / str(step))
        if step % 4:
            continue
        for one in filters:  # the same ones again and again: what is known of them is extended
            total = max(0, row + making.random.choice([-2, 1, 4]))
            assert columns.mask(parse(one), total).tolist() == [plain(one, known.get(i, {})) for i in range(total)], one


def test_many_rows_at_once() -> None:
    columns = Columns()
    metadata = [{"year": 2000 + i % 20, "tags": ["a"] * (i % 3), "id": f"d{i:05}"} for i in range(5000)]
    columns.add(np.arange(2500), metadata[:2500])
    for _ in range(2):
        for one in (
            {"year": 2003},
            {"year": [2001, 2002]},
            {"tags": "a"},
            {"range": {"id": {"gte": "d00010", "lt": "d00020"}}},
        ):
            expected = [plain(one, m) for m in metadata[: columns._rows]]
            assert columns.mask(parse(one), columns._rows).tolist() == expected
        columns.add(np.arange(5000), metadata)


def test_a_mask_cannot_be_written_into_and_outlives_what_comes_later() -> None:
    columns = Columns()
    columns.add(np.array([0, 1]), [{"a": 1}, {"a": 2}])
    mask = columns.mask(parse({"a": 1}), 2)
    with pytest.raises(ValueError, match="read-only"):
        mask[1] = True
    columns.add(np.arange(2, 3000), [{"a": 1}] * 2998)
    assert columns.mask(parse({"a": 1}), 3000).sum() == 2999
    assert mask.tolist() == [True, False]


def test_remembered_masks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT_BYTES", 10 * 1024)
    columns = Columns()
    columns.add(np.array([0]), [{"a": 1}])
    for i in range(100):
        columns.mask(parse({"a": i}), 1)
    assert 1 <= len(columns._known) <= 10


def test_a_long_condition_is_remembered_by_no_more_than_its_mask() -> None:
    columns = Columns()
    columns.add(np.array([0]), [{"a": "x"}])
    for i in range(20):
        columns.mask(parse({"a": [f"{i}-{k:036}" for k in range(1000)]}), 1)
    assert sum(len(key) + len(known.mask) for key, known in columns._known.items()) < 20 * 1100


class _Counted(int):
    compared = 0
    __hash__ = int.__hash__

    def __eq__(self, other: object) -> bool:
        _Counted.compared += 1
        return int(self) == other


def test_many_integers_that_no_float_is_are_not_compared_with_each() -> None:
    columns, odd = Columns(), 2**61 - 1  # integers that differ by it have one hash
    columns.add(np.arange(1000), [{"n": (i + 9) * odd + 1} for i in range(1000)])
    tree = AnyOf("n", tuple(_Counted(i * odd + 1) for i in range(509, 1509)))
    assert columns.mask(tree, 1000).tolist() == [i >= 500 for i in range(1000)]
    assert _Counted.compared <= 2000


def test_rows_that_were_seen_are_passed_over() -> None:
    columns = Columns()
    for value in (1, 2):
        columns.add(np.array([0, 1]), [{"a": value}, {"a": value}])
    assert columns.mask(parse({"a": 2}), 2).tolist() == [False, False]


def test_thousands_of_fields_deep_ones_and_long_ones_do_no_harm(tmp_path: Path) -> None:
    columns = Columns()
    deep: Any = 1
    for _ in range(5000):
        deep = {"d": deep}
    columns.add(np.array([0, 1]), [{f"k{i}": i for i in range(5000)}, {"deep": deep, "x" * 600: 1, "k7": [[[7]]]}])
    assert columns.mask(parse({"k7": 7}), 2).tolist() == [True, True]
    assert all(len(path) <= 512 for path in columns._columns)
    columns.save(tmp_path / "saved")
    assert Columns.load(tmp_path / "saved").mask(parse({"k4999": 4999}), 2).tolist() == [True, False]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    columns = Columns()
    columns.add(np.arange(3), [{"a": "x", "n": 1}, {"a": ["y", "z"]}, {"a": "x", "n": 2**70}])
    columns.save(tmp_path / "saved")
    return tmp_path / "saved"


def test_the_same_content_gives_the_same_files(saved: Path, tmp_path: Path) -> None:
    Columns.load(saved).save(tmp_path / "again")
    used = Columns.load(saved)
    used.mask(parse({"a": "x"}), 3)
    used.save(tmp_path / "used")
    for file in saved.iterdir():
        assert (
            file.read_bytes()
            == (tmp_path / "again" / file.name).read_bytes()
            == (tmp_path / "used" / file.name).read_bytes()
        )


def test_nothing_is_saved_and_loaded(tmp_path: Path) -> None:
    Columns().save(tmp_path / "saved")
    assert Columns.load(tmp_path / "saved").mask(parse({"a": 1}), 2).tolist() == [False, False]


@pytest.mark.parametrize("name", ["word_rows", "words", "number_rows", "numbers", "texts"])
def test_a_changed_or_missing_array_is_noticed(saved: Path, name: str) -> None:
    file = saved / f"{name}.npy"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(Damaged, match=name):
        Columns.load(saved)
    file.unlink()
    with pytest.raises(Damaged, match=name):
        Columns.load(saved)


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"rows": "3"},
        {"rows": 2},
        {"rows": 3, "columns": []},
        {"rows": 3, "columns": [["a", 5]]},
        {"rows": 3, "columns": [["a", 4, 0, 0, True, []], ["n", 0, 1, 2, True, [[2, "zz"]]]]},
        {"rows": 3, "columns": [["a", -1, 0, 0, True, []], ["n", 5, 1, 2, True, []]]},
        {"rows": 3, "columns": [["a", 4, 0, 13, True, []], ["n", 0, 1, 2, True, [[3, "0x1"]]]]},
    ],
)
def test_facts_that_do_not_fit_are_noticed(saved: Path, tmp_path: Path, facts: dict[str, Any]) -> None:
    found, known = arrays.load(saved, module._KIND, module._DTYPES)
    arrays.save(tmp_path / "forged", module._KIND, found, {**known, **facts} if facts else {})
    with pytest.raises(Damaged):
        Columns.load(tmp_path / "forged")
