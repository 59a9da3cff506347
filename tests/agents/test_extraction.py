"""What of a model's answer is taken for what a text states."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.agents.extraction import MOST, SCHEMA, relations_of
from clew.core.errors import Failure
from clew.gate.ports.context import Relation
from clew.gate.schema import Validator

TEXT = "Ann Lee (A. Lee) has led Search-Core since May 2021. Search-Core runs on node-7."


def fact(source, relation, target, confidence=1.0, **times):
    return {"source": source, "relation": relation, "target": target, "confidence": confidence, **times}


def read(entities, *relations, text=TEXT):
    named = [one if isinstance(one, dict) else {"name": one} for one in entities]
    answer = {"entities": named, "relations": list(relations)}
    Validator(SCHEMA).check(answer, code="x", what="x")
    return relations_of("team", text, answer, "clerk")


def told(found):
    return [(one.subject, one.relation, one.object) for one in found]


def ms(*day):
    return round(datetime(*day, tzinfo=UTC).timestamp() * 1000)


def test_relations_and_mentions_say_who_read_them():
    found = read(
        ["Ann Lee", "Search-Core"],
        fact("ann  lee", " leads ", "search core", 0.9, valid_from="2021-05"),
        fact("Ann Lee", "leads", "Search-Core", 0.1),
    )
    assert found == (
        Relation(
            subject="Ann Lee",
            relation="leads",
            object="Search-Core",
            confidence=0.9,
            valid_from=ms(2021, 5, 1),
            by="clerk",
        ),
        Relation(subject="team", relation="mentions", object="Ann Lee", confidence=0.5, by="clerk"),
        Relation(subject="team", relation="mentions", object="Search-Core", confidence=0.5, by="clerk"),
    )


def test_other_names_lead_to_the_one():
    found = read(
        [{"name": "Ann Lee", "aliases": ["A. Lee", "Queen of Search"]}, "Search-Core", "A. Lee"],
        fact("A. Lee", "leads", "Search-Core"),
    )
    assert ("Ann Lee", "leads", "Search-Core") in told(found)
    assert ("Ann Lee", "is also called", "A. Lee") in told(found)
    assert "Queen" not in str(found)
    assert ("team", "mentions", "A. Lee") not in told(found)


def test_a_name_that_the_text_does_not_have_is_its_alias_that_it_has():
    found = read([{"name": "Professor Lee", "aliases": ["Ann Lee"]}, "node-7"], fact("Ann Lee", "owns", "node-7"))
    assert told(found)[0] == ("Ann Lee", "owns", "node-7")
    assert "Professor" not in str(found)


@pytest.mark.parametrize(
    "relation",
    [
        fact("Bob", "leads", "Search-Core"),
        fact("Search-Core", "leads", "Bob"),
        fact("Search-Core", "is", "search core"),
        fact("Ann Lee", " \n", "Search-Core"),
        fact("Ann Lee", "x" * 121, "Search-Core"),
    ],
)
def test_what_is_dropped(relation):
    found = read(["Ann Lee", "Search-Core", "Bob"], relation)
    assert {one.relation for one in found} == {"mentions"}


def test_an_answer_of_inventions_alone_is_refused_and_an_empty_one_is_not():
    with pytest.raises(Failure) as caught:
        read(["Bob", "Carol", "x" * 200], fact("Bob", "knows", "Carol"))
    assert caught.value.code == "bad_answer"
    assert read([]) == ()


@pytest.mark.parametrize(("given_", "kept"), [(1.0, 1.0), (95, 1.0), (-3, 0.0), (0.25, 0.25)])
def test_confidence_is_a_share(given_, kept):
    assert read(["Ann Lee", "node-7"], fact("Ann Lee", "owns", "node-7", given_))[0].confidence == kept


@pytest.mark.parametrize(
    ("begin", "end", "kept"),
    [
        ("2021", "2022-03-04", (ms(2021, 1, 1), ms(2022, 3, 4))),
        ("2021-05-06T07:08:09Z", None, (ms(2021, 5, 6, 7, 8, 9), None)),
        ("soon", " 2022 ", (None, ms(2022, 1, 1))),
        ("2022", "2021", (None, None)),
        ("0001-01-01T00:00:00+23:00", "９９９９", (ms(1, 1, 1) - 23 * 3_600_000, None)),
        ("", None, (None, None)),
    ],
)
def test_times(begin, end, kept):
    (one, *_) = read(["Ann Lee", "node-7"], fact("Ann Lee", "owns", "node-7", valid_from=begin, valid_to=end))
    assert (one.valid_from, one.valid_to) == kept


def test_what_is_written_on_several_lines_is_one_line():
    found = read([{"name": "Ann\x00\n Lee"}, {"name": "node-7\u202e"}], fact("Ann Lee", "runs\non", "node-7\u202e"))
    assert told(found)[0] == ("Ann Lee", "runs on", "node-7")


def test_there_are_bounds():
    names = [f"name{n}" for n in range(MOST + 50)]
    pairs = [fact(names[n], f"r{n}", names[n + 1]) for n in range(MOST + 20)]
    found = read(names, *pairs, text=" ".join(names))
    assert len(found) == MOST
    aliases = [f"name{n}" for n in range(1, 50)]
    found = read([{"name": "name0", "aliases": aliases}], text=" ".join(names))
    assert len(found) == 11


words = st.text(max_size=12)
entities = st.lists(st.fixed_dictionaries({"name": words, "aliases": st.lists(words, max_size=3)}), max_size=6)
relations = st.lists(
    st.fixed_dictionaries(
        {"source": words, "relation": words, "target": words, "confidence": st.floats(-9, 9), "valid_to": words}
    ),
    max_size=6,
)


@given(entities, relations)
def test_whatever_is_answered_what_is_taken_can_be_kept(named, stated):
    text = " ".join(one["name"] for one in named)
    found = ()
    with suppress(Failure):
        found = relations_of("d", text, {"entities": named, "relations": stated}, "a")
    assert len({(one.subject, one.relation, one.object) for one in found}) == len(found)
    for one in found:
        assert all(part.strip() and part.isprintable() for part in (one.subject, one.relation, one.object))
        assert one.subject != one.object
        assert 0 <= one.confidence <= 1
