import ast

import pytest

from clew.agents.code.mutations import calls

CASES = {
    "generated": (
        "def f(a):\n    b = (x for x in a)\n    return b\n",
        ["b = tuple(x for x in a)", "b = list(x for x in a)"],
    ),
    "named": ("def g(a, c=1): ...\ndef h(a, c):\n    return g(a)\n", ["return g(a, c=c)"]),
    "named elsewhere": ("def f(a):\n    open(a, mode='x')\n    return open(a)\n", ["return open(a, mode='x')"]),
    "second": ("def f(d, k):\n    d.setdefault(k)\n", ["d.setdefault(k, {})"]),
    "unread": ("def f(a, b):\n    return g(b)\n", ["g(b, a)", "g(a, b)"]),
    "iterator": ("def f(a):\n    a = a\n    return next(a)\n", ["a = iter(a)"]),
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
