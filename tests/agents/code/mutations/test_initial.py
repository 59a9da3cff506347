import pytest

from clew.agents.code.mutations.initial import mutate


@pytest.mark.parametrize("use", ["found[x] = 1", "found += [x]", "found.append(x)"])
def test_a_first_value_before_the_first_use(variants, use):
    code = f"def gather(xs):\n    y = 1\n    for x in xs:\n        {use}\n    return y\n"
    made = variants(mutate, code)
    for first in ("[]", "{}", "0", "None"):
        assert code.replace("    for", f"    found = {first}\n    for") in made


@pytest.mark.parametrize("found", ["import found\n", "found = []\n", "def found(): pass\n", "class found: pass\n", ""])
def test_what_is_bound_anywhere_is_left_alone(variants, found):
    """With none of these it is a parameter."""
    code = f"{found}def gather({'xs' if found else 'xs, found'}):\n    return [found(x) for x in xs]\n"
    assert variants(mutate, code) == {}


def test_names_of_other_scopes_are_left_alone(variants):
    code = "total = 0\ndef add(n):\n    global total\n    total += n\n    return len(str(total))\n"
    assert variants(mutate, code) == {}


def test_in_the_place_of_a_statement_that_does_nothing(variants):
    code = "def gather(xs):\n    pass\n    for x in xs:\n        found[x] = 1\n"
    assert code.replace("pass", "found = {}") in variants(mutate, code)


def test_a_variable_of_another_function_is_none_of_this_one(variants):
    code = "def one():\n    found = 1\n    return found\ndef two():\n    return found\n"
    assert code.replace("two():\n", "two():\n    found = []\n") in variants(mutate, code)
