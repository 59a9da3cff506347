"""``clew query``: what is found, and nothing that a document says steers the terminal or shows a secret."""

import pytest
from msgspec import yaml

from clew.service.remembered import SearchAnswer
from clew.testing import one_node, write_project

G = ("--scope", "global")


@pytest.fixture
def kept(cli):
    assert cli("context", "add", "pump", "--text", "The pump leaks.", "--meta", "n=1", *G).code == 0
    return cli


def test_found_for_people_and_for_scripts(kept):
    shown = kept("query", "--text", "pump", *G)
    assert shown.out.splitlines() == [" 1  pump   1.0000", "    The pump leaks."]
    answer = kept("query", "--text", "pump", "--json", *G).document(SearchAnswer)
    assert (answer.hits[0].doc_id, answer.hits[0].metadata) == ("pump", {"n": 1})
    assert answer.explain["lists"]["sparse"]["found"] == 1


def test_what_is_looked_for_is_words_or_a_text(kept):
    def query(*args):
        return kept(args[0], "--json", *G, *args[1:]).json()["hits"]

    found = query("query", "--text", "leaking pump")
    assert found
    for words in (
        ("query", "leaking pump"),
        ("query", "leaking", "--k", 10, "pump"),
        ("query", "--", "leaking", "pump"),
    ):
        assert query(*words) == found
    assert kept("context", "search", "leaking", "pump", "--json", *G).json()["hits"] == found
    twice = kept("query", "pump", "--text", "oven", *G)
    assert (twice.code, twice.err.splitlines()[0]) == (2, "error: what is looked for: 'pump' or --text 'oven'?")
    for empty in (("query", ""), ("query", "pump", "--text", ""), ("context", "search", " ")):
        assert kept(*empty, *G).code == 2


def test_nothing_found_is_no_error(kept):
    nothing = kept("query", "--text", "pump", "--filter-kv", "n=2", *G)
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "nothing was found: the filter leaves no document\n")
    assert kept("query", "--text", "pump", "--filter-kv", "n=2", "--json", *G).json()["hits"] == []


def test_a_filter_that_can_match_nothing_says_why(kept):
    nothing = kept("query", "--text", "pump", "--filter-json", '{"typ": "text", "n": 1}', *G)
    assert nothing.err == "nothing was found: the filter leaves no document, and none has 'typ'\n"
    null = kept("query", "--text", "pump", "--filter-json", "null", *G)
    assert (null.code, null.err.splitlines()[0]) == (2, "error: --filter-json is null, which filters nothing")


def test_both_kinds_of_filter_hold(kept):
    def hits(*flags):
        return kept("query", "--text", "pump", *flags, "--json", *G).json()["hits"]

    assert hits("--filter-kv", "n=1", "--filter-json", '{"term": {"n": 1}}')
    assert not hits("--filter-kv", "n=1", "--filter-json", '{"term": {"n": 2}}')


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--text", ""), "what is looked for?"),
        (("--text", " \n"), "what is looked for?"),
        (("--text", "x", "--k", "0"), "k is 0"),
        (("--text", "x", "--k", str(2**70)), "k is 1180591620717411303424"),
        (("--text", "x", "--k", "many"), "many"),
        (("--text", "x", "--dense-weight", "-1"), "dense_weight is -1.0"),
        (("--text", "x", "--sparse-weight", "nan"), "sparse_weight is nan"),
        (("--text", "x", "--rerank-factor", "0"), "rerank_factor is 0"),
        (("--text", "x", "--mode", "auto!"), "auto!"),
        (("--text", "x", "--filter-json", "[" * 1000), "--filter-json"),
        (("--text", "x", "--filter-json", '{"op": "not", "args": [' * 50 + "{}" + "]}" * 50), "32 levels"),
        (("--text", "x", "--filter-json", '{"term": {"n": NaN}}'), "--filter-json"),
        (("--text", "x", "--filter-kv", "=1"), "=1"),
    ],
)
def test_what_makes_no_sense_is_said(kept, flags, said):
    answer = kept("query", *flags, *G)
    assert answer.code == 2
    assert said in answer.err
    assert "inside Clew" not in answer.err


def test_an_error_is_one_document_for_scripts(kept):
    error = kept("query", "--text", "x", "--k", "0", "--json", *G).json()["error"]
    assert error["code"] == "usage"


def test_a_document_does_not_steer_the_terminal(cli):
    evil = "pump \x1b[2J\x1b]0;owned\x07 \u202e leaks"
    assert cli("context", "add", "id\x1b[31m", "--text", evil, *G).code == 0
    for command in (
        ("query", "--text", "pump"),
        ("context", "get", "id\x1b[31m"),
        ("context", "history", "id\x1b[31m"),
    ):
        answer = cli(*command, *G)
        assert answer.code == 0
        for steering in ("\x1b", "\x07", "\u202e"):
            assert steering not in answer.out + answer.err


def test_markup_is_text(cli):
    cli("context", "add", "[bold]x[/bold]", "--text", "pump [red]leaks[/red] [/nope]", *G)
    shown = cli("query", "--text", "pump", *G).out
    assert "[bold]x[/bold]" in shown
    assert "[red]leaks[/red] [/nope]" in shown


def test_credentials_are_not_shown(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("PUMP_KEY", "hunter2-of-the-pump")
    auth = {"type": "api_key", "source": "env", "env_var": "PUMP_KEY"}
    manifest = yaml.decode(one_node("demo", "handlers:work")) | {
        "provider_credentials": [{"id": "c", "provider": "openai", "auth": auth}]
    }
    project = write_project(tmp_path / "demo", manifest, "def work(input, ctx):\n    return input\n")
    where = ("--project", project)
    cli("context", "add", "a", "--text", "The pump: hunter2-of-the-pump", *where)
    for flags in ((), ("--json",)):
        for command in (("query", "--text", "pump"), ("context", "get", "a"), ("context", "history", "a")):
            answer = cli(*command, *flags, *where)
            assert "[redacted]" in answer.out
            assert "hunter2" not in answer.out + answer.err


def test_a_project_says_how_it_is_searched(cli, tmp_path):
    manifest = yaml.decode(one_node("demo", "handlers:work")) | {"memory": {"search": {"k": 1, "fusion": "MAX_SCORE"}}}
    project = write_project(tmp_path / "demo", manifest, "def work(input, ctx):\n    return input\n")
    where = ("--project", project)
    for name in ("a", "b"):
        cli("context", "add", name, "--text", "pump", *where)
    answer = cli("query", "pump", "--json", *where).document(SearchAnswer)
    assert (len(answer.hits), answer.explain["fusion"]) == (1, "MAX_SCORE")
    named = cli("query", "pump", "--k", 2, "--fusion", "RECIPROCAL_RANK", "--json", *where).document(SearchAnswer)
    assert (len(named.hits), named.explain["fusion"]) == (2, "RECIPROCAL_RANK")
