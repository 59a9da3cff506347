"""A collection: written, found by the very next search, followed over processes, saved and made anew."""

import shutil
import threading

import numpy as np
import pytest

from clew.context import collection as collections
from clew.context import derived as derived_module
from clew.context import saved, shelf
from clew.context.collection import Collection
from clew.context.derived import FORMAT, Derived
from clew.context.log.jsonl import JsonlLog
from clew.context.log.port import Bounds, VersionConflict
from clew.context.log.sqlite import SqliteLog
from clew.context.rows import Rows
from clew.core.errors import JournalError, UsageError
from clew.gate.ports.context import Put, Query, Relation, Remove, SearchConfig, Version

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


def test_vectors_of_another_embedder_say_nothing_of_the_length(opened, vector):
    with opened(space="old") as first:
        first.write([Put(id="a", text="a", vector=vector(1, 0), embedder="old")])
    collection = opened(space="new")
    made = [Put(id=name, text=name, vector=vector(1, 1, 1), embedder="new") for name in "bc"]
    collection.write(made)
    with opened(space="new") as again:  # reads all of it at once
        assert again.missing() == collection.missing() == ["a"]


def test_a_vector_that_is_no_point_is_kept_and_not_compared(collection, opened, put, vector):
    put({"id": "a", "text": "apple", "vector": vector(1, 0)})
    put({"id": "b", "text": "apple", "vector": vector(float("nan"), 1)})
    put({"id": "c", "text": "apple", "vector": vector(float("inf"), 1)})
    for one in (collection, opened()):
        assert ids(ask(one, vector=vector(1, 0))) == ["a"]
        assert sorted(ids(ask(one, "apple"))) == ["a", "b", "c"]
        assert one.missing() == ["b", "c"]


def test_whoever_reads_the_log_at_once_knows_the_same_vectors(opened, vector):
    collection = opened()
    collection.write([Put(id="a", text="a", vector=vector(1, 0), embedder="m")])
    collection.write([Put(id="a", text="a, again"), Put(id="b", text="b", vector=vector(1, 0), embedder="n")])
    collection.write([Put(id="c", text="c")])
    collection.attach([(collection.get("c").n, "m", vector(0, 1))])
    again = opened()
    assert again.stats()["embedder"] == collection.stats()["embedder"] == "m"
    assert again.missing() == collection.missing() == ["a", "b"]
    assert again.stats()["rows"] == 3, "a vector that is there when its document is read is indexed once"


def test_an_attached_vector_makes_a_collection_one_of_given_vectors(opened, vector):
    collection = opened()
    collection.write([Put(id="a", text="a")])
    collection.attach([(collection.get("a").n, "m", vector(0, 1))])
    assert collection.stats()["embedder"] == opened().stats()["embedder"] == "m"


def test_a_vector_for_what_is_removed_meanwhile(opened, vector, monkeypatch):
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


def test_vectors_that_changed_on_disk_are_made_anew(opened, tmp_path, vector, caplog):
    with opened() as collection:
        collection.write([Put(id=f"d{i}", text="apple", vector=vector(1, i)) for i in range(20)])
        collection.save()
    (file,) = (tmp_path / "c" / "index").glob("*/dense/vectors.f32")
    data = bytearray(file.read_bytes())
    data[-8:] = b"\xff" * 8
    file.write_bytes(data)
    again = opened()
    assert ids(ask(again, vector=vector(1, 19), k=1)) == ["d19"]
    assert "made anew" in caplog.text


def test_words_alone_where_the_list_that_counts_has_nothing(collection, put, vector):
    put({"id": "v", "vector": vector(1, 0)})
    put(z="apple apple", y="apple and some more words", a="an apple among many many more words than the others have")
    found = ask(collection, "apple", strategy="DENSE_FIRST", sparse_weight=0.0)
    assert ids(found) == ["z", "y", "a"]
    assert found.hits[0].fused_score > found.hits[1].fused_score > 0


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
    collection.tend()
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


@pytest.mark.parametrize("harm", ["gone", "header", "rows", "other log", "format", "embedder", "name"])
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
        header.write_text(header.read_text().replace(f'"format":{FORMAT}', '"format":99'))
    elif harm == "embedder":
        shutil.rmtree(current / "embedder")
    elif harm == "name":
        (base / "CURRENT").write_text("x" * 300)
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


def test_an_index_of_another_log_is_noticed_though_it_was_written_alike(opened, tmp_path):
    for name in ("old", "new"):
        with opened(name) as collection:
            collection.log.write([Put(id="a", text=name)], 5)
            collection.save()
    shutil.rmtree(tmp_path / "new" / "index")
    shutil.copytree(tmp_path / "old" / "index", tmp_path / "new" / "index")
    (hit,) = ask(opened("new"), "new").hits
    assert hit.sparse_rank == 1


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


def test_documents_that_were_all_rewritten_are_learned_from(collection):
    collection.write(topical(200))
    collection.tend()
    collection.write([Put(id=put.id, text=f"again, {put.text}") for put in topical(200)])
    collection.tend()
    assert collection.stats()["embedder"].startswith("lsa:")


def test_what_is_written_while_it_learns_is_there_afterwards(monkeypatch):
    versions = [Version(n=i, id=put.id, version=1, text=put.text) for i, put in enumerate(topical(101), 1)]
    texts = {version.id: version.text for version in versions}
    derived, live, late = Derived(), Rows.live.fget, iter(versions[-1:])
    derived.apply(versions[:-1])

    def grows(rows):
        derived.apply(list(late))
        return live(rows)

    monkeypatch.setattr(Rows, "live", property(grows))
    derived.adopt(derived.learned_anew(lambda names: {name: texts[name] for name in names}), lambda names: texts)
    assert derived.embedder_name().startswith("lsa:")
    assert derived.missing() == []
    assert len(derived.vectors.rows()) == 101


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


def test_searches_and_writes_go_on_while_files_are_synced(opened, monkeypatch):
    collection = opened()
    collection.write([Put(id="a", text="red")])
    synced, blocked = shelf._sync, []

    def use():
        collection.write([Put(id="b", text="blue")])
        ask(collection, "blue")

    def sync(path):
        other = threading.Thread(target=use)
        other.start()
        other.join(10)
        blocked.append(other.is_alive())
        synced(path)

    monkeypatch.setattr(shelf, "_sync", sync)
    collection.save()
    assert blocked
    assert not any(blocked)
    assert collection.stats()["saved"] == 1
    assert ids(ask(opened(), "blue"))[0] == "b"


def test_a_log_that_lost_what_its_index_knows_is_not_taken_for_empty(opened, tmp_path):
    with opened() as collection:
        collection.write(topical(20))
        collection.save()
    for path in (tmp_path / "c").glob("truth.db*"):
        path.unlink()
    with pytest.raises(JournalError, match="its log ends before version 20"):
        opened()
    shutil.rmtree(tmp_path / "c" / "index")
    assert opened().stats()["documents"] == 0


# -- rows that are dead ------------------------------------------------------------------------------------------------


@pytest.fixture
def crowding(monkeypatch):
    monkeypatch.setattr(derived_module, "_CROWD", 20)


@pytest.fixture
def untended(monkeypatch):
    """Nothing is done in the background."""
    monkeypatch.setattr(Collection, "_tend_soon", lambda self: None)


def churned(collection, times=4):
    """Documents of two embedders' worth of text, replaced, changed in their metadata and removed."""
    rng = np.random.default_rng(5)
    for turn in range(times):
        collection.write(
            [
                Put(id=one.id, text=f"{one.text} {turn if int(one.id[1:]) % 3 else 0}", metadata={"turn": turn},
                    vector=rng.standard_normal(16).astype("<f4").tobytes() if collection._space else b"",
                    embedder=collection._space)
                for one in topical(90)
            ]
        )  # fmt: skip
        collection.write([Remove(id=f"d{i}") for i in range(turn, 90, 7)])


def scored(collection, **config):
    vector = np.linspace(-1, 1, 16).astype("<f4").tobytes() if collection._space else b""
    asked = ("captain ship harbour", "flour in the oven", "note 17", "runway 2")
    return [ask(collection, text, vector=vector, k=40, **config).hits for text in asked]


@pytest.mark.parametrize("space", ["", "m"])
def test_dead_rows_are_cleared_out(opened, crowding, space):
    collection = opened(space=space)
    churned(collection)
    collection.close()  # what is under way in the background comes to its end
    collection = opened(space=space)
    collection.tend()
    before = collection.stats()
    assert before["rows"] <= 2 * before["documents"] + 20
    churned(collection, times=2)
    collection.tend()
    stats = collection.stats()
    assert stats["rows"] <= 2 * stats["documents"] + 20
    assert ids(ask(collection, "captain", k=90)), "and everything is there still"
    with collection.facts() as facts:
        assert len(facts) == 0


@pytest.mark.usefixtures("untended")
@pytest.mark.parametrize("space", ["", "m"])
def test_rebuilt_grown_or_made_anew_the_results_are_the_same(opened, tmp_path, space, monkeypatch):
    collection = opened(space=space)
    for _ in range(2):
        churned(collection, times=2)
        collection.tend()
    grown, plain = scored(collection, deterministic=True), scored(collection)
    assert collection.stats()["rows"] > collection.stats()["documents"]
    collection.save()
    loaded = scored(opened(space=space), deterministic=True)
    monkeypatch.setattr(derived_module, "_CROWD", -10_000)
    assert collection._replace()
    assert collection.stats()["rows"] == collection.stats()["documents"]
    rebuilt = scored(collection, deterministic=True)
    shutil.rmtree(tmp_path / "c" / "index")
    anew = opened(space=space)
    assert anew.stats()["rows"] == anew.stats()["documents"], "what is dead gets no row"
    assert grown == loaded == rebuilt == scored(anew, deterministic=True)
    assert plain == scored(collection)


def test_what_another_process_made_anew_is_used(opened, crowding, monkeypatch):
    one, other = opened(space="m"), opened(space="m")
    monkeypatch.setattr(derived_module, "_CROWD", 10_000)
    churned(one)
    ask(other, "captain")
    monkeypatch.setattr(derived_module, "_CROWD", 20)
    one.tend()
    monkeypatch.setattr(collections, "built", lambda *_: pytest.fail("it was there already"))
    other.tend()
    assert other.stats()["rows"] == one.stats()["rows"]
    assert scored(one, deterministic=True) == scored(other, deterministic=True)


@pytest.mark.usefixtures("untended")
def test_writes_and_searches_go_on_while_it_is_made_anew(opened, monkeypatch):
    collection, during = opened(), []
    churned(collection, times=2)
    monkeypatch.setattr(derived_module, "_CROWD", -10_000)
    real = collections.built

    def slow(*args):
        fresh = real(*args)
        collection.write([Put(id="meanwhile", text="zeppelin"), Remove(id="d1")])
        during.append(ids(ask(collection, "zeppelin", k=1)))
        return fresh

    monkeypatch.setattr(collections, "built", slow)
    assert collection._replace()
    assert during == [["meanwhile"]]
    assert ids(ask(collection, "zeppelin", k=1)) == ["meanwhile"]
    assert "d1" not in ids(ask(collection, "captain ship harbour wave", k=90))


# -- what fails, and for how long --------------------------------------------------------------------------------------


def test_what_cannot_be_tended_is_left_for_a_while(opened, ticking, monkeypatch, caplog):
    collection = opened()
    collection.write(topical(70))
    collection._tender.join()
    monkeypatch.setattr(derived_module, "offline", lambda *_: 1 / 0)
    collection.write([Put(id=f"more{i}", text=f"sea {i}") for i in range(200)])
    tried = []
    for _ in range(5):
        tried.append(collection._tender)
        collection._tender.join()
        assert ids(ask(collection, "captain ship"))
        assert ids(ask(collection, "captain ship", deterministic=True))
    assert len({id(one) for one in tried}) == 1
    assert "ZeroDivisionError" in collection.stats()["trouble"]
    assert "ZeroDivisionError" in ask(collection, "ship").explain["trouble"]
    assert caplog.text.count("could not be tended") == 1
    monkeypatch.undo()
    ticking.ms += collections.REST_MS
    ask(collection, "ship")
    collection._tender.join()
    assert "trouble" not in collection.stats()
    assert collection.stats()["embedder"].startswith("lsa:")


def test_an_index_that_cannot_be_saved_is_not_saved_at_every_search(opened, monkeypatch, caplog):
    monkeypatch.setattr(collections, "SAVE_EVERY", 10)
    tried = []

    def full(*_):
        tried.append(1)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saved.shelf, "publish", full)
    collection = opened()
    collection.write(topical(20))
    for _ in range(4):
        collection._tender.join()
        assert ids(ask(collection, "captain ship"))
    assert len(tried) == 1
    assert "No space left" in collection.stats()["trouble"]


# -- retention ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", [SqliteLog, JsonlLog])
def test_history_does_not_grow_without_bound(tmp_path, ticking, backend, monkeypatch):
    monkeypatch.setattr(collections, "HISTORY", 30)

    def opened():
        log = backend.open(tmp_path / "truth", Bounds(max_items=10, max_age=100_000))
        return Collection(log, tmp_path, now=ticking)

    idle = opened()
    with opened() as collection:
        for i in range(300):
            collection.write([Put(id=f"d{i}", text=f"sea number{i}")])
        collection._tender.join()
        collection.tend()
        assert len(collection.log.since(0, 10_000)) <= 2 * 30 + 10
        assert sorted(ids(ask(collection, "sea", k=50))) == [f"d{i}" for i in range(290, 300)]
        assert sorted(ids(ask(idle, "sea", k=50))) == [f"d{i}" for i in range(290, 300)], (
            "it knew what is forgotten by now"
        )
        assert collection.log.history("d280"), "what was removed lately is known still"
    ticking.ms += 100_000
    with opened() as again:
        assert again.stats()["documents"] == 0, "too old by now"
        assert ask(again, "sea").hits == ()
    idle.close()


def test_history_is_kept_without_retention(opened, monkeypatch):
    monkeypatch.setattr(collections, "HISTORY", 5)
    collection = opened()
    for i in range(40):
        collection.write([Put(id="a", text=f"sea {i}")])
    collection.tend()
    assert len(collection.log.history("a")) == 40


# -- several embedders -------------------------------------------------------------------------------------------------


def test_projects_with_different_embedders_use_one_scope(opened, tmp_path, vector):
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


def test_indexes_of_embedders_long_unused_are_removed(opened, tmp_path):
    for name in "abcdef":
        with opened(space=name) as collection:
            collection.write([Put(id="x", text=name)])
            collection.save()
    assert len([*(tmp_path / "c" / "index").glob("of-*")]) == 4


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


def test_metadata_alone_leaves_the_vector(collection, put, vector):
    put({"id": "x", "text": "one", "vector": vector(1, 0), "embedder": "m"})
    put({"id": "x", "text": "one", "metadata": {"k": 1}})
    assert collection.missing() == []
    assert ids(ask(collection, vector=vector(1, 0), filter={"term": {"k": 1}})) == ["x"]
    put({"id": "x", "text": "two"})
    assert collection.missing() == ["x"]


def test_deterministic_searches_do_not_wait_for_what_runs_in_the_background(opened, monkeypatch):
    collection, go, begun = opened(space="m"), threading.Event(), threading.Event()
    churned(collection, times=2)
    monkeypatch.setattr(derived_module, "_CROWD", -10_000)
    real = collections.built

    def slow(*args):
        begun.set()
        assert go.wait(10)
        return real(*args)

    monkeypatch.setattr(collections, "built", slow)
    ask(collection, "captain")
    assert begun.wait(10)
    before = scored(collection, deterministic=True)
    go.set()
    collection._tender.join()
    assert collection.stats()["rows"] == collection.stats()["documents"]
    assert scored(collection, deterministic=True) == before


@pytest.mark.usefixtures("untended")
def test_what_was_learned_while_it_was_made_anew_is_not_lost(opened, monkeypatch):
    collection = opened()
    churned(collection, times=2)
    collection.tend()
    monkeypatch.setattr(derived_module, "_CROWD", -10_000)
    real = collections.built

    def meanwhile(*args):
        fresh = real(*args)
        collection.write([Put(id="d2", text="changed")])
        ask(collection, "changed", deterministic=True)
        return fresh

    monkeypatch.setattr(collections, "built", meanwhile)
    assert not collection._replace(), "another time"
    monkeypatch.setattr(collections, "built", real)
    before = scored(collection, deterministic=True)
    assert collection._replace()
    assert scored(collection, deterministic=True) == before


def test_vectors_that_are_zero_or_unlike_in_length(opened, vector):
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
