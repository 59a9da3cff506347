import ast
from pathlib import Path

import pytest

import clew.agents.code as package
from clew.agents.code.localise import Suspect
from clew.agents.code.mutate import candidates, minimal, trust

CODE = b"""\
LIMIT = 3

def table():
    return [n for n in range(LIMIT)]

TABLE = table()

def look(a, b=1):
    if a < b:
        return TABLE[a]
    return None
"""


def apply(data, candidate):
    return data[: candidate.start] + candidate.text.encode() + data[candidate.end :]


def suspects(*lines: int, path: str = "m.py") -> list[Suspect]:
    return [Suspect(path, line, 1.0, 1, 0, 7) for line in lines]


def test_best_first_and_none_twice():
    made = candidates({"m.py": CODE}, suspects(9, 10, 11), {})
    assert [c.score for c in made] == sorted((c.score for c in made), reverse=True)
    results = [apply(CODE, c) for c in made]
    assert len(set(results)) == len(results)
    assert CODE not in results
    assert (made[0].operator, made[0].line) == ("comparison", 9)


def test_the_order_is_the_same_every_time():
    first = candidates({"m.py": CODE}, suspects(9, 10), {})
    again = candidates({"m.py": CODE}, list(reversed(suspects(9, 10))), {})
    assert first == again


def test_code_that_ran_at_import_is_changed_cold():
    made = candidates({"m.py": CODE}, suspects(4, 9), {"m.py": [1, 3, 4, 6, 8]})
    owners = {c.line: c.owner for c in made}
    assert owners[4] is None
    assert owners[9] == (8, "look")


def test_defaults_are_changed_cold_and_judged_by_all_tests():
    made = [c for c in candidates({"m.py": CODE}, suspects(8), {}) if c.line == 8 and "default" not in c.operator]
    header = [c for c in made if c.end <= CODE.index(b":\n    if")]
    assert header
    assert all(c.owner is None and c.group == -1 for c in header)


@pytest.mark.parametrize("data", [b"def (", b"x = '\xff'"])
def test_files_that_do_not_parse_yield_nothing(data):
    assert candidates({"m.py": data}, suspects(1), {}) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("f(a, b)", "f(b, a)", (2, 6, b"b, a")),
        ("a", "a", None),
        ("aa", "aaa", (2, 2, b"a")),
        ("'é'", "'è'", (1, 3, "è".encode())),
        ("abc", "", (0, 3, b"")),
    ],
)
def test_minimal_edits(old, new, expected):
    assert minimal(old.encode(), 0, len(old.encode()), new) == expected


@pytest.mark.parametrize("name", ["search.py", "runner/children.py"])
def test_real_code_survives_every_family(name):
    data = (Path(package.__file__).parent / name).read_bytes()
    lines = range(1, data.count(b"\n") + 1)
    made = candidates({name: data}, suspects(*lines, path=name), {})
    assert len(made) > 1000
    broken = 0
    for candidate in made[::7]:
        try:
            ast.parse(apply(data, candidate))
        except SyntaxError:
            broken += 1
    assert broken <= len(made[::7]) * 0.02


@pytest.mark.parametrize(("called", "doubtful"), [("walk", True), ("other", False)])
def test_a_function_that_calls_itself_no_more_is_doubted(called, doubtful):
    data = f"def walk(tree):\n    return {called}(tree)\n".encode()
    made = candidates({"m.py": data}, suspects(2), {})
    (without,) = [c for c in made if apply(data, c) == b"def walk(tree):\n    return tree\n"]
    assert (trust(without) < 1) == doubtful


@pytest.mark.parametrize(("rest", "doubtful"), [("    close(tree)\n", True), ("", False)])
def test_a_return_that_leaves_the_rest_undone_is_doubted(rest, doubtful):
    data = f"def walk(tree):\n    visit(tree)\n{rest}".encode()
    made = candidates({"m.py": data}, suspects(2), {})
    (early,) = [c for c in made if b"    return visit(tree)\n" in apply(data, c)]
    assert (trust(early) < 1) == doubtful
