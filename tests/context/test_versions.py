"""Versions by their numbers, snapshots compared and restored."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clew.context.log.port import Log, VersionConflict
from clew.context.log.sqlite import SqliteLog
from clew.context.versions import Difference, difference, numbered, restore, standing
from clew.core.errors import NotFound
from clew.gate.ports.context import Put, Relation, Remove

AT = 1_732_272_000_000


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    """At place 4: a, b and c; at place 9: a changed, b removed, d added, e there for a while, c changed and changed back."""
    made = SqliteLog.open(tmp_path / "truth.db")
    made.write([Put(id=i, text=i, vector=b"\0\0\0\0", embedder="m", metadata={"k": i}) for i in "abc"], AT)
    made.write([Put(id="a", text="a", metadata={"k": "a2"})], AT)
    made.label("before", AT)
    made.write([Put(id="a", text="a3"), Remove(id="b"), Put(id="d"), Put(id="e"), Remove(id="e")], AT)
    made.write([Put(id="c", text="other")], AT)
    made.write([Put(id="c", text="c", metadata={"k": "c"})], AT)
    yield made
    made.close()


def contents(log: Log, n: int) -> dict[str, tuple[str, object, bytes]]:
    return {v.id: (v.text, v.metadata, v.vector) for v in log.live_at(n)}


def test_a_version_by_its_number(log: SqliteLog) -> None:
    assert [(v.version, v.text) for v in (numbered(log, "a", 1), numbered(log, "a", 3))] == [(1, "a"), (3, "a3")]
    for id_, number, why in (
        ("a", 4, "never had a version 4: the newest is 3"), ("a", 0, "never had a version 0"),
        ("b", 2, "version 2 of document 'b' is its removal"), ("nobody", 1, "there never was a document 'nobody'"),
    ):  # fmt: skip
        with pytest.raises(NotFound, match=why):
            numbered(log, id_, number)
    log.compact(log.head())
    assert numbered(log, "a", 2).metadata == {"k": "a2"}, "it is live at the label"
    with pytest.raises(NotFound, match="version 2 of document 'c' is forgotten"):
        numbered(log, "c", 2)


def test_what_became_of_the_documents(log: SqliteLog) -> None:
    assert difference(log, 4, log.head()) == Difference(("d",), ("b",), ("a",))
    assert difference(log, log.head(), 4) == Difference(("b",), ("d",), ("a",))
    assert difference(log, 0, 4) == Difference(("a", "b", "c"), (), ())
    assert difference(log, 3, 4) == Difference((), (), ("a",))
    assert difference(log, 4, 4) == Difference()


def test_relations_count_as_content(log: SqliteLog) -> None:
    before = log.head()
    log.write([Put(id="d", relations=(Relation(subject="a", relation="r", object="b"),))], AT)
    assert difference(log, before, log.head()) == Difference((), (), ("d",))


def test_restoring_a_snapshot(log: SqliteLog) -> None:
    wanted, before = contents(log, 4), log.head()
    restored = restore(log, log.labels()["before"].n, "cli", AT + 9)
    assert contents(log, log.head()) == wanted
    assert {(v.id, v.deleted, v.origin, v.at) for v in restored} == {
        ("a", False, "cli", AT + 9), ("b", False, "cli", AT + 9), ("c", False, "cli", AT + 9), ("d", True, "cli", AT + 9),
    }  # fmt: skip
    assert difference(log, 4, log.head()) == Difference()
    assert contents(log, before) != wanted  # what was there stays in the history
    head = log.head()
    assert restore(log, 4, "cli", AT) == []
    assert log.head() == head
    restore(log, 0, "cli", AT)
    assert log.count() == 0


def test_restoring_after_compaction(log: SqliteLog) -> None:
    wanted = contents(log, 4)
    log.compact(log.head())
    with pytest.raises(NotFound, match="compacted"):
        restore(log, 3, "cli", AT)
    with pytest.raises(NotFound, match="compacted"):
        difference(log, 3, 4)
    assert difference(log, 4, log.head()) == Difference(("d",), ("b",), ("a",))
    restore(log, 4, "cli", AT)
    assert contents(log, log.head()) == wanted


def test_places_to_come(log: SqliteLog) -> None:
    for call in (lambda: restore(log, 99, "cli", AT), lambda: difference(log, 4, 99)):
        with pytest.raises(NotFound, match="place 99"):
            call()


def test_somebody_writes_while_it_is_restored(log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> None:
    write, head = log.write, log.head()

    def after_another(changes, at):
        monkeypatch.undo()
        write([Put(id="d", text="meanwhile")], at)
        return write(changes, at)

    monkeypatch.setattr(log, "write", after_another)
    with pytest.raises(VersionConflict, match="'d'"):
        restore(log, 4, "cli", AT)
    assert log.head() == head + 1


def test_many_documents(tmp_path: Path) -> None:
    log = SqliteLog.open(tmp_path / "truth.db")
    log.write([Put(id=f"d{n:04}") for n in range(1200)], AT)
    log.write([Put(id=f"d{n:04}", text="new") for n in range(1200)], AT)
    assert len(difference(log, 1200, 2400).changed) == 1200
    assert len(restore(log, 1200, "cli", AT)) == 1200
    log.close()


def test_what_a_write_made_whatever_others_made_of_it_since(log: SqliteLog) -> None:
    changes = [Put(id="new", text="mine"), Put(id="d"), Remove(id="a"), Remove(id="nobody"), Put(id="e", text="again")]
    written = log.write(changes, AT)
    log.write([Put(id="new", text="theirs"), Put(id="d", text="theirs"), Put(id="a", text="theirs")], AT)
    assert standing(log, changes, written) == {"new": 1, "d": 1, "a": 0, "nobody": 0, "e": 3}


def test_what_said_the_same_already_is_what_stands(log: SqliteLog) -> None:
    before = log.get("a")
    assert before is not None
    same = Put(id="a", text=before.text, metadata=before.metadata)
    written = log.write([same], AT)
    assert (written, standing(log, [same], written)) == ([None], {"a": before.version})
    log.write([Put(id="a", text=before.text, metadata={"other": 1})], AT)
    assert standing(log, [same], written) == {"a": before.version}, "not what another has put there with other metadata"
