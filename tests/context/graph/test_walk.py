"""Walks: entities in a text, documents near them, paths."""

import json
import time
from pathlib import Path

import pytest

from clew.context.graph import walk
from clew.context.graph.extract import extract
from clew.context.graph.facts import Facts
from clew.context.graph.walk import NOW, When, closed, named, near, paths
from clew.gate.ports.context import Put, Query, SearchConfig


@pytest.fixture
def facts(version):
    made = Facts()
    made.apply(
        [
            version(1, "team", ("Ann Lee", "leads", "search")),
            version(2, "service", ("search", "uses", "index-db", 0.5)),
            version(3, "host", ("index-db", "runs on", "node 7")),
            version(4, "other", ("billing", "uses", "ledger")),
        ]
    )
    return made


def test_a_text_names_entities_by_the_longest_match(facts, version):
    facts.apply([version(5, "x", ("search index", "is", "large"))])
    found = [facts.entities.names[one] for one in named(facts, "Is the search index of ann lee (node 7) up? Search!")]
    assert found == ["search index", "Ann Lee", "node 7", "search"]
    assert named(facts, "") == named(facts, "nothing known here") == []


def test_documents_over_two_hops(facts):
    found = near(facts, "where does Ann Lee's search live: Ann Lee", 10)
    assert [name for name, _ in found[:2]] == ["team", "service"]
    assert "other" not in dict(found)
    found = dict(near(facts, "Ann Lee", 10))
    assert found["team"] > found["service"] > 0
    assert "host" not in found  # three hops away
    assert near(Facts(), "Ann Lee", 3) == []


def test_facts_that_are_stated_no_more(facts, version):
    assert closed(facts, "search") == closed(facts, "nobody") == []
    facts.apply([version(5, "team", ("Ann Lee", "advises", "search")), version(6, "service", deleted=True)])
    assert closed(facts, "Search") == [50, 60]
    assert closed(facts, "ann lee") == [50]


def test_documents_that_are_known_lead_on(facts):
    """The text names nothing, but a document that it finds does."""
    assert near(facts, "where is it?", 10) == []
    found = dict(near(facts, "where is it?", 10, seeds=["team"]))
    assert found["service"] > found["host"] > 0
    assert "other" not in found
    assert near(facts, "where is it?", 10, seeds=["unknown"]) == []
    first, second = near(facts, "", 10, seeds=["other", "host"]), near(facts, "", 10, seeds=["host", "other"])
    assert dict(first)["service"] < dict(second)["service"]  # the better seed counts for more


def test_a_seed_counts_by_its_place_whatever_is_known_of_the_others(facts, version):
    found = near(facts, "", 10, seeds=["another", "team"])
    facts.apply([version(5, "another", ("x", "is", "y")), version(6, "another", version=2)])
    assert near(facts, "", 10, seeds=["another", "team"]) == found != []


def test_documents_that_may_not_be_found_are_walked_over(facts):
    found = dict(near(facts, "Ann Lee", 1, allowed=lambda name: name == "service"))
    assert [*found] == ["service"]


def test_questions_over_several_documents(collection):
    """With the graph, more questions have all the documents that they need among the first ten."""
    told = json.loads((Path(__file__).parent.parent / "data" / "multihop.json").read_text())
    collection.write(
        [Put(id=name, text=text, relations=extract(name, text)) for name, text in told["documents"].items()]
    )

    def answered(**config):
        count = 0
        for one in told["questions"]:
            query, config_ = Query(text=one["question"]), SearchConfig(k=10, deterministic=True, **config)
            count += {*one["needs"]} <= {hit.doc_id for hit in collection.search(query, config_).hits}
        return count

    flat = max(answered(), answered(sparse_weight=0.0), answered(dense_weight=0.0))
    assert len(told["questions"]) == 15
    assert answered(graph_weight=0.5) >= flat + 4


def test_a_path_answers_by_what_it_goes_through(collection):
    told = json.loads((Path(__file__).parent.parent / "data" / "multihop.json").read_text())["documents"]
    collection.write([Put(id=name, text=text, relations=extract(name, text)) for name, text in told.items()])
    with collection.facts() as facts:
        (path, *_) = paths(facts, "Tallow", "Northgate Hosting", hops=6)
    assert [fact.document for fact in path.facts[::2]] == ["wiki/tallow", "wiki/quillfeed", "wiki/marl"]


def test_ties_are_kept_whole(version):
    facts = Facts()
    facts.apply([version(i, f"d{i}", ("hub", "has", f"leaf{i}")) for i in range(1, 6)])
    assert [name for name, _ in near(facts, "hub", 2)] == [f"d{i}" for i in range(1, 6)]


def test_paths_between_entities(facts):
    (path,) = paths(facts, "ann lee", "Node 7")
    assert path.entities == ("Ann Lee", "search", "index-db", "node 7")
    assert [fact.document for fact in path.facts] == ["team", "service", "host"]
    assert path.confidence == 0.5
    assert paths(facts, "ann lee", "node 7", hops=2) == []
    assert paths(facts, "ann lee", "nobody") == paths(facts, "nobody") == []


def test_what_can_be_reached(facts):
    assert [p.entities[-1] for p in paths(facts, "node 7")] == ["index-db", "search", "Ann Lee"]
    assert len(paths(facts, "node 7", limit=1)) == 1


def test_a_walk_never_turns_in_circles(version):
    facts = Facts()
    facts.apply([version(1, "a", ("x", "to", "y"), ("y", "to", "z"), ("z", "to", "x"))])
    assert {p.entities for p in paths(facts, "x", hops=6)} == {
        ("x", "y"), ("x", "z"), ("x", "y", "z"), ("x", "z", "y"),
    }  # fmt: skip


def test_walks_keep_to_a_time(facts, version):
    facts.apply([version(9, "service", ("search", "uses", "other-db"), version=2)])
    assert paths(facts, "search", "index-db", when=NOW) == []
    assert len(paths(facts, "search", "index-db", when=When(known_at=30))) == 1


def test_walks_end_when_their_steps_are_used_up(version, monkeypatch):
    facts, looked = Facts(), []
    facts.apply(
        [version(1, "d", *((f"e{i}", "to", f"e{j}") for i in range(12) for j in range(i)), ("far", "to", "off"))]
    )
    edges = walk._edges
    monkeypatch.setattr(
        walk, "_edges", lambda facts, entity, when: (looked.append(entity), edges(facts, entity, when))[1]
    )
    monkeypatch.setattr(walk, "_MOST_STEPS", 50)
    assert paths(facts, "e0", "far", hops=6) == []
    assert len(looked) == 5
    assert paths(facts, "e0", "e7")[0].entities == ("e0", "e7"), "what was come to is told all the same"


@pytest.mark.parametrize("text", ["." * 50_000, "a" + "./" * 25_000, "a." * 20_000 + " Ann Lee"])
def test_long_texts_without_words_do_not_hold_it_up(facts, text):
    began = time.process_time()
    assert [facts.entities.names[one] for one in named(facts, text)] == (["Ann Lee"] if "Ann" in text else [])
    assert time.process_time() - began < 5
