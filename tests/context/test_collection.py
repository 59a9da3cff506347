"""A collection: written, found by the very next search, followed over processes, saved and made anew."""

import shutil
import threading

import numpy as np
import pytest

from clew.context.collection import Collection
from clew.context.derived import Derived
from clew.context.log.port import VersionConflict
from clew.core.errors import UsageError
from clew.gate.ports.context import Put, Query, Relation, Remove, SearchConfig

TOPICS = (
    "ship captain harbour wave sailor storm",
    "plane pilot airport wing cloud runway",
    "bread flour oven yeast dough crust",
)


def ids(found):
    return [hit.doc_id for hit in found.hits]


def ask(collection, text="", **kwargs):
    fields = {name: kwargs.pop(name) for name in ("vector", "filter") if name in kwargs}
    return collection.search(Query(text=text, **fields), SearchConfig(**kwargs))


def topical(n):
    return [
        Put(
            id=f"d{i}",
            text=" ".join(TOPICS[i % 3].split()[j % 6] for j in range(i, i + 4)) + f" note {i}",
            metadata={"i": i},
        )
        for i in range(n)
    ]


def test_a_write_is_found_by_the_next_search(collection, put):
    put(a="the cat sat on the mat", b="a dog in the fog")
    assert ids(ask(collection, "cat"))[0] == "a"
    put(a="the cow jumped over the moon")
    assert ask(collection, "cat", dense_weight=0.0, strategy="SPARSE_FIRST").hits == ()
    assert ids(ask(collection, "cow"))[0] == "a"
    collection.write([Remove(id="a")])
    assert "a" not in ids(ask(collection, "cow moon"))


def test_the_fields_of_a_result(collection, put):
    put(a="red apples", b="green apples and pears")
    (first, *_) = ask(collection, "red apples").hits
    assert first.doc_id == "a"
    assert first.dense_rank == first.sparse_rank == 1
    assert first.sparse_score > 0
    assert 0 < first.dense_score <= 1.0001
    assert first.fused_score == pytest.approx(0.5 / 61 * 2)
    found = ask(collection, "red apples")
    assert found.explain["strategy"] == "PARALLEL"
    assert found.explain["lists"]["sparse"]["found"] == 2
    assert found.explain["embedder"].startswith("hashing:")


def test_given_vectors(collection, put, vector):
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


def test_vectors_that_come_later(collection, put, vector):
    put({"id": "x", "text": "one", "vector": vector(1, 0), "embedder": "m"}, {"id": "z", "text": "three"})
    place = collection.get("z").n
    collection.attach([(place, "m", vector(0, 1))])
    assert collection.missing() == []
    assert ids(ask(collection, vector=vector(0, 1))) == ["z", "x"]
    assert ids(ask(collection, "three"))[0] == "z"


def test_vectors_of_another_embedder_are_never_compared(opened, vector):
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


def test_a_change_of_embedder_is_noticed_at_opening(opened, vector):
    first = opened(space="m")
    first.write([Put(id="a", text="a", vector=vector(1, 0), embedder="m")])
    first.save()
    second = opened(space="n")
    assert second.missing() == ["a"]
    second.attach([(second.get("a").n, "n", vector(1, 1, 1))])
    assert ids(ask(second, vector=vector(1, 1, 1))) == ["a"]


@pytest.mark.parametrize("strategy", ["AUTO", "PARALLEL", "DENSE_FIRST", "SPARSE_FIRST"])
@pytest.mark.parametrize("fusion", ["RECIPROCAL_RANK", "WEIGHTED_SUM", "MAX_SCORE"])
def test_strategies_and_fusions(collection, strategy, fusion):
    collection.write(topical(300))
    found = ask(collection, "captain of the ship in the harbour", strategy=strategy, fusion=fusion, k=5)
    assert len(found.hits) == 5
    assert all(int(one[1:]) % 3 == 0 for one in ids(found))
    assert found == ask(collection, "captain of the ship in the harbour", strategy=strategy, fusion=fusion, k=5)
    assert [hit.fused_score for hit in found.hits] == sorted((hit.fused_score for hit in found.hits), reverse=True)


def test_filters_hold_before_the_best_are_taken(collection):
    collection.write(topical(300))
    found = ask(collection, "captain ship harbour", k=7, filter={"range": {"i": {"gte": 280}}})
    assert ids(found)
    assert all(int(one[1:]) >= 280 for one in ids(found))
    assert found.explain["allowed"] == 20
    with pytest.raises(UsageError, match=r"filter"):
        ask(collection, "ship", filter={"op": "nope", "args": []})


def test_equal_scores_are_ordered_by_id(collection):
    collection.write([Put(id=name, text="the same words here") for name in ("m", "c", "z", "a")])
    assert ids(ask(collection, "same words", k=3)) == ["a", "c", "m"]


def test_the_graph_joins_where_it_is_asked_to(collection):
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
def test_a_configuration_that_makes_no_sense_is_refused(collection, wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        ask(collection, "x", **wrong)


def test_an_empty_query_is_refused(collection):
    with pytest.raises(UsageError, match="empty"):
        ask(collection, "  ")
    with pytest.raises(UsageError, match="3 bytes"):
        ask(collection, vector=b"abc")


def test_nothing_is_found_in_an_empty_collection(collection, vector):
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


def test_two_that_are_open_see_each_others_writes(opened):
    one, other = opened(), opened()
    one.write([Put(id="a", text="written by one")])
    assert ids(ask(other, "written")) == ["a"]
    other.write([Put(id="a", text="changed by the other", expected=1)])
    assert ids(ask(one, "changed")) == ["a"]
    with pytest.raises(VersionConflict):
        one.write([Put(id="a", text="lost race", expected=1)])


def test_saved_and_opened_again(opened, ticking):
    collection = opened()
    collection.write(topical(700))
    collection.tend()
    collection.save()
    collection.write([Put(id="late", text="zeppelin")])
    again = opened()
    assert again.stats()["saved"] == 700
    assert again.stats()["embedder"].startswith("lsa:")
    assert ids(ask(again, "zeppelin"))[0] == "late"
    for text in ("captain ship", "flour in the oven"):
        assert ask(again, text) == ask(collection, text)


@pytest.mark.parametrize("harm", ["gone", "header", "rows", "other log", "format"])
def test_whatever_is_odd_about_the_index_it_is_made_anew(opened, tmp_path, harm):
    with opened() as collection:
        collection.write(topical(100))
        collection.tend()
        collection.save()
        before = ask(collection, "captain ship")
    base = tmp_path / "c" / "index"
    current = base / (base / "CURRENT").read_text()
    if harm == "gone":
        shutil.rmtree(base)
    elif harm == "header":
        (current / "header.json").write_text("{")
    elif harm == "format":
        header = current / "header.json"
        header.write_text(header.read_text().replace('"format":1', '"format":99'))
    elif harm == "rows":
        (current / "rows" / "live.npy").write_bytes(b"")
    else:
        with opened("other") as other:
            other.write([Put(id=f"x{i}", text="zebra") for i in range(100)])
            other.save()
        shutil.rmtree(base)
        shutil.copytree(tmp_path / "other" / "index", base)
    again = opened()
    again.tend()
    assert ids(ask(again, "captain ship")) == ids(before)
    assert "x1" not in ids(ask(again, "zebra"))


def test_a_full_disk_costs_the_index_not_the_write(collection, put, monkeypatch, caplog):
    def full(self, *_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Derived, "save", full)
    put(a="still here")
    collection.save()
    assert "not saved" in caplog.text
    assert ids(ask(collection, "still")) == ["a"]


def test_the_offline_embedder_learns_when_there_is_enough(collection):
    collection.write(topical(70))
    collection.tend()
    assert collection.stats()["embedder"].startswith("lsa:")
    found = ask(collection, "sailor", sparse_weight=0.0, k=5, filter={"range": {"i": {"lt": 60}}})
    assert all(int(one[1:]) % 3 == 0 for one in ids(found))


def test_deterministic_searches_do_not_depend_on_what_runs_in_the_background(opened):
    one, other = opened("a"), opened("b")
    one.write(topical(200))
    for change in topical(200):
        other.write([change])
    for text in ("captain", "oven dough", "pilot"):
        assert ids(ask(one, text, deterministic=True)) == ids(ask(other, text, deterministic=True))


def test_a_local_embedder_makes_the_vectors_that_are_written(opened):
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


def test_readers_and_a_writer_at_once(collection):
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


def test_a_log_that_is_read_again_gives_the_same(opened, tmp_path):
    collection = opened()
    collection.write(topical(50))
    collection.write([Remove(id=f"d{i}") for i in range(0, 50, 7)])
    collection.write([Put(id="d1", text="changed to zebra")])
    assert isinstance(collection, Collection)
    again = opened()  # nothing was saved
    for text in ("captain", "zebra", "oven"):
        assert ask(again, text) == ask(collection, text)
