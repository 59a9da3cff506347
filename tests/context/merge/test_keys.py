"""Three-way merge of JSON by key."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.context.log.rules import canonical
from clew.context.merge.conflict import Conflict
from clew.context.merge.keys import ABSENT, MOST_LEVELS, merge_json

JSON = st.recursive(
    st.sampled_from([None, True, 1, 1.0, "x", [], [1, 2]]),
    lambda inner: st.dictionaries(st.sampled_from(["a", "b", "c/d~"]), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "merged"),
    [
        ({}, {"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1, "b": 2}, {"b": 2}, {"a": 1, "b": 3}, {"b": 3}),
        ({"a": {"x": 1, "y": 1}}, {"a": {"x": 2, "y": 1}}, {"a": {"x": 1}}, {"a": {"x": 2}}),
        ({}, {"a": {"x": 1}}, {"a": {"y": 1}}, {"a": {"x": 1, "y": 1}}),
        ({"a": [1]}, {"a": [1, 2]}, {"a": [1]}, {"a": [1, 2]}),
        ({"a": None}, {}, {"a": None}, {}),
        ({"a": 1}, {"a": True}, {"a": 1}, {"a": True}),
        ({"a": 1}, {"a": 2, "b": 1}, {"a": 2, "c": 1}, {"a": 2, "b": 1, "c": 1}),
        (1, 2, 1, 2),
        (ABSENT, {"a": 1}, {"b": 1}, {"a": 1, "b": 1}),
        ({}, ABSENT, {}, None),
    ],
)  # fmt: skip
def test_changes_that_go_together(base: Any, ours: Any, theirs: Any, merged: Any) -> None:
    for found in (merge_json(base, ours, theirs), merge_json(base, theirs, ours)):
        assert canonical(found.value) == canonical(merged)
        assert found.conflicts == ()


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "pointer", "shown"),
    [
        ({"a": 1}, {"a": 2}, {"a": 3}, "/a", ("1", "2", "3")),
        ({"a": {"b/c~": 1}}, {"a": {"b/c~": 2}}, {"a": {}}, "/a/b~1c~0", ("1", "2", "")),
        ({"a": {"b": 1}}, {}, {"a": {"b": 1, "c": 1}}, "/a", ('{"b":1}', "", '{"b":1,"c":1}')),
        ({}, {"a": 1}, {"a": 1.0}, "/a", ("", "1", "1.0")),
        ({"a": [1]}, {"a": [2]}, {"a": [1, 1]}, "/a", ("[1]", "[2]", "[1,1]")),
        ({"a": 1}, {"a": {"x": 1}}, {"a": {"y": 1}}, "/a", ("1", '{"x":1}', '{"y":1}')),
        (1, 2, 3, "", ("1", "2", "3")),
    ],
)  # fmt: skip
def test_conflicts_name_their_place(base: Any, ours: Any, theirs: Any, pointer: str, shown: tuple[str, ...]) -> None:
    merged = merge_json(base, ours, theirs, part="metadata")
    (conflict,) = merged.conflicts
    assert (conflict.part, conflict.pointer, (conflict.base, conflict.ours, conflict.theirs)) == (
        "metadata",
        pointer,
        shown,
    )
    assert merged.value == ours


def test_conflicts_that_are_settled() -> None:
    def resolve(conflict: Conflict) -> str | None:
        return {"/a": "[1, 2]", "/b": "", "/c": None, "/d": "no JSON"}[conflict.pointer]

    merged = merge_json({}, dict.fromkeys("abcd", 1), dict.fromkeys("abcd", 2), resolve)
    assert merged.value == {"a": [1, 2], "c": 1, "d": 1}
    assert [c.pointer for c in merged.conflicts] == ["/c", "/d"]


@given(base=JSON, other=JSON)
@settings(max_examples=80, deadline=None)
def test_one_side_alone_is_taken_as_it_is(base: Any, other: Any) -> None:
    for merged in (merge_json(base, other, base), merge_json(base, base, other), merge_json(base, other, other)):
        assert (merged.value, merged.conflicts) == (other, ())


def leaves(value: Any, pointer: str = "") -> dict[str, str]:
    if isinstance(value, dict) and value:
        found: dict[str, str] = {}
        for key, held in value.items():
            found.update(leaves(held, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"))
        return found
    return {pointer: repr(value)}


@given(base=JSON, ours=JSON, theirs=JSON)
@settings(max_examples=150, deadline=None)
def test_nothing_is_lost_without_a_conflict(base: Any, ours: Any, theirs: Any) -> None:
    """What one side added or changed is in the result, or the other changed it too and a conflict says so."""
    merged, back = merge_json(base, ours, theirs), merge_json(base, theirs, ours)
    assert [(c.pointer, c.ours, c.theirs) for c in sorted(merged.conflicts, key=lambda c: c.pointer)] == [
        (c.pointer, c.theirs, c.ours) for c in sorted(back.conflicts, key=lambda c: c.pointer)
    ]
    if not merged.conflicts:
        assert leaves(merged.value) == leaves(back.value)
    there, was = leaves(merged.value), leaves(base)
    for side in (ours, theirs):
        for pointer, value in leaves(side).items():
            told = any(pointer.startswith(c.pointer) or c.pointer.startswith(pointer) for c in merged.conflicts)
            grown = value == "{}" and any(p.startswith(pointer + "/") for p in there)
            assert was.get(pointer) == value or there.get(pointer) == value or told or grown


def test_what_is_nested_too_deeply_is_a_value() -> None:
    base, ours, theirs = ({"leaf": leaf} for leaf in (1, 2, 3))
    for _ in range(500):
        base, ours, theirs = {"x": base}, {"x": ours}, {"x": theirs}
    (conflict,) = merge_json(base, ours, theirs).conflicts
    assert conflict.pointer == "/x" * MOST_LEVELS
    assert conflict.base.count("x") == 500 - MOST_LEVELS
