import ast

import pytest

from clew.agents.code.mutations import statements

CASES = {
    "too many": ("def f(a):\n    a.pop()\n    return a\n", ["def f(a):\n    return a\n"]),
    "memory": (
        "def f(n):\n    seen = set()\n    if n in seen:\n        return 0\n    return f(n)\n",
        ["    seen.add(n)\n    return f(n)"],
    ),
    "accumulated": ("def f(a):\n    t = 0\n    for x in a:\n        t = x\n    return t\n", ["t += x"]),
    "order": ("def f(a, b):\n    a = b\n    b = a\n    return b\n", ["    b = a\n    a = b\n"]),
    "depth": ("def f(a):\n    for x in a:\n        a = x\n        return a\n", ["        a = x\n    return a"]),
    "step": ("def f(a):\n    n = 0\n    while a:\n        a.pop()\n    return n + 1\n", ["        n += 1\n"]),
}


@pytest.mark.parametrize(("code", "expected"), CASES.values(), ids=CASES)
def test_makes_the_change_and_leaves_the_rest(variants, code, expected):
    made = variants(statements.mutate, code)
    for text in expected:
        assert any(text in variant for variant in made), text


@pytest.mark.parametrize("code", [code for code, _ in CASES.values()], ids=CASES)
def test_every_variant_parses_differs_and_has_a_prior(variants, code):
    for variant, prior in variants(statements.mutate, code).items():
        assert 0 < prior <= 1
        ast.parse(variant)
