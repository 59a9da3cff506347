from clew.agents.code.mutations.exceptions import mutate

LOOK = """\
def look(table, key):
    try:
        return table[key]
    except IndexError:
        return None
"""


def test_another_exception_is_caught_or_one_more(variants):
    made = variants(mutate, LOOK)
    for caught in ("KeyError", "(IndexError, KeyError)", "Exception"):
        assert LOOK.replace("IndexError", caught) in made
    assert max(made, key=made.get) == LOOK.replace("IndexError", "KeyError")
    several = LOOK.replace("IndexError", "(IndexError, TypeError)")
    assert several.replace("TypeError)", "TypeError, ValueError)") in variants(mutate, several)


def test_another_exception_is_raised_also_one_of_the_file(variants):
    code = "class OwnError(Exception):\n    pass\n\ndef refuse(x):\n    raise KeyError(x)\n"
    made = variants(mutate, code)
    assert code.replace("KeyError", "OwnError") in made
    assert code.replace("KeyError", "ValueError") in made


def test_values_are_refused_as_others_are(variants):
    code = 'def age(n):\n    """How old."""\n    if n > 150:\n        raise ValueError("too old")\n    return n\n'
    added = '    """How old."""\n    if n < 0:\n        raise ValueError("too old")\n    if n > 150'
    assert code.replace('    """How old."""\n    if n > 150', added) in variants(mutate, code)
    assert variants(mutate, "def age(n):\n    return n\n") == {}


def test_what_was_not_found_is_given_back_before_it_is_looked_into(variants):
    code = "def low(text):\n    found = match(text)\n    return found.group(1)\n"
    guard = "    if found is None:\n        return None\n    return found"
    assert code.replace("    return found", guard) in variants(mutate, code)
    generator = code.replace("return", "yield")
    assert variants(mutate, generator) == {}
