"""The relations of a document that an agent was asked to read."""

import pytest

from clew.context.graph.extract import MOST, extract
from clew.context.graph.reading import restated, stated, stays, told
from clew.gate.ports.context import Extracted, Relation, Version

TEXT = "Ann leads Search Core, see [the plan](plan.md)."
READ = Relation(subject="Ann", relation="runs", object="Search Core", by="clerk")
LINK = Relation(subject="d", relation="links to", object="plan.md")


def test_what_is_certain_by_rules_stays_beside_what_was_read():
    found = stated("d", TEXT, Extracted(id="d", by="clerk", relations=(READ,)))
    assert found == (LINK, READ)
    again = Extracted(id="d", by="clerk", relations=(Relation(subject="d", relation="links to", object="plan.md"),))
    assert stated("d", TEXT, again) == again.relations
    many = Extracted(id="d", by="clerk", relations=(READ,) * MOST)
    assert len(stated("d", TEXT, many)) == MOST


def test_rules_are_enough_where_nothing_was_read():
    assert stated("d", TEXT, None) == stated("d", TEXT, Extracted(id="d", by="clerk", why="no")) == extract("d", TEXT)


@pytest.mark.parametrize(
    ("why", "text", "relations", "expected"),
    [
        ("no", TEXT, (READ,), True),
        ("", TEXT, (READ,), False),
        ("no", "other", (READ,), False),
        ("no", TEXT, (LINK,), False),
    ],
)
def test_what_was_read_of_the_same_text_stays_where_nobody_can_be_asked(why, text, relations, expected):
    live = Version(n=1, id="d", version=1, text=text, relations=relations)
    assert stays(live, TEXT, Extracted(id="d", by="clerk", why=why)) is expected
    assert not stays(None, TEXT, Extracted(id="d", by="clerk", why=why))
    elsewhere = live.text == TEXT and live.relations != extract("d", TEXT)
    assert stays(live, TEXT, None) is elsewhere


def test_what_was_read_stays_in_a_text_that_was_made_of_it():
    ruled = Version(n=1, id="d", version=1, text=TEXT, relations=extract("d", TEXT))
    assert (
        restated(ruled, "d", "Bob leads Core.")
        == restated(None, "d", "Bob leads Core.")
        == extract("d", "Bob leads Core.")
    )
    read = Version(n=1, id="d", version=1, text=TEXT, relations=(READ,))
    assert restated(read, "d", "Bob leads Core.") == (READ,)


def test_what_an_import_read_in_a_file_is_read_anew_in_its_name():
    piece = {"path": "docs/team.md", "part": 0}
    before = "# Team\n\nAnn Lee leads Search Core, see [it](it.md)."
    ruled = Version(
        n=1, id="docs~1/team.md#0", version=1, text=before, metadata=piece, relations=extract("docs/team.md", "x")
    )
    now = restated(ruled, ruled.id, before.replace("Ann Lee", "Bob Ray"))
    said = {(one.subject, one.relation, one.object) for one in now}
    assert {("Bob Ray", "leads", "Search Core"), ("docs/team.md", "links to", "it.md")} <= said
    assert not any("Ann Lee" in one for one in said)
    read = Version(n=1, id=ruled.id, version=1, text=before, metadata=piece, relations=(READ,))
    assert restated(read, ruled.id, "Bob Ray leads Search Core.") == (READ,)


def test_what_a_put_says_of_it():
    assert told([]) == {}
    read = Extracted(id="a", by="clerk", relations=(READ,), read=5, characters=5)
    cut = Extracted(id="b", by="clerk", read=5, characters=9)
    failed = Extracted(id="c", by="clerk", why="the model said no", code="refused")
    assert told([read, cut, failed]) == {
        "extraction": {
            "a": {"by": "clerk", "relations": 1},
            "b": {"by": "clerk", "relations": 0, "read": 5, "characters": 9},
            "c": {"by": "clerk", "why": "the model said no", "code": "refused"},
        }
    }
