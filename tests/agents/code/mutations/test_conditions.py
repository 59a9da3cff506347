import ast

import pytest

from clew.agents.code.mutations import conditions

CASES = {
    "not, anywhere": ("def f(a):\n    b = a > 1\n    return g(c=a is b)\n", ["b = not (a > 1)", "g(c=not (a is b))"]),
    "negated": ("def f(a):\n    if a:\n        return 1\n", ["if not a:"]),
    "endless": ("def f(queue):\n    while True:\n        queue.pop()\n", ["while queue:"]),
    "guard": ("def f(n):\n    if n.next is None:\n        return 1\n", ["if n is None or n.next is None:"]),
    "conjunct": (
        "def f(a, b):\n    if a > 0:\n        return 1\n    if b > 1:\n        return 2\n",
        ["if a > 0 and b > 1:", "if a > 0 or b > 1:"],
    ),
    "truth": ("def f(a):\n    n = 0\n    return True\n", ["return n == 0"]),
    "filter": ("def f(a):\n    return [x for x in a if x]\n", ["[x for x in a ]"]),
}


@pytest.mark.parametrize(("code", "expected"), CASES.values(), ids=CASES)
def test_makes_the_change_and_leaves_the_rest(variants, code, expected):
    made = variants(conditions.mutate, code)
    for text in expected:
        assert any(text in variant for variant in made), text


@pytest.mark.parametrize("code", [code for code, _ in CASES.values()], ids=CASES)
def test_every_variant_parses_differs_and_has_a_prior(variants, code):
    for variant, prior in variants(conditions.mutate, code).items():
        assert 0 < prior <= 1
        ast.parse(variant)


def test_not_is_missing_before_a_part_or_a_result(variants):
    code = "def f(a, b):\n    return a.x() and b\n"
    made = variants(conditions.mutate, code)
    assert code.replace("and b", "and not b") in made
    assert code.replace("a.x() and b", "not (a.x() and b)") in made
    code = "def __ne__(self, other):\n    return self.__eq__(other)\n"
    assert variants(conditions.mutate, code)[code.replace("self.__eq__", "not self.__eq__")] > 0.2
