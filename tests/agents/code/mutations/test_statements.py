import ast

import pytest

from clew.agents.code.mutations import statements

CASES = {
    "each item": (
        "def f(a, fs):\n    for g in fs:\n        pass\n    return a\n",
        ["    for g in fs:\n        a = g(a)\n"],
    ),
    "too many": ("def f(a):\n    a.pop()\n    return a\n", ["def f(a):\n    return a\n"]),
    "memory": (
        "def f(n):\n    seen = set()\n    if n in seen:\n        return 0\n    return f(n)\n",
        ["    seen.add(n)\n    return f(n)"],
    ),
    "memory of the inner function": (
        "def f(n):\n    seen = set()\n    def g(o):\n        if o in seen:\n            return\n        g(o)\n    g(n)\n",
        ["        seen.add(o)\n        g(o)"],
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


def test_jumps_are_mistaken_for_one_another(variants):
    code = "def f(xs):\n    for x in xs:\n        if x:\n            pass\n    return 1\n"
    made = variants(statements.mutate, code)
    for jump in ("break", "continue", "return"):
        assert code.replace("pass", jump) in made
    assert code.replace("pass", "break") in variants(statements.mutate, code.replace("pass", "continue"))


def test_what_brings_a_loop_to_its_end(variants):
    code = "def f(node, queue):\n    while node and len(queue):\n        use(node.value)\n    return node.following\n"
    made = variants(statements.mutate, code)
    for step in ("node = node.following", "queue.pop()", "queue.pop(0)", "queue = queue[1:]"):
        assert code.replace("        use(node.value)", f"        use(node.value)\n        {step}") in made
    code = "def f(self):\n    while self.items:\n        self.use()\n"
    for step in ("self.items.pop()", "self.items.pop(0)"):
        assert code + f"        {step}\n" in variants(statements.mutate, code)
