import ast

import pytest

from clew.agents.code.mutations import returns

CASES = {
    "inner function": ("def f(a):\n    def g(b):\n        return a\n    return\n", ["    return g\n"]),
    "forgotten": ("def f(a):\n    f(a)\n", ["return f(a)"]),
    "delegation": ("def f(a):\n    yield a\n    f(a)\n", ["yield from f(a)", "yield from a"]),
    "base case": ("def f(n):\n    return f(n - 1)\n", ["    if n == 0:\n        return 0\n    return f(n - 1)"]),
    "end": ("def f(a):\n    total = 0\n    for x in a:\n        total += x\n", ["total += x\n    return total"]),
    "value": ("def f(a, b):\n    if a:\n        return b\n    return None\n", ["return a\n"]),
}


@pytest.mark.parametrize(("code", "expected"), CASES.values(), ids=CASES)
def test_makes_the_change_and_leaves_the_rest(variants, code, expected):
    made = variants(returns.mutate, code)
    for text in expected:
        assert any(text in variant for variant in made), text


@pytest.mark.parametrize("code", [code for code, _ in CASES.values()], ids=CASES)
def test_every_variant_parses_differs_and_has_a_prior(variants, code):
    for variant, prior in variants(returns.mutate, code).items():
        assert 0 < prior <= 1
        ast.parse(variant)
