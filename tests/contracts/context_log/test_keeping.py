"""The contract of a log: retention, labels, places that stay valid, compaction."""

from collections.abc import Iterable
from typing import Any

import pytest

from clew.context.log.port import Bounds, Heir, Label, Log
from clew.core.errors import Conflict, NotFound, UsageError
from clew.gate.ports.context import Put, Remove, Version

AT = 1_732_272_000_000


def texts(log: Log) -> dict[str, str]:
    return {name: log.get(name).text for name in log.ids()}


# -- retention -------------------------------------------------------------------------------------------------------


def test_more_items_than_kept(opened: Any) -> None:
    log = opened(Bounds(max_items=2))
    log.write([Put(id="a"), Put(id="b")], AT)
    log.write([Put(id="a", text="again")], AT + 1)  # now b is the oldest-written
    answers = log.write([Put(id="c")], AT + 2)
    assert [v.n for v in answers] == [4]
    assert list(log.ids()) == ["a", "c"]
    (gone,) = log.since(4)
    assert (gone.id, gone.deleted, gone.origin, gone.version, gone.at) == ("b", True, "retention", 2, AT + 2)
    assert log.count() == 2 == opened().count()
    assert (log.forgotten, opened().forgotten) == (1, 0), "by this object"


def test_a_batch_larger_than_the_bound(opened: Any) -> None:
    log = opened(Bounds(max_items=2))
    log.write([Put(id="old")], AT)
    log.write([Put(id="a"), Put(id="b"), Put(id="c"), Put(id="a", text="2"), Put(id="d"), Remove(id="c")], AT)
    assert list(log.ids()) == ["a", "d"]
    assert [v.id for v in log.since(0) if v.origin == "retention"] == ["old", "b"]
    assert log.forgotten == 2


def test_documents_that_are_too_old(opened: Any) -> None:
    log = opened(Bounds(max_age=1000))
    log.write([Put(id="a")], AT)
    log.write([Put(id="b")], AT + 600)
    assert log.trim(AT + 1000) == []
    assert [v.id for v in log.trim(AT + 1001)] == ["a"]
    assert log.write([Put(id="b")], AT + 1601) == [None]  # what is equal does not make it younger
    assert list(log.ids()) == []
    assert log.trim(AT + 9999) == []
    assert log.forgotten == 2


def test_documents_that_take_too_much_room(opened: Any) -> None:
    log = opened(Bounds(max_size=1000))
    log.write([Put(id="a", text="x" * 400), Put(id="b", text="y" * 400)], AT)
    assert log.size() == 802
    log.write([Put(id="c", text="ü" * 150, metadata={"k": "v"})], AT)
    assert (list(log.ids()), log.size()) == (["b", "c"], 401 + 301 + len('{"k":"v"}'))
    log.write([Remove(id="b")], AT)
    assert log.size() == 310 == opened().size()
    with pytest.raises(UsageError, match="1001 bytes, the collection keeps 1000"):
        log.write([Put(id="d", text="x" * 1000)], AT)


def test_a_document_that_is_too_large_with_the_vector_that_it_keeps(opened: Any) -> None:
    log = opened(Bounds(max_size=1000))
    log.write([Put(id="a", text="t", vector=b"\0" * 800, embedder="m")], AT)
    with pytest.raises(UsageError, match="'a': it takes 1311 bytes, the collection keeps 1000"):
        log.write([Put(id="b"), Put(id="a", text="t", metadata={"k": "x" * 500})], AT)
    assert (list(log.ids()), log.get("a").version, log.head()) == (["a"], 1, 1)
    log.write([Put(id="a", text="other", metadata={"k": "x" * 500})], AT)
    assert log.get("a").vector == b""


def test_sizes_stay_right_with_vectors_that_come_later(opened: Any, vector: Any) -> None:
    log = opened(Bounds(max_size=10_000))
    log.write([Put(id="a", text="1234", vector=vector(1, 2))], AT)
    assert log.size() == 13
    log.attach([(1, "m", vector(1, 2, 3, 4))])
    log.write([Put(id="a", text="12345")], AT)
    assert log.size() == 6
    log.write([Remove(id="a")], AT)
    assert (log.size(), log.count()) == (0, 0)


HEIR = Heir("heir", lambda there, gone, soon: Put(id="heir", text=text(there) + told(gone) + "|" + told(soon)))


def text(version: Version | None) -> str:
    return version.text if version else ""


def told(versions: Iterable[Version]) -> str:
    return "".join(one.id for one in versions)


def test_an_heir_has_what_goes_by_the_same_write(opened: Any) -> None:
    log = opened(Bounds(max_items=4, heir=HEIR))
    for name in "abcd":
        log.write([Put(id=name)], AT)
    assert log.head() == 4
    log.write([Put(id="e")], AT)
    log.write([Put(id=name) for name in "fghijk"], AT)
    assert [(one.id, one.deleted) for one in log.since(4)] == [
        ("e", False), ("heir", False), ("a", True),
        *((name, False) for name in "fghijk"), ("heir", False), *((name, True) for name in "bcdefg"),
    ]  # fmt: skip
    assert texts(log) == {"heir": "a|bcbcdefg|hi", **dict.fromkeys("hijk", "")}
    assert log.count() == 5 == opened().count()
    assert log.size() == len("heira|bcbcdefg|hihijk")


@pytest.mark.parametrize("bounds", [{"max_items": 1}, {"max_age": 10}, {"max_size": 1}])
def test_an_heir_stays_whatever_the_bounds_are(opened: Any, bounds: Any) -> None:
    log = opened(Bounds(**bounds, heir=HEIR))
    log.write([Put(id="heir", text="what there was before: ")], AT)
    for at, name in enumerate("abc"):
        log.write([Put(id=name)], AT + 9 * at)
    log.trim(AT + 1000)
    assert text(log.get("heir")).startswith("what there was before: a|")
    assert log.count() <= 2


def test_an_heir_that_was_removed_begins_anew(opened: Any) -> None:
    log = opened(Bounds(max_items=1, heir=HEIR))
    log.write([Put(id="a"), Put(id="b")], AT)
    log.write([Remove(id="heir")], AT)
    log.write([Put(id="c")], AT)
    assert (text(log.get("heir")), log.get("heir").version) == ("b|", 3)


def test_an_heir_may_have_nothing_to_say(opened: Any) -> None:
    log = opened(Bounds(max_items=1, heir=Heir("heir", lambda *_: None)))
    log.write([Put(id="a"), Put(id="b")], AT)
    assert list(log.ids()) == ["b"]


def test_trim_without_bounds(story: Any, log: Log) -> None:
    story.put("a")
    assert log.trim(AT * 2) == []


# -- labels ----------------------------------------------------------------------------------------------------------


def test_labels_name_places(story: Any, log: Log, opened: Any) -> None:
    assert log.label("empty", AT) == 0
    story.put("a", "1")
    assert log.label("before the change", AT + 1) == 1
    story.put("a", "2")
    other = opened()
    assert other.label("after", AT + 2) == 2 == other.label("again", AT + 3)
    wanted = {
        "empty": Label(0, AT),
        "before the change": Label(1, AT + 1),
        "after": Label(2, AT + 2),
        "again": Label(2, AT + 3),
    }
    for reader in (log, other, opened()):
        assert reader.labels() == wanted
        assert list(reader.labels()) == ["empty", "before the change", "after", "again"]
        assert reader.head() == 2
    assert story.at(log.labels()["before the change"].n) == {"a": "1"}


def test_a_label_does_not_move(story: Any, log: Log) -> None:
    story.put("a", "1")
    assert log.label("one", AT) == 1 == log.label("one", AT + 5)
    assert log.labels() == {"one": Label(1, AT)}
    story.put("a", "2")
    with pytest.raises(Conflict, match="'one' is on place 1"):
        log.label("one", AT)
    log.unlabel("one")
    assert log.label("one", AT) == 2
    with pytest.raises(NotFound, match="no label 'two'"):
        log.unlabel("two")


@pytest.mark.parametrize("name", ["", "x" * 1001, "a\nb", "\ud800"])
def test_what_can_be_no_label(log: Log, name: str) -> None:
    with pytest.raises(UsageError, match="label"):
        log.label(name, AT)


# -- places ----------------------------------------------------------------------------------------------------------


def test_places_to_come_are_not_known(story: Any, log: Log) -> None:
    story.put("a")
    with pytest.raises(NotFound, match="place 2 is not written yet: the newest is 1"):
        log.as_of(2, "a")
    with pytest.raises(NotFound, match="place 2"):
        list(log.live_at(2))


def test_compaction_drops_what_was_replaced(story: Any, log: Log, opened: Any, vector: Any) -> None:
    for number in range(1, 5):
        story.put("a", str(number))  # 1 to 4
    log.label("four", AT)
    log.attach([(n, "m", vector(n)) for n in (1, 4)])
    story.put("b")
    story.remove("b")  # 5 and 6
    story.put("a", "5")  # 7
    story.put("a", "6")  # 8
    follower = opened()
    assert follower.head() == 8
    assert log.compact(7) == 4  # 1, 2, 3 and 5
    for reader in (log, follower, opened()):
        assert [v.n for v in reader.since(0)] == [4, 6, 7, 8] == [v.n for v in story.followed()]
        assert (reader.head(), reader.floor(), reader.count(), reader.size()) == (8, 7, 1, 2)
        assert [(v.n, v.version) for v in reader.history("a")] == [(4, 4), (7, 5), (8, 6)]
        assert reader.vectors_since(0) == [(2, 4, "m", vector(4))]
        assert [reader.as_of(n, "a") and reader.as_of(n, "a").text for n in (0, 4, 7, 8)] == [None, "4", "5", "6"]
        assert [v.text for v in reader.live_at(4)] == ["4"]
        for n in (1, 3, 5, 6):
            with pytest.raises(NotFound, match=f"place {n} was compacted away"):
                reader.as_of(n, "a")
            with pytest.raises(NotFound, match="places from 7 on"):
                list(reader.live_at(n))
        assert reader.labels() == {"four": Label(4, AT)}
    assert story.put("b", "again").version == 3
    assert story.put("c").n == 10 == follower.head()
    log.attach([(10, "m", vector(9)), (1, "m", vector(9))])
    assert follower.vectors_since(2) == [(3, 10, "m", vector(9))]


def test_compaction_never_loosens_the_floor(story: Any, log: Log, vector: Any) -> None:
    for number in range(4):
        story.put("a", str(number))
    log.attach([(3, "m", vector(1))])
    assert log.compact(99) == 3
    assert log.floor() == 4
    assert log.compact(2) == 0
    assert log.floor() == 4
    assert log.vectors_since(0) == []
    log.attach([(4, "m", vector(1))])
    assert log.vectors_since(1) == [(2, 4, "m", vector(1))]  # counted on, although the first is gone
    log.label("now", AT)
    log.unlabel("now")
    assert log.compact(0) == 0 == log.compact(-3)


def test_numbers_of_attachments_are_never_given_twice(story: Any, log: Log, opened: Any, vector: Any) -> None:
    story.put("a", "1")
    story.put("b", "1")
    log.attach([(1, "m", vector(1)), (2, "m", vector(2))])
    story.put("b", "2")
    follower = opened()
    known = follower.heads().m
    log.compact(log.head())
    assert follower.vectors_since(0) == [(1, 1, "m", vector(1))], "the older one is kept"
    for reader in (log, opened()):
        reader.attach([(3, "m", vector(3))])
        assert follower.vectors_since(known) == [(3, 3, "m", vector(3))]
        assert follower.heads().m == 3


def test_a_removal_is_kept_where_a_label_needs_it(story: Any, log: Log) -> None:
    story.put("a", "1")
    log.label("there", AT)
    story.remove("a")
    story.put("b", "1")
    log.label("gone", AT)
    story.put("a", "2")
    story.put("a", "3")
    assert log.compact(log.head()) == 1
    assert story.at(1) == {"a": "1"}
    assert story.at(3) == {"b": "1"}
    assert story.live() == {"a": "3", "b": "1"}


def test_a_reader_of_a_place_notices_that_it_is_compacted_away(log: Log, opened: Any) -> None:
    log.write([Put(id=f"d{n:04}") for n in range(1100)], AT)
    log.write([Put(id="d0000", text="new")], AT)
    reading = opened().live_at(1100)
    next(reading)
    log.compact(log.head())
    with pytest.raises(NotFound, match="place 1100 was compacted away"):
        list(reading)


def test_compaction_may_forget_removals(story: Any, log: Log, opened: Any) -> None:
    story.put("a", "1")
    story.put("kept", "1")
    log.label("there", AT)
    story.remove("a")  # 3: a label needs it
    story.put("b", "1")
    story.remove("b")  # 5
    story.put("c", "1")
    story.remove("c")  # 7: after the place
    story.put("d", "1")
    story.remove("d")  # 9
    assert log.compact(6, removals=True) == 2  # 4 and 5
    for reader in (log, opened()):
        assert [v.n for v in reader.since(0)] == [1, 2, 3, 6, 7, 8, 9]
        assert [sorted(v.id for v in reader.live_at(n)) for n in (2, 6, 8)] == [
            ["a", "kept"],
            ["c", "kept"],
            ["d", "kept"],
        ]
        assert reader.heads() == (9, 0, 6)
        assert reader.live_places() == [2]
    assert log.compact(9, removals=True) == 3  # 6, 7 and 8, but not the newest
    assert (log.head(), opened().head(), story.put("b", "again").n) == (9, 9, 10)


def test_an_empty_log_can_be_compacted(log: Log, story: Any) -> None:
    assert log.compact(5) == 0
    assert story.put("a").n == 1
