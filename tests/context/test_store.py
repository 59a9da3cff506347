"""The store: scopes on disk, backends, tenants apart, what is open."""

import threading

import msgspec
import pytest

from clew.context import store as module
from clew.context.store import ContextStore, Keeping, keeping_of
from clew.context.turns import DIGEST, TURN, Bounds, recall
from clew.core.errors import NotFound, UsageError
from clew.gate.ports.context import Put, Query
from clew.manifest.models.agents import Memory


@pytest.fixture
def make(tmp_path, ticking):
    made = []

    def store(tenant="t", root=tmp_path, **kwargs):
        made.append(ContextStore(root, tenant, now=ticking, **kwargs))
        return made[-1]

    yield store
    for one in made:
        one.close()


def keep(store, scope, text="words"):
    with store.using(scope) as collection:
        collection.write([Put(id="a", text=text)])


def texts(store, scope):
    with store.using(scope, create=False) as collection:
        return [collection.get(hit.doc_id).text for hit in collection.search(Query(text="words")).hits]


@pytest.mark.parametrize("backend", ["sqlite", "file"])
def test_kept_and_opened_again(make, backend):
    keeping = {"project": Keeping(backend)}
    first = make(keeping=keeping)
    keep(first, "project:demo", "some words")
    first.close()
    assert texts(make(keeping=keeping), "project:demo") == ["some words"]


def test_scopes_and_tenants_are_apart(make):
    one, other = make("one"), make("two")
    keep(one, "project:a", "words of a")
    keep(one, "global", "words of all")
    keep(other, "project:a", "words of others")
    assert texts(one, "project:a") == ["words of a"]
    assert texts(other, "project:a") == ["words of others"]
    assert one.scopes() == ["global", "project:a"]
    assert make("three").scopes() == []


def test_what_was_never_written_is_not_there(make, tmp_path):
    with pytest.raises(NotFound, match="nothing is kept in task:x") as said, make().using("task:x", create=False):
        pass
    assert f"which would be in {tmp_path / 'context' / 'tenant=t' / 'task=x'}" in str(said.value)


def test_what_is_there_is_the_truth_whatever_is_declared(make, caplog):
    keep(make(keeping={"global": Keeping("file")}), "global", "words in a file")
    assert texts(make(), "global") == ["words in a file"]
    assert caplog.messages == [], "nobody declared another one"
    with make(keeping={"global": Keeping("sqlite")}).using("global") as collection:
        assert (collection.stats()["backend"], collection.stats()["documents"]) == ("file", 1)
    (said,) = caplog.messages
    assert "tenant=t/global stays with backend file, though sqlite is declared: to change it, move that folder" in said


def test_retention_is_enforced(make):
    memory = msgspec.convert(
        {"task_store": {"backend": "file", "retention": {"max_items": 2}, "path": "kept/here"}}, Memory
    )
    store = make(keeping=keeping_of(memory))
    with store.using("task:r1") as collection:
        for name in ("a", "b", "c"):
            collection.write([Put(id=name, text=f"words {name}")])
        assert sorted(collection.log.ids()) == ["b", "c"]
    assert [hit[-1] for hit in texts(store, "task:r1")] == ["b", "c"]
    assert store.scopes() == ["task:r1"]


def test_retention_leaves_what_was_decided(make):
    memory = msgspec.convert({"session_store": {"backend": "file", "retention": {"max_items": 2}}}, Memory)
    with make(keeping=keeping_of(memory)).using("session:s") as collection:
        for n in range(5):
            collection.write([Put(id=f"t{n}", text=f"We chose {n}.", metadata={"kind": TURN, "role": "user"})])
        assert [one.text for one in recall(collection, Bounds()).decisions] == [f"We chose {n}." for n in range(4)]
        assert list(collection.log.ids()) == [DIGEST, "t3", "t4"]


@pytest.mark.parametrize(
    ("declared", "said"),
    [({"backend": "postgres"}, "not available"), ({"path": "/etc"}, "not below"), ({"path": "a/../.."}, "not below")],
)
def test_what_cannot_be_is_refused(declared, said):
    with pytest.raises(UsageError, match=said):
        keeping_of(msgspec.convert({"global_store": declared}, Memory))


def test_nothing_declared_keeps_all_by_default():
    assert keeping_of(None) == keeping_of(Memory()) == {}


def test_those_that_nobody_uses_are_closed(make, monkeypatch):
    monkeypatch.setattr(module, "MOST_OPEN", 2)
    store = make()
    for i in range(3):
        keep(store, f"task:{i}")
    with store.using("task:1") as one, store.using("task:2"), store.using("task:3"):
        keep(store, "task:4")
        assert one.get("a").text == "words"
    assert all(texts(store, f"task:{i}") == ["words"] for i in range(3))


def test_what_cannot_be_opened_leaves_nothing_open(make, monkeypatch):
    store = make()
    keep(store, "project:a")
    store.close()
    closed = []
    monkeypatch.setattr(module.SqliteLog, "heads", lambda log: 1 / 0)
    monkeypatch.setattr(
        module.SqliteLog, "close", lambda log, close=module.SqliteLog.close: (closed.append(1), close(log))
    )
    with pytest.raises(ZeroDivisionError), store.using("project:a"):
        pass
    assert closed == [1]


def test_a_slow_opening_keeps_nobody_else_waiting(make, monkeypatch):
    store, go = make(), threading.Event()
    keep(store, "project:quick")
    opening, found = threading.Event(), []
    real = module.Collection

    def slow(log, folder, **kwargs):
        if "slow" in folder.name:
            opening.set()
            assert go.wait(10)
        return real(log, folder, **kwargs)

    monkeypatch.setattr(module, "Collection", slow)

    def use():
        with store.using("project:slow") as collection:
            found.append(collection)

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert opening.wait(10)
    keep(store, "project:quick", "others go on")
    keep(store, "project:new")
    assert found == []
    go.set()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len({id(one) for one in found}) == 1, "opened once for all"


def test_a_slow_closing_keeps_nobody_else_waiting(make, monkeypatch):
    monkeypatch.setattr(module, "MOST_OPEN", 1)
    store, closing, go = make(), threading.Event(), threading.Event()
    keep(store, "task:old")
    close = module.Collection.close

    def slow(collection):
        if not go.is_set():
            closing.set()
            assert go.wait(10)
        close(collection)

    monkeypatch.setattr(module.Collection, "close", slow)
    evicting = threading.Thread(target=keep, args=(store, "task:new"))
    evicting.start()
    assert closing.wait(10)
    with store.using("task:new") as collection:
        assert collection.stats()["documents"] == 0
    again = threading.Thread(target=keep, args=(store, "task:old", "words anew"))
    again.start()
    go.set()
    evicting.join()
    again.join()
    assert texts(store, "task:old") == ["words anew"]
    assert texts(store, "task:new") == ["words"]


def test_one_that_cannot_be_opened_is_asked_for_again(make):
    store = make()
    with pytest.raises(NotFound), store.using("task:x", create=False):
        pass
    keep(store, "task:x")
    assert texts(store, "task:x") == ["words"]


def test_without_a_directory_memory_ends_with_the_store(make):
    store = make(root=None)
    keep(store, "global")
    assert texts(store, "global") == ["words"]
    store.close()
    assert make(root=None).scopes() == []


def test_only_a_session_has_a_digest_that_retention_spares(make):
    bounds = msgspec.convert(
        {f"{kind}_store": {"retention": {"max_items": 1, "max_size": "1KiB"}} for kind in ("project", "session")},
        Memory,
    )
    store = make(keeping=keeping_of(bounds))
    with store.using("session:s") as collection:
        collection.write([Put(id=DIGEST, text="x" * 2000), Put(id="a"), Put(id="b")])
        assert list(collection.log.ids()) == ["b", DIGEST]
    with store.using("project:p") as collection, pytest.raises(UsageError, match="takes"):
        collection.write([Put(id=DIGEST, text="x" * 2000)])
