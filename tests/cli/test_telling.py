"""How commands of memory answer."""

import pytest
from rich.text import Text

from clew.cli.session import Session
from clew.cli.telling import answer, line, listed, table


@pytest.fixture
def session():
    return Session()


@pytest.mark.parametrize("out", [True, False])
def test_a_result_is_printed_and_a_word_is_said(session, capsys, out):
    assert answer(session, {"n": 1}, "said", out=out) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err)[:: 1 if out else -1] == ("said\n", "")
    session.json = True
    answer(session, {"n": 1}, "said", out=out)
    assert capsys.readouterr() == ('{\n  "n": 1\n}\n', "")


def test_a_table_or_that_there_is_none(session, capsys):
    found = table("a", "b")
    assert listed(session, {"n": 1}, found) == 0
    assert capsys.readouterr() == ("", "there is none\n")
    found.add_row("1", Text("[x]"))
    listed(session, {"n": 1}, found)
    assert [row.split() for row in capsys.readouterr().out.splitlines()] == [["a", "b"], ["1", "[x]"]]
    session.json = True
    listed(session, {"n": 1}, found)
    assert capsys.readouterr().out == '{\n  "n": 1\n}\n'


def test_a_text_on_one_line():
    assert line(" a\n\tb\x1b ") == r"a b\x1b"
    assert (line("x" * 60), line("x" * 61)) == ("x" * 60, "x" * 59 + "…")
