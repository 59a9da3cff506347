"""The contract of a log: numbers, idempotence, expected versions, reading, following, vectors."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clew.context.log.port import Log, VersionConflict
from clew.core.errors import JournalError, UsageError
from clew.gate.ports.context import Put, Relation, Remove, Version

AT = 1_732_272_000_000
LIKES = Relation(subject="a", relation="likes", object="b", confidence=0.5, valid_from=1)


def test_an_empty_log(log: Log) -> None:
    assert (log.head(), log.count(), log.size(), log.floor()) == (0, 0, 0, 0)
    assert log.since(0) == [] == log.history("a") == list(log.ids()) == list(log.live_at(0)) == log.vectors_since(0)
    assert log.get("a") is None is log.as_of(0, "a")
    assert log.labels() == {} == log.get_many(["a"])
    assert log.write([], AT) == []


def test_a_document_comes_back_whole(log: Log, opened: Any, vector: Any) -> None:
    document = Put(
        id="päth/1", text="one\ntwo\r\n\0\u2028 ü", metadata={"b": [1, 2.5, None, True], "a": {"ü": "x"}},
        vector=vector(1, -2.5), embedder="m", relations=(LIKES,), origin="run:1/k",
    )  # fmt: skip
    (written,) = log.write([document], AT)
    assert written == Version(
        n=1, id="päth/1", version=1, parent=0, text=document.text, metadata=document.metadata, vector=document.vector,
        embedder="m", relations=(LIKES,), origin="run:1/k", at=AT,
    )  # fmt: skip
    for reader in (log, opened()):
        assert reader.get("päth/1") == written
        assert reader.since(0) == [written] == reader.history("päth/1") == list(reader.live_at(1))
        assert reader.as_of(1, "päth/1") == written
        assert reader.get_many(["päth/1", "none"]) == {"päth/1": written}


def test_versions_count_per_document_and_places_over_all(story: Any, log: Log) -> None:
    story.put("a", "1")
    story.put("b", "1")
    story.put("a", "2")
    story.remove("a", origin="cli")
    story.put("a", "3")
    assert [(v.n, v.version, v.parent, v.deleted, v.text) for v in log.history("a")] == [
        (1, 1, 0, False, "1"), (3, 2, 1, False, "2"), (4, 3, 2, True, ""), (5, 4, 3, False, "3"),
    ]  # fmt: skip
    assert log.history("a")[2].origin == "cli"
    assert (log.head(), log.count(), list(log.ids())) == (5, 2, ["a", "b"])
    assert [log.as_of(n, "a") and log.as_of(n, "a").version for n in range(6)] == [None, 1, 1, 2, None, 4]
    assert [story.at(n) for n in range(6)] == [
        {}, {"a": "1"}, {"a": "1", "b": "1"}, {"a": "2", "b": "1"}, {"b": "1"}, {"a": "3", "b": "1"},
    ]  # fmt: skip


def test_what_changes_nothing_writes_nothing(story: Any, log: Log, vector: Any) -> None:
    full = {"text": "t", "metadata": {"a": 1, "b": 2}, "vector": vector(1, 2), "embedder": "m", "relations": (LIKES,)}
    assert story.put("a", **full)
    assert story.put("a", **full, origin="another writer") is None
    assert story.put("a", **{**full, "metadata": {"b": 2, "a": 1}}) is None
    assert story.put("a", **{**full, "vector": b"", "embedder": ""}) is None
    assert story.remove("b") is None is story.remove("b", expected=0)
    assert log.head() == 1


@pytest.mark.parametrize(
    "change",
    [
        {"text": "u"}, {"metadata": {"a": True}}, {"metadata": {"a": 1.0}}, {"metadata": {}}, {"relations": ()},
        {"vector": b"\1\0\0\0\0\0\0\0"}, {"embedder": "n"},
    ],
)  # fmt: skip
def test_what_changes_something_is_a_version(story: Any, vector: Any, change: dict[str, Any]) -> None:
    full = {"text": "t", "metadata": {"a": 1}, "vector": vector(1, 2), "embedder": "m", "relations": (LIKES,)}
    story.put("a", **full)
    assert story.put("a", **{**full, **change}).version == 2


def test_an_expected_version_that_is_not_there_writes_nothing(story: Any, log: Log) -> None:
    story.put("a", "1", expected=0)
    for expected, write in [(2, story.put), (0, story.put), (2, story.remove), (0, story.remove)]:
        with pytest.raises(VersionConflict) as raised:
            write("a", expected=expected)
        assert (raised.value.id, raised.value.expected, raised.value.found) == ("a", expected, 1)
        assert (raised.value.code, "'a'" in str(raised.value)) == ("version_conflict", True)
    with pytest.raises(VersionConflict, match="version 1"):
        story.put("a", "1", expected=7)  # although nothing would change
    assert story.remove("a", expected=1).version == 2
    with pytest.raises(VersionConflict, match="no such document"):
        story.put("a", expected=2)
    assert story.put("a", "again", expected=0).version == 3
    assert log.head() == 3


def test_a_batch_is_all_or_nothing(story: Any, log: Log) -> None:
    story.put("a", "1")
    with pytest.raises(VersionConflict):
        log.write([Put(id="b"), Remove(id="a"), Put(id="c", expected=3)], AT)
    assert (log.head(), story.live()) == (1, {"a": "1"})


def test_later_changes_of_a_batch_see_the_earlier_ones(log: Log, opened: Any) -> None:
    changes = [
        Put(id="a", text="1"), Put(id="a", text="1"), Put(id="a", text="2", expected=1), Remove(id="a"), Remove(id="a"),
        Put(id="b"), Put(id="a", text="3", expected=0), Remove(id="b", expected=1),
    ]  # fmt: skip
    answers = log.write(changes, AT)
    assert [v and (v.n, v.version, v.deleted) for v in answers] == [
        (1, 1, False), None, (2, 2, False), (3, 3, True), None, (4, 1, False), (5, 4, False), (6, 2, True),
    ]  # fmt: skip
    for reader in (log, opened()):
        assert (reader.head(), reader.count(), list(reader.ids())) == (6, 1, ["a"])
        assert [v.n for v in reader.history("a")] == [1, 2, 3, 5]


def test_followers_see_everything_in_order(story: Any, log: Log, opened: Any) -> None:
    other = opened()
    assert other.head() == 0
    for number in range(5):
        story.put(f"d{number % 2}", str(number))
    story.remove("d0")
    assert other.head() == 6 == log.head()
    assert [v.n for v in story.followed()] == [1, 2, 3, 4, 5, 6]
    assert [(v.n, v.deleted) for v in other.since(4)] == [(5, False), (6, True)]
    assert other.since(6) == []
    assert [v.n for v in other.since(2, limit=1)] == [3]


def test_writers_in_turn_see_each_other(story: Any, log: Log, opened: Any) -> None:
    other = opened()
    story.put("a", "1")
    assert other.write([Put(id="a", text="1")], AT) == [None]
    assert other.write([Put(id="a", text="2", expected=1)], AT)[0].version == 2
    with pytest.raises(VersionConflict):
        story.put("a", "3", expected=1)
    assert story.put("a", "3", expected=2).n == 3
    assert (other.get("a").text, other.count()) == ("3", 1)


def test_ids_by_prefix_and_code_point(story: Any, log: Log) -> None:
    for name in ["b", "a/2", "a/10", "a", "ä", "a0", "\U0001f600", "\uffff"]:
        story.put(name)
    assert list(log.ids()) == sorted(["b", "a/2", "a/10", "a", "ä", "a0", "\U0001f600", "\uffff"])
    assert list(log.ids("a/")) == ["a/10", "a/2"]
    assert list(log.ids("\U0001f600")) == ["\U0001f600"]
    assert list(log.ids("none")) == []


def test_more_than_a_page(log: Log) -> None:
    log.write([Put(id=f"d{n:04}", text=str(n)) for n in range(1203)], AT)
    assert list(log.ids()) == [f"d{n:04}" for n in range(1203)]
    assert [v.n for v in log.live_at(1200)] == list(range(1, 1201))
    assert len(log.since(0)) == 1000
    assert len(log.get_many([f"d{n:04}" for n in range(1203)])) == 1203


def test_vectors_that_are_made_later(story: Any, log: Log, opened: Any, vector: Any) -> None:
    other = opened()
    story.put("a", "1", vector=vector(1), embedder="old")
    story.put("b", "1")
    log.attach([(1, "new", vector(2)), (2, "new", vector(3)), (99, "new", vector(4))])
    for reader in (log, other, opened()):
        assert reader.vectors_since(0) == [(1, 1, "new", vector(2)), (2, 2, "new", vector(3))]
        assert (reader.get("a").vector, reader.get("a").embedder) == (vector(2), "new")
        assert [v.vector for v in reader.since(0)] == [vector(2), vector(3)]
        assert reader.head() == 2
    log.attach([(1, "new", vector(2))])
    assert log.vectors_since(2) == []
    other.attach([(1, "newer", vector(5))])
    for reader in (log, other, opened()):
        assert reader.vectors_since(0) == [(2, 2, "new", vector(3)), (3, 1, "newer", vector(5))]
        assert reader.vectors_since(2, limit=1) == [(3, 1, "newer", vector(5))]
        assert reader.vectors_since(0, limit=1) == [(2, 2, "new", vector(3))]
        assert reader.history("a")[0].vector == vector(5)
    assert story.put("a", "1", vector=vector(5), embedder="newer") is None
    assert story.put("a", "2").vector == b""
    log.attach([])


def test_a_vector_of_each_embedder(story: Any, log: Log, opened: Any, vector: Any) -> None:
    story.put("a", "1", vector=vector(1), embedder="own")
    story.put("b", "1")
    log.attach([(1, "m", vector(2)), (2, "m", vector(3))])
    log.attach([(1, "n", vector(4))])
    for reader in (log, opened()):
        assert [reader.since(0, 1, name)[0].vector for name in ("", "m", "n", "own", "x")] == [
            vector(4), vector(2), vector(4), vector(1), vector(4),
        ]  # fmt: skip
        assert {v.id: v.embedder for v in reader.get_many(["a", "b"], "own").values()} == {"a": "own", "b": "m"}
        assert reader.vectors_since(0) == [(2, 2, "m", vector(3)), (3, 1, "n", vector(4))]
        assert reader.vectors_since(0, 1, "m") == [(1, 1, "m", vector(2))]
        assert reader.vectors_since(1, 9, "m") == [(2, 2, "m", vector(3))]
        assert reader.heads() == (2, 3, 0)
    assert story.put("a", "1", vector=vector(2), embedder="m") is None, "it is known"
    log.attach([(1, "m", vector(2)), (1, "m", vector(5))])
    assert log.vectors_since(3) == [(4, 1, "m", vector(5))]


def test_vectors_of_the_last_embedders_are_kept(story: Any, log: Log, opened: Any, vector: Any) -> None:
    story.put("a", "1", vector=vector(1), embedder="own")
    story.put("b", "1")
    for number in range(6):
        log.attach([(1, f"m{number}", vector(number)), (2, f"m{number}", vector(number))])
        log.attach([(1, "m0", vector(10 + number))])
    log.compact(0)
    for reader in (log, opened()):
        kept = [name for name in ("own", *(f"m{n}" for n in range(6))) if reader.since(0, 1, name)[0].embedder == name]
        assert kept == ["own", "m0", "m3", "m4", "m5"]


def test_vectors_stay_while_the_text_does(story: Any, log: Log, opened: Any, vector: Any) -> None:
    story.put("a", "1", vector=vector(1), embedder="own")
    log.attach([(1, "m", vector(2)), (1, "n", vector(3))])
    assert story.put("a", "1", metadata={"k": 1}).vector == vector(3)
    written = log.write([Put(id="a", text="1"), Put(id="a", text="1", metadata={"k": 2})], AT)
    for reader in (log, opened()):
        assert reader.get("a") == written[-1]
        for name, wanted in (("own", vector(1)), ("m", vector(2)), ("n", vector(3))):
            assert reader.get_many(["a"], name)["a"].vector == wanted
    assert log.size() == len('a1{"k":2}') + 4 + len("own") == opened().size()
    assert story.put("a", "2").vector == b""
    assert story.put("a", "1", vector=vector(9), embedder="own").vector == vector(9)
    story.remove("a")
    assert story.put("a", "1").vector == b""


def test_a_removal_has_no_vector(story: Any, log: Log, vector: Any) -> None:
    story.put("a")
    story.remove("a")
    log.attach([(2, "m", vector(1))])
    assert log.vectors_since(0) == []


@pytest.mark.parametrize(
    ("document", "match"),
    [
        ({"id": ""}, "document id"), ({"id": "x" * 1001}, "document id"), ({"id": "a\0b"}, "document id"),
        ({"id": "\ud800"}, "no Unicode"), ({"text": "ab\udfff"}, "text is no Unicode text: .* at character 2"),
        ({"origin": "\ud800"}, "origin"), ({"embedder": "\ud800"}, "embedder"), ({"vector": b"abc"}, "float32"),
        ({"metadata": {"a": object()}}, "metadata"), ({"metadata": {1: 2}}, "metadata"), ({"metadata": ["a"]}, "metadata"),
        ({"metadata": {"a": "\ud800"}}, "metadata"),
        ({"relations": (Relation(subject="a", relation="r", object="o", confidence=float("nan")),)}, "relations"),
        ({"relations": (Relation(subject="a", relation="r", object="o", confidence=2),)}, "confidence"),
        ({"relations": (Relation(subject=5, relation="r", object="o"),)}, "relations"),
    ],
)  # fmt: skip
def test_what_can_be_no_document(log: Log, document: dict[str, Any], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        log.write([Put(id="fine"), Put(**{"id": "a", **document})], AT)
    assert log.head() == 0


@pytest.mark.parametrize("levels", [101, 900, 5000])
def test_metadata_that_is_nested_too_deeply(log: Log, levels: int) -> None:
    value: Any = []
    for _ in range(levels):
        value = [value]
    with pytest.raises(UsageError, match="metadata"):
        log.write([Put(id="a", metadata={"a": value})], AT)
    many = {"a": [[n] for n in range(200)]}
    assert log.write([Put(id="a", metadata=many)], AT)[0].metadata == many


def test_removals_are_checked_too(log: Log) -> None:
    with pytest.raises(UsageError, match="document id"):
        log.write([Remove(id="")], AT)


def test_metadata_is_a_copy(log: Log) -> None:
    given_, tags = {"tags": ["x"]}, ["x"]
    written = log.write([Put(id="a", metadata=given_)], AT)[0]
    given_["tags"].append("y")
    assert written.metadata["tags"] == log.get("a").metadata["tags"] == tags


def test_a_closed_log_can_be_closed_again(log: Log) -> None:
    log.close()
    log.close()
    with pytest.raises(JournalError):
        log.head()


IDS = st.sampled_from("abc")
CHANGES = st.one_of(
    st.builds(
        Put, id=IDS, text=st.sampled_from(["", "x", "y"]), metadata=st.sampled_from([{}, {"k": 1}, {"k": True}]),
        expected=st.sampled_from([None, None, 0, 1, 2]),
    ),
    st.builds(Remove, id=IDS, expected=st.sampled_from([None, None, 1])),
)  # fmt: skip


@given(batches=st.lists(st.lists(CHANGES, max_size=4), max_size=8))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_like_a_dictionary(batches: Any, backend: Any, tmp_path_factory: Any) -> None:
    """The log against a model of it: a dictionary and a list."""
    path = tmp_path_factory.mktemp("log") / "truth"
    log = backend.open(path)
    live: dict[str, tuple[int, str, Any]] = {}
    numbers: dict[str, int] = {}
    states: list[dict[str, str]] = [{}]
    for batch in batches:
        live, numbers, states = modelled(log, batch, live, numbers, states)
        assert {v.id: (v.version, v.text, repr(v.metadata)) for v in log.get_many(list("abc")).values()} == live
    again = backend.open(path)
    for reader in (log, again):
        assert reader.head() == len(states) - 1
        assert [{v.id: v.text for v in reader.live_at(n)} for n in range(len(states))] == states
        assert reader.count() == len(live)
        reader.close()


def modelled(log: Log, batch: Any, live: Any, numbers: Any, states: Any) -> Any:
    new_live, new_numbers, new_states = dict(live), dict(numbers), list(states)
    for change in batch:
        version, text, metadata = new_live.get(change.id, (0, None, None))
        if change.expected is not None and change.expected != version:
            with pytest.raises(VersionConflict):
                log.write(batch, AT)
            return live, numbers, states
        if isinstance(change, Remove):
            if not version:
                continue
            del new_live[change.id]
        elif version and (text, metadata) == (change.text, repr(change.metadata)):
            continue
        new_numbers[change.id] = new_numbers.get(change.id, 0) + 1
        if isinstance(change, Put):
            new_live[change.id] = (new_numbers[change.id], change.text, repr(change.metadata))
        new_states.append({name: text for name, (_, text, _) in new_live.items()})
    log.write(batch, AT)
    return new_live, new_numbers, new_states


def test_any_thread_may_use_it(log: Log, threads: Callable[..., list[Any]]) -> None:
    def work(number: int) -> int:
        for step in range(20):
            log.write([Put(id=f"d{number}", text=str(step))], AT)
            seen = log.since(0, 10_000)
            assert [v.n for v in seen] == sorted({v.n for v in seen})
            assert log.get(f"d{number}").text == str(step)
        return len(seen)

    threads(work, 4)
    assert (log.head(), log.count()) == (80, 4)
