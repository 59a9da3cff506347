import ast

import pytest

from clew.agents.code.mutations import slices

CASES = {
    "rest": ("def f(a):\n    return f(a)\n", ["f(a[1:])"]),
    "loop": (
        "def f(a, k):\n    for x in a[:k]:\n        pass\n    for x in a:\n        yield x\n    k -= 1\n",
        ["in a[k:]:", "in a:\n        pass"],
    ),
    "ends": ("def f(a):\n    return a[0]\n", ["return a[-1]"]),
    "default": ("def f(d, k):\n    return d[k]\n", ["d.get(k, 0)"]),
}


@pytest.mark.parametrize(("code", "expected"), CASES.values(), ids=CASES)
def test_makes_the_change_and_leaves_the_rest(variants, code, expected):
    made = variants(slices.mutate, code)
    for text in expected:
        assert any(text in variant for variant in made), text


@pytest.mark.parametrize("code", [code for code, _ in CASES.values()], ids=CASES)
def test_every_variant_parses_differs_and_has_a_prior(variants, code):
    for variant, prior in variants(slices.mutate, code).items():
        assert 0 < prior <= 1
        ast.parse(variant)


def test_an_entry_that_is_not_there_yet(variants):
    code = "def f(table, key):\n    table[key] += 1\n"
    assert code.replace("table[key] += 1", "table[key] = table.get(key, 0) + 1") in variants(slices.mutate, code)
    code = "def f(table, key):\n    table[key].append(1)\n"
    assert code.replace("table[key]", "table.setdefault(key, [])") in variants(slices.mutate, code)


def test_the_first_is_taken_off(variants):
    code = "def f(queue):\n    return queue[0]\n"
    assert code.replace("queue[0]", "queue.pop(0)") in variants(slices.mutate, code)
