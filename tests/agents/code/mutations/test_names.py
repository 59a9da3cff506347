import ast

import pytest

from clew.agents.code.mutations import names

CASES = {
    "variable": ("def f(a, b):\n    return a + a\n", ["return a + b"]),
    "attribute": ("class C:\n    def f(self):\n        self.low = 1\n        return self.high\n", ["return self.low"]),
    "method": ("def f(a, x):\n    a.append(x)\n", ["a.extend(x)"]),
    "builtin": ("def f(a):\n    return min(a)\n", ["return max(a)"]),
    "attribute of another": ("def f(m):\n    year = m.year\n    return year\n", ["return m.year"]),
}


@pytest.mark.parametrize(("code", "expected"), CASES.values(), ids=CASES)
def test_makes_the_change_and_leaves_the_rest(variants, code, expected):
    made = variants(names.mutate, code)
    for text in expected:
        assert any(text in variant for variant in made), text


@pytest.mark.parametrize("code", [code for code, _ in CASES.values()], ids=CASES)
def test_every_variant_parses_differs_and_has_a_prior(variants, code):
    for variant, prior in variants(names.mutate, code).items():
        assert 0 < prior <= 1
        ast.parse(variant)
