"""``clew context list``, ``get``, ``history`` and ``remove``."""

import sys

import pytest

from clew.cli.documents import Changed, DocumentList, Documents
from clew.service.remembered import Document

G = ("--scope", "global")
LONG = "word " * 1000


@pytest.fixture
def kept(cli):
    for name, tag in (("a", "x"), ("b", "y"), ("c", "x")):
        assert cli("context", "add", name, "--text", f"text of {name}", "--meta", f'tags=["{tag}"]', *G).code == 0
    return cli


def names(cli, *flags):
    return [one.id for one in cli("context", "list", "--json", *flags, *G).document(DocumentList).documents]


def test_what_was_written_last_comes_first(kept):
    kept("context", "add", "a", "--text", "again", "--meta", "n=1", "--meta", "tags=x", *G)
    assert names(kept) == ["a", "c", "b"]
    head, first, *rest = kept("context", "list", *G).out.splitlines()
    assert head.split() == ["document", "version", "written", "metadata"]
    assert (first.split()[:2], first.split()[-1]) == (["a", "2"], '{"tags":"x","n":1}')
    assert len(rest) == 2


def test_a_list_is_bounded_and_says_so(kept):
    told = kept("context", "list", "--limit", 2, *G)
    assert (len(told.out.splitlines()), told.err) == (
        3, "there are older ones: --limit shows more, and filters narrow them down\n"
    )  # fmt: skip
    assert kept("context", "list", "--limit", 2, "--json", *G).document(DocumentList).more
    assert not kept("context", "list", "--limit", 3, "--json", *G).document(DocumentList).more
    assert kept("context", "list", "--limit", 0, *G).code == 2


def test_a_list_is_narrowed_by_a_filter(kept):
    assert names(kept, "--filter-kv", "tags=x") == ["c", "a"]
    assert names(kept, "--filter-json", '{"term": {"tags": "y"}}') == ["b"]
    assert names(kept, "--filter-kv", "tags=x", "--filter-json", '{"term": {"tags": "y"}}') == []
    assert kept("context", "list", "--filter-kv", "tags=z", *G).err == "there is none\n"
    assert "filter" in kept("context", "list", "--filter-json", '{"op": 1}', *G).err


def test_what_is_listed_does_not_steer_the_terminal(kept):
    kept("context", "add", "id\x1b[31m", "--text", "x", "--meta", "[red]\x1b=\u202e", *G)
    told = kept("context", "list", *G).out
    assert "[red]" in told
    assert "\x1b" not in told
    assert "\u202e" not in told


def test_an_old_version_is_read_whole_and_brought_back(cli):
    for text in (LONG, "short\n"):
        cli("context", "add", "long", *G, stdin=text)
    old = cli("context", "get", "long", "--version", 1, *G)
    assert old.out == LONG, "to the last character, where nobody reads it at a terminal"
    assert cli("context", "get", "long", "--version", 1, "--json", *G).document(Document).text == LONG
    new = cli("context", "get", "long", *G).out
    assert new == "short\n", "a text that ends with a line has no further one"
    assert cli("context", "add", "long", "--json", *G, stdin=new).document(Document).version == 2
    assert cli("context", "add", "long", "--json", *G, stdin=old.out).document(Document).text == LONG


@pytest.mark.parametrize(
    ("name", "number", "said"),
    [
        ("a", 2, "never had a version 2: the newest is 1"),
        ("b", 2, "is its removal"),
        ("d", 1, "never was"),
        ("a", 0, "0"),
    ],
)
def test_a_version_that_is_not_there(kept, name, number, said):
    kept("context", "remove", "b", *G)
    answer = kept("context", "get", name, "--version", number, *G)
    assert answer.code == 2
    assert said in answer.err


def test_documents_are_removed_by_a_filter_once_that_is_confirmed(kept):
    refused = kept("context", "remove", "--filter-kv", "tags=x", *G)
    assert refused.code == 2
    assert "the filter lets 2 documents of global through: say --yes to remove" in refused.err
    assert "clew context list with the same filter shows" in refused.err
    assert len(names(kept)) == 3
    assert kept("context", "remove", "--filter-kv", "tags=x", "--yes", "--json", *G).document(Changed).changed == 2
    assert names(kept) == ["b"]
    none = kept("context", "remove", "--filter-kv", "tags=x", *G)
    assert (none.code, none.err) == (0, "0 documents removed from global\n")
    assert [one.deleted for one in kept("context", "history", "a", "--json", *G).document(Documents).documents] == [
        False,
        True,
    ]


@pytest.mark.parametrize(
    "everything", ["{}", '{"op": "and", "args": []}', '{"op": "not", "args": [{"op": "or", "args": []}]}']
)
def test_a_filter_of_nothing_removes_nothing(kept, everything):
    refused = kept("context", "remove", "--filter-json", everything, "--yes", *G)
    assert (refused.code, refused.err.splitlines()[0]) == (
        2,
        "error: this filter names no field, so it leaves everything",
    )
    assert len(names(kept)) == 3


@pytest.mark.parametrize(("said", "left"), [("y\n", ["b"]), ("n\n", ["c", "b", "a"])])
def test_at_a_terminal_it_asks(kept, monkeypatch, said, left):
    class Terminal:
        """stdin of the test, as a terminal."""

        def __getattr__(self, name):
            return getattr(sys.stdin, name)

        def isatty(self):
            return True

    monkeypatch.setattr("clew.cli.documents.sys", type("System", (), {"stdin": Terminal()}))
    answer = kept("context", "remove", "--filter-kv", "tags=x", *G, stdin=said)
    assert "Remove 2 documents of global? [y/N]" in answer.err
    assert names(kept) == left


@pytest.mark.parametrize("args", [(), ("a", "--filter-kv", "tags=x"), ("a", "--filter-json", "{}", "--yes")])
def test_ids_or_a_filter(kept, args):
    answer = kept("context", "remove", *args, *G)
    assert (answer.code, "which documents?" in answer.err) == (2, True)
    assert len(names(kept)) == 3
