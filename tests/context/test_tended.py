"""What is derived from a log, kept up with it: learned, saved, cleared out, made anew; and what fails is left for a while."""

import shutil
import threading

import numpy as np
import pytest

from clew.context import derived as derived_module
from clew.context import saved, shelf, tended
from clew.context.collection import Collection
from clew.context.derived import Derived
from clew.context.log.jsonl import JsonlLog
from clew.context.log.port import Bounds
from clew.context.log.sqlite import SqliteLog
from clew.context.rows import Rows
from clew.core.errors import JournalError
from clew.gate.ports.context import Put, Remove, Version


def ids(found):
    return [hit.doc_id for hit in found.hits]


def test_what_is_saved_is_used_by_whoever_compares_the_same(opened, vector):
    def of(space, embedder):
        with opened(space=space) as collection:
            assert collection.stats()["embedder"].startswith(embedder)
            saved = collection.stats()["saved"]
            collection.save()
        return saved

    with opened() as collection:
        collection.write([Put(id="a", text="apple", vector=vector(1, 0), embedder="m")])
        collection.save()
    assert [of("", "hashing"), of("", "hashing"), of("m", "m"), of("m", "m"), of("", "hashing")] == [1, 1, 0, 1, 1]


def test_vectors_that_changed_on_disk_are_made_anew(opened, tmp_path, vector, caplog, ask):
    with opened(space="given") as collection:
        collection.write([Put(id=f"d{i}", text="apple", vector=vector(1, i)) for i in range(20)])
        collection.save()
    (file,) = (tmp_path / "c" / "index").glob("of-*/*/dense/vectors.f32")
    data = bytearray(file.read_bytes())
    data[-8:] = b"\xff" * 8
    file.write_bytes(data)
    again = opened(space="given")
    assert ids(ask(again, vector=vector(1, 19), k=1)) == ["d19"]
    assert "made anew" in caplog.text


def test_saved_and_opened_again(opened, ticking, ask, topical):
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
def test_whatever_is_odd_about_the_index_it_is_made_anew(opened, tmp_path, harm, ask, topical):
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
        header.write_text(header.read_text().replace(f'"format":{saved.FORMAT}', '"format":99'))
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


def test_an_index_of_another_log_is_noticed_though_it_was_written_alike(opened, tmp_path, ask):
    for name in ("old", "new"):
        with opened(name) as collection:
            collection.log.write([Put(id="a", text=name)], 5)
            collection.save()
    shutil.rmtree(tmp_path / "new" / "index")
    shutil.copytree(tmp_path / "old" / "index", tmp_path / "new" / "index")
    (hit,) = ask(opened("new"), "new").hits
    assert hit.sparse_rank == 1


def test_a_full_disk_costs_the_index_not_the_write(collection, put, monkeypatch, caplog, ask):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saved, "write", full)
    put(a="still here")
    collection.save()
    assert "not saved" in caplog.text
    assert ids(ask(collection, "still")) == ["a"]


def test_the_offline_embedder_learns_when_there_is_enough(collection, ask, topical):
    collection.write(topical(70))
    collection.tend()
    assert collection.stats()["embedder"].startswith("lsa:")
    found = ask(collection, "sailor", sparse_weight=0.0, k=5, filter={"range": {"i": {"lt": 60}}})
    assert all(int(one[1:]) % 3 == 0 for one in ids(found))


def test_documents_that_were_all_rewritten_are_learned_from(collection, topical):
    collection.write(topical(200))
    collection.tend()
    collection.write([Put(id=put.id, text=f"again, {put.text}") for put in topical(200)])
    collection.tend()
    assert collection.stats()["embedder"].startswith("lsa:")


def test_what_is_written_while_it_learns_is_there_afterwards(monkeypatch, topical):
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


def test_searches_and_writes_go_on_while_files_are_synced(opened, monkeypatch, ask):
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


def test_a_log_that_lost_what_its_index_knows_is_not_taken_for_empty(opened, tmp_path, topical):
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


@pytest.fixture
def churned(topical):
    def do(collection, times=4):
        """Documents of two embedders' worth of text, replaced, changed in their metadata and removed."""
        rng = np.random.default_rng(5)
        for turn in range(times):
            collection.write(
                [
                    Put(id=one.id, text=f"{one.text} {turn if int(one.id[1:]) % 3 else 0}", metadata={"turn": turn},
                        vector=rng.standard_normal(16).astype("<f4").tobytes() if collection._space else b"",
                        embedder=collection._space or "")
                    for one in topical(90)
                ]
            )  # fmt: skip
            collection.write([Remove(id=f"d{i}") for i in range(turn, 90, 7)])

    return do


@pytest.fixture
def scored(ask):
    def do(collection, **config):
        vector = np.linspace(-1, 1, 16).astype("<f4").tobytes() if collection._space else b""
        asked = ("captain ship harbour", "flour in the oven", "note 17", "runway 2")
        return [ask(collection, text, vector=vector, k=40, **config).hits for text in asked]

    return do


@pytest.mark.parametrize("space", ["", "m"])
def test_dead_rows_are_cleared_out(opened, crowding, space, ask, churned):
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
def test_rebuilt_grown_or_made_anew_the_results_are_the_same(opened, tmp_path, space, monkeypatch, churned, scored):
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


def test_what_another_process_made_anew_is_used(opened, crowding, monkeypatch, ask, churned, scored):
    one, other = opened(space="m"), opened(space="m")
    monkeypatch.setattr(derived_module, "_CROWD", 10_000)
    churned(one)
    ask(other, "captain")
    monkeypatch.setattr(derived_module, "_CROWD", 20)
    one.tend()
    monkeypatch.setattr(tended, "built", lambda *_: pytest.fail("it was there already"))
    other.tend()
    assert other.stats()["rows"] == one.stats()["rows"]
    assert scored(one, deterministic=True) == scored(other, deterministic=True)


@pytest.mark.usefixtures("untended")
def test_writes_and_searches_go_on_while_it_is_made_anew(opened, monkeypatch, ask, churned):
    collection, during = opened(), []
    churned(collection, times=2)
    monkeypatch.setattr(derived_module, "_CROWD", -10_000)
    real = tended.built

    def slow(*args):
        fresh = real(*args)
        collection.write([Put(id="meanwhile", text="zeppelin"), Remove(id="d1")])
        during.append(ids(ask(collection, "zeppelin", k=1)))
        return fresh

    monkeypatch.setattr(tended, "built", slow)
    assert collection._replace()
    assert during == [["meanwhile"]]
    assert ids(ask(collection, "zeppelin", k=1)) == ["meanwhile"]
    assert "d1" not in ids(ask(collection, "captain ship harbour wave", k=90))


# -- what fails, and for how long --------------------------------------------------------------------------------------


def test_what_cannot_be_tended_is_left_for_a_while(opened, ticking, monkeypatch, caplog, ask, topical):
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
    ticking.ms += tended.REST_MS
    ask(collection, "ship")
    collection._tender.join()
    assert "trouble" not in collection.stats()
    assert collection.stats()["embedder"].startswith("lsa:")


def test_closing_begins_nothing_on_the_log_that_it_closes(opened, monkeypatch, topical):
    monkeypatch.setattr(tended, "_WORTH", 1)
    collection, other = opened(), opened()
    collection.write([Put(id="a", text="sea")])
    other.log.write(topical(90), 1)  # there is something to learn, which it has not seen yet
    collection.close()
    assert collection._saved == 91
    assert collection._tender is None


def test_an_index_that_cannot_be_saved_is_not_saved_at_every_search(opened, monkeypatch, caplog, ask, topical):
    monkeypatch.setattr(tended, "SAVE_EVERY", 10)
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
def test_history_does_not_grow_without_bound(tmp_path, ticking, backend, monkeypatch, ask):
    monkeypatch.setattr(tended, "HISTORY", 30)

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
    monkeypatch.setattr(tended, "HISTORY", 5)
    collection = opened()
    for i in range(40):
        collection.write([Put(id="a", text=f"sea {i}")])
    collection.tend()
    assert len(collection.log.history("a")) == 40


def test_indexes_of_embedders_long_unused_are_removed(opened, tmp_path):
    for name in "abcdef":
        with opened(space=name) as collection:
            collection.write([Put(id="x", text=name)])
            collection.save()
    assert len([*(tmp_path / "c" / "index").glob("of-*")]) == 4


def test_deterministic_searches_do_not_wait_for_what_runs_in_the_background(opened, monkeypatch, ask, churned, scored):
    collection, go, begun = opened(space="m"), threading.Event(), threading.Event()
    churned(collection, times=2)
    monkeypatch.setattr(derived_module, "_CROWD", -10_000)
    real = tended.built

    def slow(*args):
        begun.set()
        assert go.wait(10)
        return real(*args)

    monkeypatch.setattr(tended, "built", slow)
    ask(collection, "captain")
    assert begun.wait(10)
    before = scored(collection, deterministic=True)
    go.set()
    collection._tender.join()
    assert collection.stats()["rows"] == collection.stats()["documents"]
    assert scored(collection, deterministic=True) == before


@pytest.mark.usefixtures("untended")
def test_what_was_learned_while_it_was_made_anew_is_not_lost(opened, monkeypatch, ask, churned, scored):
    collection = opened()
    churned(collection, times=2)
    collection.tend()
    monkeypatch.setattr(derived_module, "_CROWD", -10_000)
    real = tended.built

    def meanwhile(*args):
        fresh = real(*args)
        collection.write([Put(id="d2", text="changed")])
        ask(collection, "changed", deterministic=True)
        return fresh

    monkeypatch.setattr(tended, "built", meanwhile)
    assert not collection._replace(), "another time"
    monkeypatch.setattr(tended, "built", real)
    before = scored(collection, deterministic=True)
    assert collection._replace()
    assert scored(collection, deterministic=True) == before
