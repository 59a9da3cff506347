"""Cutting: nothing is lost, nothing is too long, and a piece says where it stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.context import tokens
from clew.context.graph import extract
from clew.context.ingest import pieces
from clew.context.ingest.pieces import MOST


def bare(text):
    return "".join(text.split())


def test_markdown_is_cut_at_headings():
    text = "intro\n\n# One\na\n\n## Two\nb\n\n```\n# no heading\n```\n\n# Three\nc\n"
    found = list(pieces.markdown(text))
    assert [(p.title, p.line) for p in found] == [("", 1), ("One", 3), ("One > Two", 6), ("Three", 13)]
    assert found[2].text.endswith("# no heading\n```")


def test_a_heading_may_skip_levels():
    assert [p.title for p in pieces.markdown("### Deep\nx\n# Top\ny\n## Sub\nz")] == ["Deep", "Top", "Top > Sub"]


def test_python_is_cut_at_definitions():
    text = "import os\n\nX = 1\n\n@decorated\ndef one():\n    pass\n\n\nclass Two:\n    def go(self):\n        pass\n\n\nY = 2\n"
    assert [(p.title, p.line) for p in pieces.python(text)] == [("", 1), ("one", 5), ("Two", 10), ("", 15)]


def test_a_long_class_is_cut_at_its_methods():
    methods = "".join(f"    def m{i}(self):\n        return {'x + ' * 100}1\n\n" for i in range(3))
    assert [p.title for p in pieces.python(f"class Big:\n{methods}")] == ["Big", "Big.m0", "Big.m1", "Big.m2"]


def test_python_that_does_not_parse_is_text():
    assert [p.text for p in pieces.python("def (:\n\nmore")] == ["def (:\n\nmore"]


def test_rows_are_told_by_their_columns():
    found = list(pieces.table(["name", "age"], iter([["Ann", "7"], ["Ben", ""]])))
    assert found[0].text == "name: Ann; age: 7\nname: Ben"
    assert found[0].title == "rows 2-3"
    many = list(pieces.table(["v"], iter([["word " * 150]] * 5)))
    assert [p.title for p in many] == ["rows 2-3", "rows 4-5", "rows 6-6"]
    assert list(pieces.table([], iter([]))) == []


def test_a_row_loses_nothing():
    long = ("word " * 1000 + "\n") * 3 + "zebraend"
    found = list(pieces.table(["a", "b"], [["1", "2", "extra"], [], ["x", long], ["", "y"]]))
    assert [found[0].text, found[0].title] == ["a: 1; b: 2; extra", "rows 2-2"]
    assert bare("".join(p.text for p in found[1:])) == bare(f"a: x; b: {long}b: y")
    assert all(tokens.count(p.text) <= MOST + 2 for p in found)
    assert [p.title for p in found[1:-1]] == ["rows 4-4"] * (len(found) - 2)
    assert (found[-1].title, found[-1].line) == ("rows 4-5", 4)


def test_a_header_without_rows_is_told():
    assert [(p.text, p.title) for p in pieces.table(["a", "", "b"], iter([[], [""]]))] == [("a; b", "row 1")]


@given(
    st.lists(st.text(alphabet="ab \n,語", max_size=20)),
    st.lists(st.lists(st.text(alphabet="cd \n", max_size=2000), max_size=4)),
)
def test_no_value_of_a_table_is_lost(header, rows):
    told = "".join(bare(p.text) for p in pieces.table(header, rows))
    assert all(bare(value) in told for row in rows for value in row)


@pytest.mark.parametrize("cut", [pieces.markdown, pieces.python, pieces.plain])
@given(text=st.text(alphabet="ab #\n`_(:.", max_size=300) | st.text(max_size=200))
def test_nothing_is_lost(cut, text):
    found = list(cut(text))
    assert bare("".join(p.text for p in found)) == bare(text)
    assert all(p.line >= 1 for p in found)


@pytest.mark.parametrize("text", ["word " * 3000, "x" * 20_000, "a\n" * 5000, "語" * 3000, "one\n\n" * 2000])
def test_no_piece_is_too_long(text):
    found = list(pieces.plain(text))
    assert bare("".join(p.text for p in found)) == bare(text)
    assert all(tokens.count(p.text) <= MOST + 2 for p in found)
    assert len(found) > 1


def test_headings_are_headings():
    told = "# A #\nx\n## \ny\n#B\n### C##  \nz\n# " + "long" * 100
    assert [one.title for one in pieces.markdown(told)] == ["A", "A > C"]


def test_a_line_of_blanks_is_no_work():
    assert [*pieces.markdown("#" + " " * 200_000 + "a" * 301)]


def test_python_that_is_too_long_to_be_parsed_is_text(monkeypatch):
    monkeypatch.setattr(extract, "_MOST_PARSED", 20)
    assert [one.title for one in pieces.python("def f():\n    pass\n")] == ["f"]
    assert [one.title for one in pieces.python("def long_name():\n    pass\n")] == [""]
