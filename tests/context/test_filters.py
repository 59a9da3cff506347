"""Filters: every form is read, has one canonical form, and a fault is named by its path."""

from typing import Any

import pytest

from clew.context.filters import And, AnyOf, Not, Or, Range, as_json, canonical, fields, filter_kv, parse
from clew.core.errors import UsageError


@pytest.mark.parametrize(
    ("given", "tree"),
    [
        ({"op": "eq", "args": ["a.b", 1]}, AnyOf("a.b", (1,))),
        ({"op": "ne", "args": ["a", None]}, Not(AnyOf("a", (None,)))),
        ({"op": "lt", "args": ["a", 1.5]}, Range("a", lt=1.5)),
        ({"op": "le", "args": ["a", "x"]}, Range("a", le="x")),
        ({"op": "gt", "args": ("a", 0)}, Range("a", gt=0)),
        ({"op": "ge", "args": ["a", ""]}, Range("a", ge="")),
        ({"op": "in", "args": ["a", ["x", 2, True, None]]}, AnyOf("a", ("x", 2, True, None))),
        ({"op": "nin", "args": ["a", []]}, Not(AnyOf("a", ()))),
        ({"op": "nin", "args": ["a", [1, 2]]}, Not(AnyOf("a", (1, 2)))),
        ({"op": "and", "args": [{"a": 1}, {"b": 2}]}, And((AnyOf("a", (1,)), AnyOf("b", (2,))))),
        ({"op": "or", "args": []}, Or(())),
        ({"op": "not", "args": [{"range": {"a": {"gt": 1}}}]}, Not(Range("a", gt=1))),
        ({"term": {"lang": "en"}}, AnyOf("lang", ("en",))),
        ({"term": {"lang": ["en", "de"]}}, AnyOf("lang", ("en", "de"))),
        ({"range": {"year": {"gte": 2000, "lt": 2010}}}, Range("year", ge=2000, lt=2010)),
        ({"range": {"year": {"gt": 1, "lte": 2}}}, Range("year", gt=1, le=2)),
        ({"range": {"year": {"ge": 1, "le": 2}}}, Range("year", ge=1, le=2)),
        ({"type": "text"}, AnyOf("type", ("text",))),
        ({"type": "text", "term": {"op": 1}}, And((AnyOf("type", ("text",)), AnyOf("op", (1,))))),
        ({}, And(())),
    ],
)
def test_forms(given: dict[str, Any], tree: Any) -> None:
    assert parse(given) == tree
    assert parse(as_json(tree)) == tree


def test_the_canonical_form_keeps_kinds_apart_and_bounds_in_order() -> None:
    assert canonical(parse({"range": {"a": {"lt": 2, "gte": 1}}})) == '{"range":{"a":{"ge":1,"lt":2}}}'
    assert len({canonical(parse({"a": value})) for value in (1, 1.0, True, "1", None)}) == 5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], r"^filter: expected a filter, found a list"),
        (None, r"^filter: expected a filter, found null"),
        ({1: 2}, r"^filter: expected text as key, found 1"),
        (
            {"op": "like", "args": []},
            r'^filter\.op: expected one of eq ne .*, found "like" \(for a field that is called op',
        ),
        ({"op": [], "args": []}, r"^filter\.op: expected one of .*, found a list"),
        ({"op": "eq"}, r"^filter\.args: expected a list, found null"),
        ({"op": "eq", "args": ["a"]}, r"^filter\.args: `eq` takes \[path, value\], found 1 entries"),
        ({"op": "eq", "args": [1, 2]}, r"^filter\.args\[0\]: expected the path of a field, like meta\.year, found 1"),
        ({"op": "eq", "args": ["", 2]}, r'^filter\.args\[0\]: .* found ""'),
        ({"op": "eq", "args": ["a" * 513, 2]}, r"^filter\.args\[0\]: the path has 513 characters"),
        (
            {"op": "eq", "args": ["a", [1]]},
            r"^filter\.args\[1\]: expected a text, .*, found a list \(for several values: `in`\)",
        ),
        ({"op": "eq", "args": ["a", float("nan")]}, r"^filter\.args\[1\]: expected a finite number, found nan"),
        (
            {"op": "eq", "args": ["a", 2**5000]},
            r"^filter\.args\[1\]: expected a number of at most 4096 bits, found a large number",
        ),
        ({"op": "eq", "args": ["a", b""]}, r"^filter\.args\[1\]: .* found bytes"),
        ({"op": "eq", "args": ["a", 1], "x": 1}, r"^filter\.x: \{op, args\} has no further key"),
        (
            {"op": "in", "args": ["a", "b"]},
            r'^filter\.args\[1\]: expected a list of values, found "b" \(for one value: `eq`\)',
        ),
        ({"op": "in", "args": ["a", [1, {}]]}, r"^filter\.args\[1\]\[1\]: expected a text, .* found an object"),
        ({"op": "in", "args": ["a", [1] * 10_001]}, r"^filter\.args\[1\]: 10001 values; at most 10000"),
        ({"op": "lt", "args": ["a", True]}, r"^filter\.args\[1\]: expected a number or a text, found true"),
        ({"op": "not", "args": []}, r"^filter\.args: `not` takes one filter, found 0"),
        (
            {"op": "and", "args": [{"a": 1}, {"range": {"year": {"gte": None}}}]},
            r"^filter\.args\[1\]\.range\.year\.gte: expected a number or a text, found null",
        ),
        ({"range": {"a": {}}}, r"^filter\.range\.a: expected bounds, like \{gte: 1, lt: 9\}, found an object"),
        ({"range": {"a": 1}}, r"^filter\.range\.a: expected bounds, .* found 1"),
        ({"range": {"a": {"above": 1}}}, r'^filter\.range\.a\."above": no such bound \(gt gte lt lte\)'),
        ({"range": {"a": {"gt": 1, "gte": 2}}}, r"^filter\.range\.a\.gte: a second lower bound"),
        ({"range": {"a": {"le": 1, "lte": 2}}}, r"^filter\.range\.a\.lte: a second upper bound"),
        ({"range": {"a": {"gt": 1, "lt": "2"}}}, r"^filter\.range\.a\.lt: the bounds are a number and a text"),
        ({"term": "spring"}, r'^filter\.term: expected an object .*, found "spring" \(for a field that is called term'),
        ({"term": {"": 1}}, r'^filter\.term: .* found ""'),
        ({"year": {"gte": 1}}, r"^filter\.year: expected a text, .* found an object \(for bounds"),
    ],
)
def test_faults_are_named_by_their_path(given: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(given)


def test_depth_and_size_are_bounded() -> None:
    deep: dict[str, Any] = {"a": 1}
    for _ in range(10_000):
        deep = {"op": "not", "args": [deep]}
    with pytest.raises(UsageError, match="nested deeper than 32 levels"):
        parse(deep)
    for wide in (
        {"op": "or", "args": [{"a": 1}] * 1001},
        {f"a{i}": 1 for i in range(1001)},
        {"term": {f"a{i}": 1 for i in range(1001)}},
    ):
        with pytest.raises(UsageError, match="more than 1000 conditions"):
            parse(wide)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        (["lang=en"], {"op": "eq", "args": ["lang", "en"]}),
        ([" a.b != x y "], {"op": "ne", "args": ["a.b", "x y"]}),
        (["year>=2000"], {"op": "ge", "args": ["year", 2000]}),
        (["year<=2000.5"], {"op": "le", "args": ["year", 2000.5]}),
        (["year<1"], {"op": "lt", "args": ["year", 1]}),
        (["year>-1"], {"op": "gt", "args": ["year", -1]}),
        (['zip="01234"'], {"op": "eq", "args": ["zip", "01234"]}),
        (["zip=01234"], {"op": "eq", "args": ["zip", "01234"]}),
        (["draft=true"], {"op": "eq", "args": ["draft", True]}),
        (["draft=null"], {"op": "eq", "args": ["draft", None]}),
        (["n=NaN"], {"op": "eq", "args": ["n", "NaN"]}),
        (["n=1e999"], {"op": "eq", "args": ["n", "1e999"]}),
        (["n={}"], {"op": "eq", "args": ["n", "{}"]}),
        (["q=a=b"], {"op": "eq", "args": ["q", "a=b"]}),
        (["q="], {"op": "eq", "args": ["q", ""]}),
        (['lang=["en", "de"]'], {"op": "in", "args": ["lang", ["en", "de"]]}),
        (['lang!=["en"]'], {"op": "nin", "args": ["lang", ["en"]]}),
        (["a=1", "b=2"], {"op": "and", "args": [{"op": "eq", "args": ["a", 1]}, {"op": "eq", "args": ["b", 2]}]}),
        ([], {"op": "and", "args": []}),
    ],
)
def test_the_text_form(pairs: list[str], expected: dict[str, Any]) -> None:
    assert filter_kv(pairs) == expected


@pytest.mark.parametrize("pair", ["lang", "", "=x", "a<[1]", "a>true", f"{'a' * 600}=1"])
def test_text_that_is_no_condition(pair: str) -> None:
    with pytest.raises(UsageError):
        filter_kv([pair])


def test_the_fields_that_a_filter_looks_at():
    tree = parse({"op": "or", "args": [{"a.b": 1, "c": [1, 2]}, {"op": "not", "args": [{"range": {"d": {"gt": 1}}}]}]})
    assert fields(tree) == {"a.b", "c", "d"}
    assert fields(And(())) == set()
