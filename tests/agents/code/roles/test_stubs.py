"""Functions that are to be written: where they stand, what their examples say, how they get into the file."""

import ast

import pytest

from clew.agents.code.roles.stubs import stub_in, written
from clew.core.errors import Failure

DOUBLE = '''\
def double(n: int, times: int = 2) -> int:
    r"""Twice "it" \\ as much as 17.

    >>> double(2)
    4
    >>> double(3, times=3)
    9
    >>> double(x)
    7
    >>> double(2) + 1
    5
    """
    ...
'''


def test_examples():
    stub = stub_in(DOUBLE, "")
    assert (stub.name, stub.parameters) == ("double", ["n", "times"])
    assert stub.rows == [["2", "2"], ["3", "3"]]
    assert stub.wants == ["4", "9"]
    assert "17" in stub.constants
    assert "'it'" in stub.constants


@pytest.mark.parametrize(
    "text",
    [DOUBLE, f"Please add:\n\n```python\n{DOUBLE}```\nThank you.", f"Add this.\n{DOUBLE}", f"import math\n\n{DOUBLE}"],
)
def test_where_it_may_be_given(text):
    assert stub_in(text, "").name == "double"


def test_a_stub_of_the_file():
    file = f"X = 1\n\n\n{DOUBLE}\n\ndef other():\n    return 2\n"
    assert stub_in("implement double", file).name == "double"
    after = written(stub_in("", file), "n * times", file)
    assert after.startswith("X = 1\n\n\ndef double(n: int, times: int=2)")
    assert "    return n * times\n\n\ndef other():" in after
    assert ast.get_docstring(ast.parse(after).body[1]) == ast.get_docstring(ast.parse(DOUBLE).body[0])


@pytest.mark.parametrize(
    ("text", "file", "why"),
    [
        ("make it faster", "", "no function"),
        ("make it faster", "def f():\n    return 1\n", "no function"),
        ("def f(x):\n    return x\n", "", "has a body"),
        ("def f(x):\n    '''\n    >>> f(1)\n    2\n    '''\n", "", "1 examples"),
        ("def f(*x):\n    '''No.'''\n", "", "any number"),
        ("def f(x): ...\ndef g(x): ...\n", "", "several"),
        ("def f(x:\n", "not python (", "no function"),
    ],
)
def test_what_is_missing(text, file, why):
    with pytest.raises(Failure, match=why) as failed:
        stub_in(text, file)
    assert failed.value.code == "offline_cannot"


def test_where_it_goes():
    stub = stub_in(f"import math\nfrom typing import List\n\n{DOUBLE}", "")
    assert written(stub, "n", None).startswith("import math\nfrom typing import List\n\n\ndef double(")
    file = '"""Doc."""\nimport math\n\n\ndef main():\n    pass\n\n\nif __name__ == "__main__":\n    main()\n'
    after = written(stub, "(n) * (times)", file)
    assert after.startswith('"""Doc."""\nimport math\nfrom typing import List\n')
    assert after.endswith('    return n * times\n\n\nif __name__ == "__main__":\n    main()\n')
    with pytest.raises(Failure) as failed:
        written(stub, "n", "def double():\n    return 1\n")
    assert failed.value.code == "exists"
