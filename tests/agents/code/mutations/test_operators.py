import ast

import pytest

from clew.agents.code.mutations import operators

CASES = {
    "every connector": ("def f(a, b, c):\n    return a or b or c\n", ["return a and b and c"]),
    "sign": ("def f(a, b):\n    a = b\n    return a * 2\n", ["a = -b", "return -a * 2"]),
    "in place, rare": ("def f(n):\n    n /= 2\n    return n\n", ["n += 2", "n **= 2", "n //= 2"]),
    "arithmetic": ("def f(a, b):\n    return a - b\n", ["return a + b", "return b - a", "return a\n"]),
    "bitwise in place": ("def f(n):\n    n ^= n - 1\n    return n\n", ["n &= n - 1", "n = n - 1"]),
    "boolean": ("def f(a, b):\n    return a and b\n", ["return a or b", "return b\n"]),
    "brackets stay": ("def f(a, b, c):\n    return (a + b) * c\n", ["return (a - b) * c", "return (a + b) + c"]),
    "grouping": ("def f(a, b, c):\n    return a + b * c\n", ["return (a + b) * c"]),
    "comment between operands": ("def f(a, b):\n    return (a  # minus -\n            - b)\n", ["            + b)"]),
}


@pytest.mark.parametrize(("code", "expected"), CASES.values(), ids=CASES)
def test_makes_the_change_and_leaves_the_rest(variants, code, expected):
    made = variants(operators.mutate, code)
    for text in expected:
        assert any(text in variant for variant in made), text


@pytest.mark.parametrize("code", [code for code, _ in CASES.values()], ids=CASES)
def test_every_variant_parses_differs_and_has_a_prior(variants, code):
    for variant, prior in variants(operators.mutate, code).items():
        assert 0 < prior <= 1
        ast.parse(variant)
