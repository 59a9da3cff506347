import pytest

from clew.agents.code.mutations.copied import mutate

OTHER = "def parse(text, types):\n    p = Parser(text, types)\n    return p.run(text)\n"


@pytest.mark.parametrize("gone", ["", "    pass\n"])
def test_what_gives_the_variable_its_value_elsewhere(variants, gone):
    code = f"{OTHER}def search(text, types):\n{gone}    return p.find(text)\n"
    wanted = f"{OTHER}def search(text, types):\n    p = Parser(text, types)\n    return p.find(text)\n"
    assert wanted in variants(mutate, code)


def test_several_variables_at_once(variants):
    code = "def one(sig):\n    a, b = sig\n    return a\ndef two(sig):\n    pass\n    return a + b\n"
    assert code.replace("    pass\n", "    a, b = sig\n") in variants(mutate, code)


GUARDED = "def one(x):\n    if x is None:\n        return 0\n    return x.one\n"


def test_a_guard_of_another_function(variants):
    code = f"class A:\n    pass\n{GUARDED}def two(x):\n    pass\n    return x.two\n"
    assert code.replace("def two(x):\n    pass\n", "def two(x):\n    if x is None:\n        return 0\n") in variants(
        mutate, code
    )


def test_nothing_that_names_what_is_unknown_here(variants):
    code = f"{GUARDED}def two(y):\n    return y.two\n"
    assert all(made.endswith("def two(y):\n    return y.two\n") for made in variants(mutate, code))


def test_nothing_at_import(variants):
    assert variants(mutate, "x = 1\nif x:\n    raise ValueError(x)\n") == {}
