"""Facts: stated, closed, believed and valid in time, saved and loaded."""

import msgspec
import numpy as np
import pytest

from clew.context.damage import Damaged
from clew.context.graph.facts import Facts
from clew.context.graph.walk import When, around


def told(facts, entity, **when):
    return [(f.subject, f.relation, f.object) for f in around(facts, entity, When(**when))]


def test_what_a_document_no_longer_states_is_closed(version):
    facts = Facts()
    facts.apply([version(1, "hr", ("Ann", "leads", "search"), ("Ann", "sits in", "Oslo"))])
    facts.apply([version(2, "hr", ("Ben", "leads", "search"), ("Ann", "sits in", "Oslo"), version=2)])
    assert told(facts, "search") == [("Ben", "leads", "search")]
    assert told(facts, "search", known_at=15) == [("Ann", "leads", "search")]  # what was believed then
    assert told(facts, "Oslo") == [("Ann", "sits in", "Oslo")]
    closed = around(facts, "search", When(known_at=15))[0]
    assert (closed.since, closed.until, closed.document) == (10, 20, "hr")
    assert facts.stats() == {"entities": 4, "facts": 2, "closed": 1}


def test_a_removed_document_states_nothing(version):
    facts = Facts()
    facts.apply([version(1, "a", ("x", "is", "y")), version(2, "a", deleted=True, version=2)])
    assert told(facts, "x") == []
    assert told(facts, "x", known_at=10) == [("x", "is", "y")]


def test_two_documents_may_state_the_same(version):
    facts = Facts()
    facts.apply([version(1, "a", ("x", "is", "y")), version(2, "b", ("x", "is", "y")), version(3, "a", version=2)])
    assert [f.document for f in around(facts, "x")] == ["b"]


def test_what_a_document_once_stated_is_not_gone_through_again(version, monkeypatch):
    facts = Facts()
    facts.apply([version(1, "a", ("x", "is", "1")), version(2, "a", ("x", "is", "2"), ("x", "has", "y"), version=2)])
    monkeypatch.setattr(Facts, "places", lambda *_: pytest.fail("it is known what it states now"))
    facts.apply([version(3, "a", ("x", "is", "3"), ("x", "has", "y"), version=3), version(4, "b", ("x", "is", "1"))])
    monkeypatch.undo()
    assert told(facts, "x") == [("x", "has", "y"), ("x", "is", "3"), ("x", "is", "1")]
    assert facts.stats()["closed"] == 2


def test_facts_hold_in_their_time(version):
    facts = Facts()
    facts.apply([version(1, "a", ("Ann", "works at", "Acme", 1.0, 100, 200), ("Ann", "works at", "Bolt", 1.0, 200))])
    assert told(facts, "Ann", valid_at=150) == [("Ann", "works at", "Acme")]
    assert told(facts, "Ann", valid_at=200) == [("Ann", "works at", "Bolt")]
    assert len(told(facts, "Ann")) == 2


def test_entities_are_the_same_whatever_their_case_and_spacing(version):
    facts = Facts()
    facts.apply([version(1, "a", ("New  York", "is in", "USA")), version(2, "b", ("new york", "has", "Brooklyn"))])
    assert len(told(facts, "NEW YORK")) == 2


def test_a_fact_that_is_stated_twice_in_one_document_is_one(version):
    facts = Facts()
    facts.apply([version(1, "a", ("x", "is", "y"), ("X", "is", "y"))])
    assert len(facts) == 1


def test_saved_loaded_and_gone_on(version, tmp_path):
    facts = Facts()
    facts.apply([version(i, f"d{i}", (f"e{i}", "next", f"e{i + 1}", 0.5)) for i in range(1, 200)])
    facts.save(tmp_path / "g")
    loaded = Facts.load(tmp_path / "g")
    assert around(loaded, "e7") == around(facts, "e7")
    for one in (facts, loaded):
        one.apply([version(300, "d7", ("e7", "is", "last"), version=2)])
    assert told(loaded, "e7") == told(facts, "e7") == [("e6", "next", "e7"), ("e7", "is", "last")]
    Facts().save(tmp_path / "none")
    assert len(Facts.load(tmp_path / "none")) == 0


def test_who_read_it_is_known_and_may_change(version, tmp_path):
    facts = Facts()
    one = version(1, "d", ("x", "is", "y", 0.5))
    read = msgspec.structs.replace(one.relations[0], by="clerk", confidence=0.75)
    for again in (one, msgspec.structs.replace(one, n=2, version=2, at=20, relations=(read,))):
        facts.apply([again])
    facts.save(tmp_path / "g")
    (fact,) = around(Facts.load(tmp_path / "g"), "x")
    assert (fact.by, fact.confidence, fact.since, fact.until) == ("clerk", 0.75, 10, None)


@pytest.mark.parametrize("harm", ["names", "column", "kind", "bounds"])
def test_damage_is_noticed(version, tmp_path, harm):
    facts = Facts()
    facts.apply([version(1, "a", ("x", "is", "y"))])
    facts.save(tmp_path / "g")
    if harm == "names":
        (tmp_path / "g" / "names.msgpack").write_bytes(b"\x91\x90")
    elif harm == "column":
        (tmp_path / "g" / "since.npy").unlink()
    elif harm == "kind":
        np.save(tmp_path / "g" / "since.npy", np.zeros(1, dtype=np.int32))
    else:
        np.save(tmp_path / "g" / "object.npy", np.array([7], dtype=np.int32))
    with pytest.raises(Damaged):
        Facts.load(tmp_path / "g")
