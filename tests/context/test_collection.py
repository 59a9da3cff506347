"""A collection: written, found by the very next search, followed over processes, saved and made anew."""

import shutil
import threading

import numpy as np
import pytest

from clew.context.collection import Collection
from clew.context.log.port import VersionConflict
from clew.core.errors import UsageError
from clew.gate.ports.context import Put, Relation, Remove


def ids(found):
    return [hit.doc_id for hit in found.hits]


def test_a_write_is_found_by_the_next_search(collection, put, ask):
    put(a="the cat sat on the mat", b="a dog in the fog")
    assert ids(ask(collection, "cat"))[0] == "a"
    put(a="the cow jumped over the moon")
    assert ask(collection, "cat", dense_weight=0.0, strategy="SPARSE_FIRST").hits == ()
    assert ids(ask(collection, "cow"))[0] == "a"
    collection.write([Remove(id="a")])
    assert "a" not in ids(ask(collection, "cow moon"))


def test_the_fields_of_a_result(collection, put, ask):
    put(a="red apples", b="green apples and pears")
    (first, *_) = ask(collection, "red apples").hits
    assert first.doc_id == "a"
    assert first.dense_rank == first.sparse_rank == 1
    assert first.sparse_score > 0
    assert 0 < first.dense_score <= 1.0001
    assert first.fused_score == 1.0, "the best of both lists"
    found = ask(collection, "red apples")
    assert found.explain["strategy"] == "PARALLEL"
    assert found.explain["lists"]["sparse"]["found"] == 2
    assert found.explain["embedder"].startswith("hashing:")


@pytest.mark.parametrize("collection", ["m"], indirect=True)
def test_given_vectors(collection, put, vector, ask):
    put(
        {"id": "x", "text": "one", "vector": vector(1, 0), "embedder": "m"},
        {"id": "y", "text": "two", "vector": vector(0, 1), "embedder": "m"},
        {"id": "z", "text": "three"},
    )
    assert ids(ask(collection, vector=vector(0.9, 0.1))) == ["x", "y"]
    assert set(ids(ask(collection, "three", vector=vector(0.1, 0.9)))) == {"x", "y", "z"}
    assert collection.missing() == ["z"]
    assert ids(ask(collection, "three")) == ["z"]  # no embedder is here: words alone
    with pytest.raises(UsageError, match="3 dimensions, the collection's have 2"):
        ask(collection, vector=vector(1, 2, 3))


@pytest.mark.parametrize("collection", ["m"], indirect=True)
def test_vectors_that_come_later(collection, put, vector, ask):
    put({"id": "x", "text": "one", "vector": vector(1, 0), "embedder": "m"}, {"id": "z", "text": "three"})
    place = collection.get("z").n
    collection.attach([(place, "m", vector(0, 1))])
    assert collection.missing() == []
    assert ids(ask(collection, vector=vector(0, 1))) == ["z", "x"]
    assert ids(ask(collection, "three"))[0] == "z"


def test_vectors_of_another_embedder_are_never_compared(opened, vector, ask):
    collection = opened(space="new")
    collection.write(
        [
            Put(id="old", text="old", vector=vector(1, 0), embedder="old"),
            Put(id="new", text="new", vector=vector(0, 1), embedder="new"),
        ]
    )
    assert ids(ask(collection, vector=vector(1, 0))) == ["new"]
    assert collection.missing() == ["old"]
    assert collection.stats()["unlike"] == 1


def test_vectors_of_another_embedder_say_nothing_of_the_length(opened, vector):
    with opened(space="old") as first:
        first.write([Put(id="a", text="a", vector=vector(1, 0), embedder="old")])
    collection = opened(space="new")
    made = [Put(id=name, text=name, vector=vector(1, 1, 1), embedder="new") for name in "bc"]
    collection.write(made)
    with opened(space="new") as again:  # reads all of it at once
        assert again.missing() == collection.missing() == ["a"]


@pytest.mark.parametrize("collection", ["given"], indirect=True)
def test_a_vector_that_is_no_point_is_kept_and_not_compared(collection, opened, put, vector, ask):
    put({"id": "a", "text": "apple", "vector": vector(1, 0)})
    put({"id": "b", "text": "apple", "vector": vector(float("nan"), 1)})
    put({"id": "c", "text": "apple", "vector": vector(float("inf"), 1)})
    for one in (collection, opened(space="given")):
        assert ids(ask(one, vector=vector(1, 0))) == ["a"]
        assert sorted(ids(ask(one, "apple"))) == ["a", "b", "c"]
        assert one.missing() == ["b", "c"]


def test_a_vector_of_a_wrong_length_switches_nothing_off(opened, tmp_path, vector, ask):
    collection = opened(space="m")
    first = [Put(id="bad", text="short", vector=vector(1), embedder="m")]
    nan = [Put(id="nan", text="none", vector=vector(float("nan"), 1), embedder="m")]
    for batch in (first, nan, [Put(id=f"d{i}", text="apple", vector=vector(1, i, 2), embedder="m") for i in range(9)]):
        collection.write(batch)
    collection.save()
    again = opened(space="m")
    shutil.rmtree(tmp_path / "c" / "index")
    for one in (collection, again, opened(space="m")):
        assert (one.dims, one.missing(), one.stats()["unlike"]) == (3, ["bad", "nan"], 2)
        found = ask(one, vector=vector(1, 8, 2), k=1)
        assert ids(found) == ["d8"]
        assert found.explain["not_compared"].endswith("(2): they are not by m, or have not its 3 dimensions")


def test_vectors_of_the_length_that_most_have_are_compared(opened, vector, ask):
    def lengths(collection):
        return collection.dims, collection.missing(), opened(space="m").dims, opened(space="m").missing()

    collection = opened(space="m")
    collection.write([Put(id=name, text=name, vector=vector(1, 0), embedder="m") for name in "ab"])
    collection.write([Put(id="c", text="c", vector=vector(1, 0, 0), embedder="m"), Put(id="d", text="d")])
    assert lengths(collection) == (2, ["c", "d"]) * 2
    collection.attach([(collection.get("d").n, "m", vector(0, 1, 0))])
    assert lengths(collection) == (3, ["a", "b"]) * 2, "of two that are as many, the longer"
    assert ids(ask(collection, vector=vector(0, 1, 0), k=1)) == ["d"]
    collection.write([Put(id="c", text="c, again")])
    assert lengths(collection) == (2, ["d", "c"]) * 2
    assert sorted(ids(ask(collection, vector=vector(1, 0)))) == ["a", "b"]
    collection.write([Remove(id=name) for name in "ab"])
    assert lengths(collection) == (3, ["c"]) * 2
    collection.write([Remove(id="d")])
    assert lengths(collection) == (0, ["c"]) * 2
    assert ask(collection, vector=vector(1, 0, 0, 0)).hits == ()


def test_vectors_of_others_are_counted_by_whoever_follows_as_by_whoever_begins(opened, vector):
    collection = opened(space="m")
    collection.write([Put(id=name, text=name) for name in "abcd"])
    places = {name: collection.get(name).n for name in "abcd"}
    collection.attach(
        [(places["a"], "m", vector(1, 0)), (places["b"], "o", vector(1, 0)), (places["c"], "o", vector(1))]
    )
    collection.attach([(places["a"], "o", vector(1, 0)), (places["b"], "m", vector(0, 1))])
    for one in (collection, opened(space="m")):
        assert (one.stats()["unlike"], one.missing()) == (1, ["c", "d"])


def test_whoever_reads_the_log_at_once_knows_the_same_vectors(opened, vector):
    collection = opened(space="m")
    collection.write([Put(id="a", text="a", vector=vector(1, 0), embedder="m")])
    collection.write([Put(id="a", text="a, again"), Put(id="b", text="b", vector=vector(1, 0), embedder="n")])
    collection.write([Put(id="c", text="c")])
    collection.attach([(collection.get("c").n, "m", vector(0, 1))])
    again = opened(space="m")
    assert again.missing() == collection.missing() == ["a", "b"]
    assert again.stats()["rows"] == 3, "a vector that is there when its document is read is indexed once"


def test_one_vector_does_not_switch_the_learned_ones_off(opened, tmp_path, vector, ask, topical, topics):
    collection = opened(space="")
    collection.write(topical(90))
    collection.write([Put(id="v", text="the captain of a ship", vector=vector(1, 0), embedder="m")])
    collection.attach([(collection.get("d5").n, "n", vector(1, 0, 0))])
    collection.tend()
    assert collection.stats()["embedder"].startswith("lsa:")
    assert (collection.stats()["unlike"], collection.missing()) == (2, [])
    found = ask(collection, "captain of the ship", k=50)
    assert next(hit for hit in found.hits if hit.doc_id == "v").dense_rank, "by its text"
    assert found.explain["not_compared"].startswith("vectors that came with documents (2): they are not by lsa:")
    rows = collection.stats()["rows"]
    with_vector = ask(collection, "captain of the ship", vector=vector(1, 0), k=50)
    assert with_vector.hits == found.hits
    assert "query_vector" not in found.explain
    assert with_vector.explain["query_vector"].startswith("not used: lsa:")
    assert ask(collection, vector=vector(1, 0)).hits == ()
    before = [ask(collection, text, deterministic=True).hits for text in topics]
    collection.save()
    again = opened(space="")
    assert again.stats()["unlike"] == 2
    assert again.stats()["rows"] == rows == 91, "vectors that are not compared give no rows"
    shutil.rmtree(tmp_path / "c" / "index")
    for one in (again, opened(space="")):
        assert [ask(one, text, deterministic=True).hits for text in topics] == before
        assert one.stats()["unlike"] == 2
    again.write([Remove(id="v"), Put(id="d5", text="other words")])
    assert (again.stats()["unlike"], "not_compared" in ask(again, "ship").explain) == (0, False)


def test_a_vector_for_what_is_removed_meanwhile(opened, vector, monkeypatch, ask):
    collection, other = opened(space="m"), opened(space="m")
    collection.write([Put(id="a", text="apple"), Put(id="b", text="apple")])
    given = collection.log.vectors_since

    def late(m, limit, embedder):
        if found := given(m, limit, embedder):
            other.log.write([Remove(id="a")], 1)
        return found

    monkeypatch.setattr(collection.log, "vectors_since", late)
    collection.attach([(collection.get(name).n, "m", vector(1, 0)) for name in "ab"])
    assert ids(ask(collection, vector=vector(1, 0))) == ["b"]


@pytest.mark.parametrize("collection", ["given"], indirect=True)
def test_words_alone_where_the_list_that_counts_has_nothing(collection, put, vector, ask):
    put({"id": "v", "vector": vector(1, 0)})
    put(z="apple apple", y="apple and some more words", a="an apple among many many more words than the others have")
    found = ask(collection, "apple", strategy="DENSE_FIRST", sparse_weight=0.0)
    assert ids(found) == ["z", "y", "a"]
    assert found.hits[0].fused_score > found.hits[1].fused_score > 0


def test_a_change_of_embedder_is_noticed_at_opening(opened, vector, ask):
    first = opened(space="m")
    first.write([Put(id="a", text="a", vector=vector(1, 0), embedder="m")])
    first.save()
    second = opened(space="n")
    assert second.missing() == ["a"]
    second.attach([(second.get("a").n, "n", vector(1, 1, 1))])
    assert ids(ask(second, vector=vector(1, 1, 1))) == ["a"]


@pytest.mark.parametrize("strategy", ["AUTO", "PARALLEL", "DENSE_FIRST", "SPARSE_FIRST"])
@pytest.mark.parametrize("fusion", ["RECIPROCAL_RANK", "WEIGHTED_SUM", "MAX_SCORE"])
def test_strategies_and_fusions(collection, strategy, fusion, ask, topical):
    collection.write(topical(300))
    collection.tend()
    found = ask(collection, "captain of the ship in the harbour", strategy=strategy, fusion=fusion, k=5)
    assert len(found.hits) == 5
    assert all(int(one[1:]) % 3 == 0 for one in ids(found))
    assert found == ask(collection, "captain of the ship in the harbour", strategy=strategy, fusion=fusion, k=5)
    assert [hit.fused_score for hit in found.hits] == sorted((hit.fused_score for hit in found.hits), reverse=True)


def test_filters_hold_before_the_best_are_taken(collection, ask, topical):
    collection.write(topical(300))
    found = ask(collection, "captain ship harbour", k=7, filter={"range": {"i": {"gte": 280}}})
    assert ids(found)
    assert all(int(one[1:]) >= 280 for one in ids(found))
    assert found.explain["allowed"] == 20
    with pytest.raises(UsageError, match=r"filter"):
        ask(collection, "ship", filter={"op": "nope", "args": []})


def test_equal_scores_are_ordered_by_id(collection, ask):
    collection.write([Put(id=name, text="the same words here") for name in ("m", "c", "z", "a")])
    assert ids(ask(collection, "same words", k=3)) == ["a", "c", "m"]


def test_the_graph_joins_where_it_is_asked_to(collection, ask):
    collection.write(
        [
            Put(
                id="team", text="about people", relations=(Relation(subject="Ann", relation="leads", object="Search"),)
            ),
            Put(
                id="host",
                text="about machines",
                relations=(Relation(subject="Search", relation="runs on", object="n7"),),
            ),
        ]
    )
    found = ask(collection, "which machine does Ann depend on", graph_weight=1.0, sparse_weight=0.0, dense_weight=0.0)
    assert ids(found)[:2] == ["team", "host"]
    assert found.hits[1].graph_rank == 2
    assert ids(ask(collection, "Ann", graph_weight=1.0, filter={"term": {"none": 1}})) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"k": 0},
        {"k": 10**6},
        {"rrf_k": 0},
        {"rerank_factor": 0},
        {"dense_weight": 2.0},
        {"sparse_weight": -1.0},
        {"graph_weight": float("nan")},
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(collection, wrong, ask):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        ask(collection, "x", **wrong)


def test_an_empty_query_is_refused(collection, ask):
    with pytest.raises(UsageError, match="empty"):
        ask(collection, "  ")
    with pytest.raises(UsageError, match="3 bytes"):
        ask(collection, vector=b"abc")


def test_nothing_is_found_in_an_empty_collection(collection, vector, ask):
    assert ask(collection, "anything").hits == ()
    assert ask(collection, vector=vector(1, 2)).hits == ()
    assert collection.newest(3) == []
    assert collection.missing() == []


def test_the_newest_come_first(collection, put):
    put(a="1")
    put(b="2")
    put({"id": "c", "text": "3", "metadata": {"kind": "x"}})
    put(a="4")
    assert collection.newest(2) == ["a", "c"]
    assert collection.newest(5, {"term": {"kind": "x"}}) == ["c"]


def test_of_equal_age_the_last_written_is_the_newest(opened, vector):
    collection = opened(space="m")
    written = collection.log.write([Put(id=name, text=name) for name in "abc"], 5)
    assert collection.newest(1) == ["c"]
    collection.attach([(written[0].n, "m", vector(1, 0))])
    assert collection.newest(3) == opened(space="m").newest(3) == ["c", "b", "a"]


def test_two_that_are_open_see_each_others_writes(opened, ask):
    one, other = opened(), opened()
    one.write([Put(id="a", text="written by one")])
    assert ids(ask(other, "written")) == ["a"]
    other.write([Put(id="a", text="changed by the other", expected=1)])
    assert ids(ask(one, "changed")) == ["a"]
    with pytest.raises(VersionConflict):
        one.write([Put(id="a", text="lost race", expected=1)])


def test_deterministic_searches_do_not_depend_on_what_runs_in_the_background(opened, ask, topical):
    one, other = opened("a"), opened("b")
    one.write(topical(200))
    for change in topical(200):
        other.write([change])
    for text in ("captain", "oven dough", "pilot"):
        assert ids(ask(one, text, deterministic=True)) == ids(ask(other, text, deterministic=True))


def test_a_local_embedder_makes_the_vectors_that_are_written(opened, ask):
    class Letters:
        name, dims = "letters", 26

        def embed(self, texts):
            counts = [[text.count(chr(97 + i)) for i in range(26)] for text in texts]
            return np.array(counts, dtype=np.float32).reshape(len(texts), 26)

    collection = opened(embedder=Letters())
    collection.write([Put(id="a", text="aaa"), Put(id="b", text="bbb"), Put(id="e", text="")])
    assert collection.get("a").embedder == "letters"
    assert ids(ask(collection, "ba aa", k=1)) == ["a"]
    assert collection.get("e").vector == b""


def test_readers_and_a_writer_at_once(collection, ask, topical):
    collection.write(topical(100))
    wrong, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            found = ask(collection, "captain harbour", k=5)
            if len(found.hits) != 5:
                wrong.append(found)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for i in range(100, 300):
        collection.write([Put(id=f"d{i}", text=f"captain {i}")])
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert collection.stats()["documents"] == 300


def test_a_log_that_is_read_again_gives_the_same(opened, tmp_path, ask, topical):
    collection = opened()
    collection.write(topical(50))
    collection.write([Remove(id=f"d{i}") for i in range(0, 50, 7)])
    collection.write([Put(id="d1", text="changed to zebra")])
    assert isinstance(collection, Collection)
    again = opened()  # nothing was saved
    for text in ("captain", "zebra", "oven"):
        assert ask(again, text) == ask(collection, text)


# -- several embedders -------------------------------------------------------------------------------------------------


def test_projects_with_different_embedders_use_one_scope(opened, tmp_path, vector, ask):
    one, other = opened(space="m"), opened(space="n")
    one.write([Put(id=name, text=name) for name in "abc"])
    one.attach([(one.get(name).n, "m", vector(i, 1)) for i, name in enumerate("abc")])
    assert (one.missing(), other.missing()) == ([], ["a", "b", "c"])
    other.attach([(other.get(name).n, "n", vector(1, i, 1)) for i, name in enumerate("abc")])
    one.write([Put(id="a", text="a", metadata={"k": 1})])
    for _ in range(2):
        for each, ask_for, best in ((one, vector(0, 1), "a"), (other, vector(1, 0, 1), "a"), (one, vector(9, 1), "c")):
            assert each.missing() == []
            assert ids(ask(each, vector=ask_for, k=1)) == [best]
        one.save()
        other.save()
        one, other = opened(space="m"), opened(space="n")
        assert one.stats()["saved"] == other.stats()["saved"] == 4, "each has its own index"


def test_only_the_changed_texts_are_embedded(opened):
    class Letters:
        name, dims, asked = "letters", 26, ()

        def embed(self, texts):
            self.asked = (*self.asked, *texts)
            return np.array([[text.count(chr(97 + i)) for i in range(26)] for text in texts], dtype=np.float32)

    letters = Letters()
    collection = opened(embedder=letters)
    collection.write([Put(id="a", text="aaa"), Put(id="b", text="bbb")])
    collection.write([Put(id="a", text="aaa", metadata={"k": 1}), Put(id="b", text="bc")])
    assert letters.asked == ("aaa", "bbb", "bc")
    collection.write([Put(id="a", text="in between"), Put(id="a", text="aaa")])
    assert letters.asked[3:] == ("in between", "aaa")
    assert collection.missing() == []
    outcome = collection.merge(1, Put(id="b", text="bbb\nd"))
    assert outcome.conflicts
    collection.write([Put(id="t", text="one\ntwo\nthree\nfour")])
    collection.write([Put(id="t", text="one\ntwo\nthree\n4")])
    outcome = collection.merge(1, Put(id="t", text="1\ntwo\nthree\nfour"))
    assert outcome.version.text == "1\ntwo\nthree\n4"
    assert outcome.version.embedder == "letters"
    assert collection.missing() == []


@pytest.mark.parametrize("collection", ["m"], indirect=True)
def test_metadata_alone_leaves_the_vector(collection, put, vector, ask):
    put({"id": "x", "text": "one", "vector": vector(1, 0), "embedder": "m"})
    put({"id": "x", "text": "one", "metadata": {"k": 1}})
    assert collection.missing() == []
    assert ids(ask(collection, vector=vector(1, 0), filter={"term": {"k": 1}})) == ["x"]
    put({"id": "x", "text": "two"})
    assert collection.missing() == ["x"]


def test_vectors_that_are_zero_or_unlike_in_length(opened, vector, ask):
    class Nothing:
        name, dims = "nothing", 2

        def embed(self, texts):
            return np.zeros((len(texts), 2), dtype=np.float32)

    collection = opened(embedder=Nothing())
    collection.write([Put(id="a", text="apple")])
    assert ids(ask(collection, "apple")) == ["a"]
    assert "dense" not in ask(collection, "apple").explain["lists"]
    with pytest.raises(UsageError, match="3 dimensions"):
        ask(collection, vector=vector(1, 2, 3))
