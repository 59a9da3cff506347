import ast

import pytest

from clew.agents.code.source import Source, precedence


def expression(source: Source, text: str) -> ast.expr:
    return next(n for n in ast.walk(source.tree) if isinstance(n, ast.expr) and source.text(n) == text)


def replaced(code: str, old: str, new: str) -> str:
    source = Source("m.py", code.encode())
    m = source.put(expression(source, old), new, "test", 1.0)
    return (source.data[: m.start] + m.text.encode() + source.data[m.end :]).decode()


@pytest.mark.parametrize(
    ("code", "old", "new", "expected"),
    [
        ("x = a * b", "a", "c + d", "x = (c + d) * b"),
        ("x = a + b", "a", "c + d", "x = c + d + b"),
        ("x = a - b", "b", "c - d", "x = a - (c - d)"),
        ("x = (a) * b", "a", "c + d", "x = (c + d) * b"),
        ("x = a.b", "a", "c or d", "x = (c or d).b"),
        ("x = a and b", "b", "c or d", "x = a and (c or d)"),
        ("x = not a", "a", "b == c", "x = not b == c"),
        ("f(a)", "a", "b if c else d", "f(b if c else d)"),
        ("f(a)", "a", "(b, c)", "f((b, c))"),
        ("x = a[b]", "b", "c + 1", "x = a[c + 1]"),
        ("x = a ** b", "a", "-c", "x = (-c) ** b"),
        ("x = 'é' + a", "a", "b", "x = 'é' + b"),
    ],
)
def test_replacement_is_bracketed_only_where_it_must_be(code, old, new, expected):
    assert replaced(code, old, new) == expected


def test_precedence_orders_as_the_language_does():
    order = [
        "lambda: a",
        "a if b else c",
        "a or b",
        "a and b",
        "not a",
        "a < b",
        "a | b",
        "a + b",
        "a * b",
        "-a",
        "a ** b",
        "a",
    ]
    levels = [precedence(ast.parse(text, mode="eval").body) for text in order]
    assert levels == sorted(set(levels))


CODE = """\
import x

@x.deco
def outer(a=1):
    def inner():
        return a
    return inner

class C:
    limit = 3

    def method(self): return 1

    async def other(self):
        pass
"""


@pytest.mark.parametrize(
    ("text", "owner"),
    [
        ("return a", (3, "outer")),
        ("return inner", (3, "outer")),
        ("pass", (14, "other")),
        ("a=1", None),
        ("limit = 3", None),
        ("return 1", None),
        ("import x", None),
    ],
)
def test_owner_is_the_outermost_function_whose_body_holds_it(text, owner):
    source = Source("m.py", CODE.encode())
    start = CODE.index(text)
    assert source.owner(start, start + len(text)) == owner


def test_header_lines_of_a_compound_statement():
    source = Source("m.py", b"if (a and\n        b):\n    c()\nelse:\n    d()\n")
    assert list(source.lines_of(source.tree.body[0])) == [1, 2]


def test_header_expressions_leave_the_body_and_format_strings_alone():
    source = Source("m.py", b"while a < b:\n    c = f'{d}'\n")
    loop = source.tree.body[0]
    assert [source.text(n) for n in source.expressions(loop)] == ["a < b", "a", "b"]
    texts = [source.text(n) for n in source.expressions(source.statements[1])]
    assert texts == ["c", "f'{d}'"]


@pytest.mark.parametrize(("data", "error"), [(b"def (", SyntaxError), (b"x = '\xff'", UnicodeDecodeError)])
def test_what_cannot_be_read_is_refused(data, error):
    with pytest.raises(error):
        Source("m.py", data)
