import ast

import pytest

from clew.agents.code.mutations import comparisons

CASES = {
    "bound": ("def f(a, b):\n    return a < b\n", ["return a <= b", "return a > b"]),
    "chain": ("def f(a, b, c):\n    return a < b <= c\n", ["return a <= b <= c", "return a < b < c"]),
    "two words": ("def f(a, b):\n    return a not in b\n", ["return a in b"]),
    "identity": ("def f(a):\n    return a is not None\n", ["return a is None"]),
}


@pytest.mark.parametrize(("code", "expected"), CASES.values(), ids=CASES)
def test_makes_the_change_and_leaves_the_rest(variants, code, expected):
    made = variants(comparisons.mutate, code)
    for text in expected:
        assert any(text in variant for variant in made), text


@pytest.mark.parametrize("code", [code for code, _ in CASES.values()], ids=CASES)
def test_every_variant_parses_differs_and_has_a_prior(variants, code):
    for variant, prior in variants(comparisons.mutate, code).items():
        assert 0 < prior <= 1
        ast.parse(variant)
