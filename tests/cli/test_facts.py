"""``clew context graph``: facts, walks, and times."""

import json

import pytest

from clew.cli.facts import moment
from clew.core.errors import UsageError
from clew.service.remembered import GraphAnswer

G = ("--scope", "global")
D2019, D2021, D2990 = (moment(year, "") for year in ("2019", "2021", "2990"))
LINES = (
    {"subject": "Ann Lee", "relation": "leads", "object": "Core", "valid_from": D2019, "valid_to": D2021},
    {"subject": "Bob Ray", "relation": "leads", "object": "Core", "valid_from": D2021 + 1500, "confidence": 0.5},
    {"subject": "Cyd", "relation": "leads", "object": "Core", "valid_from": D2990},
    {"subject": "Dee", "relation": "led", "object": "Core", "valid_to": -(2**61)},
    {"subject": "Core", "relation": "runs on", "object": "node-7"},
)


@pytest.fixture
def stated(cli, tmp_path):
    (tmp_path / "facts.jsonl").write_text(json.dumps({"id": "team", "text": "Who led.", "relations": LINES}))
    assert cli("context", "import", "facts.jsonl", *G).code == 0
    return cli


def test_the_graph_of_plain_texts(cli):
    cli("context", "add", "team", "--text", "Ann Lee leads Search Core.", *G)
    cli("context", "add", "host", "--text", "Search Core runs on node-7.", *G)
    facts = cli("context", "graph", "Ann Lee", *G, "--json").document(GraphAnswer).facts
    assert ("leads", "Search Core") in {(one.relation, one.object) for one in facts}
    walks = cli("context", "graph", "Ann Lee", "--to", "node-7", *G)
    assert walks.out.splitlines()[0].startswith("Ann Lee  -leads-> Search Core  -runs on-> node-7")
    assert cli("context", "graph", "Ann Lee", "--to", "oven", *G).code == 2


def test_times_and_confidence_are_told(stated):
    assert stated("context", "graph", "Core", *G).out.splitlines() == [
        "Ann Lee  leads  Core   [team, 2019-01-01 to 2021-01-01, over]",
        "Bob Ray  leads  Core   [team, since 2021-01-01 00:00:01 UTC, confidence 0.5]",
        "Cyd  leads  Core   [team, since 2990-01-01, not yet]",
        f"Dee  led  Core   [team, until {-(2**61):,} ms, over]",
        "Core  runs on  node-7   [team]",
    ]
    assert stated("context", "graph", "Bob Ray", "--to", "node-7", *G).out == (
        "Bob Ray  -leads, since 2021-01-01 00:00:01 UTC-> Core  -runs on-> node-7   [team, team, confidence 0.5]\n"
    )


@pytest.mark.parametrize(
    ("at", "who"),
    [("2020", "Ann Lee"), ("2019-05", "Ann Lee"), ("2024-05-01", "Bob Ray"), ("2024-05-01T12:30+02:00", "Bob Ray"),
     (str(D2019), "Ann Lee"), ("2991", "Cyd")],
)  # fmt: skip
def test_what_holds_then(stated, at, who):
    told = stated("context", "graph", "Core", "--valid-at", at, *G).out
    assert f"{who}  leads" in told
    assert "over" not in told
    assert "not yet" not in told


def test_what_was_known_then(stated):
    stated("context", "remove", "team", *G)
    told = stated("context", "graph", "Core", *G).out
    assert told.startswith("nothing is stated of it now; 5 facts were, the last until 20")
    assert told.endswith(" UTC: --known-at shows them\n")
    answer = stated("context", "graph", "Core", "--json", *G).document(GraphAnswer)
    assert (answer.facts, answer.closed) == ([], 5)
    before = stated("context", "graph", "Core", "--known-at", answer.closed_at - 1, *G).out
    assert before.splitlines()[-1].startswith("Core  runs on  node-7   [team, stated until 20")
    assert stated("context", "graph", "Core", "--known-at", "1999", *G).out == "nothing is known of it for that time\n"


def test_how_far_was_looked(cli, tmp_path):
    chain = [{"subject": f"n{n}", "relation": "leads", "object": f"n{n + 1}", "confidence": 0.5} for n in range(8)]
    (tmp_path / "chain.jsonl").write_text(json.dumps({"id": "chain", "relations": chain}))
    cli("context", "import", "chain.jsonl", *G)
    told = cli("context", "graph", "n0", "--to", "n4", *G).out
    assert told == "nothing leads there in 3 facts or less: --hops 4 looks further\n"
    found = cli("context", "graph", "n0", "--to", "n4", "--hops", 4, *G).out
    assert found.endswith("-leads-> n4   [chain, chain, chain, chain, confidence 0.0625]\n")
    told = cli("context", "graph", "n0", "--to", "n8", "--hops", 6, *G).out
    assert told == "nothing leads there in 6 facts or less, and that is the most\n"


def test_moments():
    assert moment(None, "--valid-at") is None
    assert moment("1970-01-02", "") == moment("86400000", "") == 86_400_000
    assert (moment("1970", ""), moment("-5", ""), moment("7", "")) == (0, -5, 7)
    for text in ("", "soon", "2024-13", "9" * 19, "9" * 5000, "٣٣٣", "-", "2024-5-1", "\x00"):
        with pytest.raises(UsageError, match=r"--valid-at .* is no time"):
            moment(text, "--valid-at")
