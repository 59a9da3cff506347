import ast

import pytest

from clew.agents.code.mutations import constants

CASES = {
    "half": ("def f(a):\n    return a[:256]\n", ["a[:128]"]),
    "case": ('def f(a):\n    return a + "aB"\n', ["'Ab'"]),
    "default": ("def f(a=None, b=True):\n    return a, b\n", ["a=0", "b=False"]),
    "integer": ("def f(a):\n    return a[1]\n", ["return a[0]", "return a[2]", "return a[-1]"]),
    "truth": ("def f():\n    return True\n", ["return False"]),
    "display": ("def f(n):\n    return []\n", ["return [n]"]),
    "pair": ("def f(a, b):\n    return (a, b)\n", ["return (b, a)"]),
    "text": ('def f(a):\n    return a + "x "\n', ["return a + 'x'"]),
}


@pytest.mark.parametrize(("code", "expected"), CASES.values(), ids=CASES)
def test_makes_the_change_and_leaves_the_rest(variants, code, expected):
    made = variants(constants.mutate, code)
    for text in expected:
        assert any(text in variant for variant in made), text


@pytest.mark.parametrize("code", [code for code, _ in CASES.values()], ids=CASES)
def test_every_variant_parses_differs_and_has_a_prior(variants, code):
    for variant, prior in variants(constants.mutate, code).items():
        assert 0 < prior <= 1
        ast.parse(variant)
