import ast

import pytest

from clew.agents.code.mutations import off_by_one

CASES = {
    "range": ("def f(n):\n    return list(range(n))\n", ["range(n + 1)", "range(n - 1)"]),
    "index": ("def f(a, i):\n    return a[i]\n", ["a[i - 1]", "a[i + 1]"]),
    "recursion": (
        "def f(a, k):\n    low = len(a)\n    return f(a, k)\n",
        ["return f(a, k - low)", "return f(a, k - 1)"],
    ),
    "key of two": ("def f(d, i, j):\n    return d[i, j]\n", ["d[i, j - 1]"]),
}


@pytest.mark.parametrize(("code", "expected"), CASES.values(), ids=CASES)
def test_makes_the_change_and_leaves_the_rest(variants, code, expected):
    made = variants(off_by_one.mutate, code)
    for text in expected:
        assert any(text in variant for variant in made), text


@pytest.mark.parametrize("code", [code for code, _ in CASES.values()], ids=CASES)
def test_every_variant_parses_differs_and_has_a_prior(variants, code):
    for variant, prior in variants(off_by_one.mutate, code).items():
        assert 0 < prior <= 1
        ast.parse(variant)


def test_yes_or_no_is_seldom_counted_with_and_nothing_is_added_and_taken_off_at_once(variants):
    asked, other = "def is_open(a):\n    return look(a)\n", "def fetch(a):\n    return look(a)\n"
    less = variants(off_by_one.mutate, asked)[asked.replace("look(a)", "look(a) + 1")]
    assert less < variants(off_by_one.mutate, other)[other.replace("look(a)", "look(a) + 1")] / 2
    code = "def f(a):\n    return a + 1\n"
    assert code.replace("a + 1", "a + 1 - 1") not in variants(off_by_one.mutate, code)
