import ast

import pytest

from clew.agents.code.mutations import calls

CASES = {
    "swapped": ("def f(a, b):\n    return g(a, b)\n", ["g(b, a)"]),
    "too many": ("def f(a):\n    return g(a)\n", ["return a\n"]),
    "missing": ("def f(a):\n    return a\n", ["return len(a)"]),
    "bound": (
        "def f(a, best):\n    best = a + 1\n    return best\n",
        ["best = max(best, a + 1)", "best = max(0, a + 1)"],
    ),
    "reverse": ("def f(a):\n    return sorted(a)\n", ["sorted(a, reverse=True)"]),
    "keyword kept": ("def f(a, b):\n    return g(a, b, key=len)\n", ["g(b, a, key=len)", "g(a, b)"]),
}


@pytest.mark.parametrize(("code", "expected"), CASES.values(), ids=CASES)
def test_makes_the_change_and_leaves_the_rest(variants, code, expected):
    made = variants(calls.mutate, code)
    for text in expected:
        assert any(text in variant for variant in made), text


@pytest.mark.parametrize("code", [code for code, _ in CASES.values()], ids=CASES)
def test_every_variant_parses_differs_and_has_a_prior(variants, code):
    for variant, prior in variants(calls.mutate, code).items():
        assert 0 < prior <= 1
        ast.parse(variant)
