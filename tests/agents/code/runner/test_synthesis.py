"""The smallest expression that fits the examples; what is no answer; and that nothing costs more than its bounds."""

import ast

import pytest

from clew.agents.code.runner import components, pools, synthesis


def search(parameters, rows, wants, constants=(), wall=20.0):
    given = [0, 1, 2, -1, "", " ", *constants]
    spec = {
        "parameters": parameters,
        "rows": [[repr(value) for value in row] for row in rows],
        "wants": [repr(want) for want in wants],
        "constants": [repr(value) for value in given],
        "wall": wall,
    }
    return synthesis.perform(spec)


CASES = [
    (["x"], [[1], [2], [5]], [3, 5, 11], ()),
    (["xs"], [[[1, 2, 3]], [[]], [[5]]], [3, None, 5], (None,)),
    (["text"], [["hello world"], ["a b c"], ["abc"]], ["Hello World", "A B C", "Abc"], ()),
    (["text"], [["hello world"], ["a b c"], ["Foo"]], ["hello-world", "a-b-c", "foo"], ("-",)),
    (["x", "lo", "hi"], [[5, 0, 10], [-5, 0, 10], [50, 0, 10]], [5, 0, 10], ()),
    (["text"], [["banana"], ["xyz"], ["aeiou"]], [3, 0, 5], ("aeiou",)),
    (["words"], [[["a", "bc"]], [["def"]], [[]]], [[1, 2], [3], []], ()),
]


@pytest.mark.parametrize(("parameters", "rows", "wants", "constants"), CASES)
def test_found(parameters, rows, wants, constants):
    found = search(parameters, rows, wants, constants)
    for row, want in zip(rows, wants, strict=True):
        assert eval(found["expression"], dict(zip(parameters, row, strict=True))) == want
    assert found == search(parameters, rows, wants, constants)


def test_the_smallest_is_found():
    found = search(["x"], [[1], [2], [5]], [3, 5, 11])
    assert ast.unparse(ast.parse(found["expression"], mode="eval")) == "1 + (x + x)"


def test_a_bool_is_no_number():
    found = search(["x"], [[0], [3]], [False, True])
    assert eval(found["expression"], {"x": 3}) is True


def test_too_long_for_so_few_examples():
    found = search(["n"], [[0], [5]], [1, 120])
    assert "expression" not in found or len(found["expression"]) < 40


@pytest.mark.slow
def test_the_limit_of_time():
    found = search(["text"], [["abc"], ["defg"]], ["900150983cd24fb0", "d6963f7d28e17f72"], wall=0.5)
    assert found["reason"] == "the limit of the search was reached"


@pytest.mark.parametrize("component", components.COMPONENTS, ids=lambda c: c.template)
def test_no_component_is_expensive(component):
    """With large arguments each gives a small value, refuses, or raises: at once."""
    text, items = "ab" * 1000, [1, 2] * 1000
    large = {
        "i": 10**12,
        "n": 1e12,
        "s": text,
        "q": text,
        "l": items,
        "c": items,
        "d": {"a": 1},
        "b": True,
        "a": 10**12,
    }
    for sign in (1, -1):
        row = tuple(large[one] for one in component.kinds)
        row = tuple(sign * value if isinstance(value, int) and not isinstance(value, bool) else value for value in row)
        value = synthesis._value(component, row)
        assert value is synthesis.FAILED or components.small(value)


def test_pools():
    assert pools.pool(int)[:3] == [0, 1, -1]
    assert pools.pool(type(None)) == [None]
    assert [] in pools.pool(list[int])
    assert pools.pool(tuple[int, str])[0] == (0, "")
    assert {} in pools.pool(dict[str, int])
    assert pools.pool(set[list[int]]) == pools.pool(dict[list[int], int]) == []
    assert None in pools.pool(int | None)
    assert pools.pool(object) == []
    assert len(pools.spread([[1, 2, 3], [1, 2, 3]], 5)) == 5
    assert pools.spread([], 5) == [()]
    assert pools.spread([[1], []], 5) == []
