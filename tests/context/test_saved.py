"""What is derived as files, where they are saved, and which of them are used."""

import shutil
from contextlib import closing
from functools import partial

import numpy as np
import pytest

from clew.context import saved, shelf
from clew.context.damage import Damaged
from clew.context.derived import Derived
from clew.context.following import built
from clew.context.log.port import MOST_EMBEDDERS
from clew.context.log.sqlite import SqliteLog
from clew.core.errors import JournalError
from clew.gate.ports.context import Put, Relation, Version


@pytest.fixture
def log(tmp_path):
    with closing(SqliteLog.open(tmp_path / "truth.db")) as made:
        made.write([Put(id="a", text="apple"), Put(id="b", text="pear")], 1)
        yield made


def publish(folder, log, space=""):
    derived = built(log, space)
    assert saved.publish(saved.base(folder, space), str(derived.seen), partial(saved.write, derived))
    return derived


def test_each_declared_embedder_has_a_folder_of_its_own(tmp_path):
    folders = {saved.base(tmp_path, space) for space in ("", "m", "n", "a/../b")}
    assert len(folders) == 4
    assert all(folder.parent in (tmp_path, tmp_path / "index") for folder in folders)


def test_what_was_saved_is_loaded(tmp_path, log):
    base = saved.base(tmp_path, "")
    assert saved.loaded(base, log, "") is None
    made = publish(tmp_path, log)
    found = saved.loaded(base, log, "")
    assert (found.seen, found.named([0, 1])) == (made.seen, ["a", "b"])


def test_what_is_odd_is_not_used(tmp_path, log, caplog):
    publish(tmp_path, log)
    base = saved.base(tmp_path, "")
    (base / shelf.current(base) / "header.json").write_text("{}")
    assert saved.loaded(base, log, "") is None
    assert "made anew" in caplog.text


def test_an_index_of_another_log_is_not_used(tmp_path, log):
    publish(tmp_path, log)
    with closing(SqliteLog.open(tmp_path / "other.db")) as other:
        other.write([Put(id="x", text="plum"), Put(id="y", text="fig")], 1)
        assert saved.loaded(saved.base(tmp_path, ""), other, "") is None
    with (
        closing(SqliteLog.open(tmp_path / "empty.db")) as empty,
        pytest.raises(JournalError, match="ends before version 2"),
    ):
        saved.loaded(saved.base(tmp_path, ""), empty, "")


def test_nobody_saves_while_another_does(tmp_path, log):
    base = saved.base(tmp_path, "")
    base.mkdir(parents=True)
    with shelf.locked(base) as mine:
        assert mine
        assert not saved.publish(base, "1", partial(saved.write, Derived()))


def test_of_embedders_that_nobody_uses_any_more_the_indexes_go(tmp_path, log):
    names = [f"m{i}" for i in range(MOST_EMBEDDERS + 2)]
    for name in names:
        publish(tmp_path, log, name)
    there = {name for name in names if saved.base(tmp_path, name).exists()}
    assert len(there) == MOST_EMBEDDERS
    assert names[-1] in there


# -- files -------------------------------------------------------------------------------------------------------------


def version(n, id, text="", **fields):  # noqa: A002 - the field's name
    return Version(n=n, id=id, version=fields.pop("version", 1), text=text, at=n, **fields)


def packed(*numbers):
    return np.array(numbers, dtype="<f4").tobytes()


def test_written_and_read(tmp_path):
    derived = Derived()
    derived.apply([version(1, "a", "red apples", metadata={"n": 1}), version(2, "b", "green", deleted=True)])
    saved.write(derived, tmp_path / "index" / "1")
    loaded = saved.read(tmp_path / "index" / "1")
    assert (loaded.seen, loaded.last, loaded.space) == (2, derived.last, "")
    rows, _ = loaded.sparse("apples", 10, None)
    assert loaded.named(rows.tolist()) == ["a"]
    assert loaded.stats() == derived.stats()


@pytest.mark.parametrize(
    "header",
    [b"", b"{", b'{"format": 3}', b"[]", b'\xff', b'{"format":3,"seen":1,"attached":0,"last":"","space":"","learned":0}'],
)  # fmt: skip
def test_a_header_that_is_odd_is_damage(tmp_path, header):
    derived = Derived()
    derived.apply([version(1, "a", "red")])
    saved.write(derived, tmp_path / "1")
    (tmp_path / "1" / "header.json").write_bytes(header)
    with pytest.raises(Damaged):
        saved.read(tmp_path / "1")


def test_nothing_there_is_damage(tmp_path):
    with pytest.raises(Damaged):
        saved.read(tmp_path / "none")


def grown(count):
    derived = Derived("m")
    for i in range(1, count + 1):
        facts = (Relation(subject=f"d{i % 9}", relation="is", object=f"{i}"),)
        given = {"vector": packed(i, 1), "embedder": "m", "relations": facts, "metadata": {"i": i}}
        derived.apply([version(i, f"d{i % 9}", f"sea {i}", version=i, **given)])
    return derived


@pytest.mark.parametrize("part", ["rows", "sparse", "columns", "graph", "dense", "header.json"])
def test_a_part_of_another_state_is_noticed(tmp_path, part):
    """Whole parts, each with what its own digests say."""
    saved.write(grown(20), tmp_path / "old")
    saved.write(grown(23), tmp_path / "new")
    mixed, taken = tmp_path / "new" / part, tmp_path / "old" / part
    if taken.is_dir():
        shutil.rmtree(mixed)
        shutil.copytree(taken, mixed)
    else:
        shutil.copy(taken, mixed)
    with pytest.raises(Damaged, match="is not what was saved"):
        saved.read(tmp_path / "new")


def test_a_file_that_is_missing_cut_or_changed_is_noticed(tmp_path):
    saved.write(grown(100), tmp_path / "1")
    saved.read(tmp_path / "1")
    for path in sorted(path for path in (tmp_path / "1").rglob("*") if path.is_file()):
        data = path.read_bytes()
        for wrong in (data[:-1], data[:5] + bytes([data[5] ^ 1]) + data[6:]) if data else (None,):
            path.unlink()
            if wrong is not None:
                path.write_bytes(wrong)
            with pytest.raises(Damaged):
                saved.read(tmp_path / "1")
            path.write_bytes(data)
    saved.read(tmp_path / "1")


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (lambda d: d.columns.add(np.array([99]), [{}]), "rows, words and metadata"),
        (lambda d: setattr(d, "seen", 5), "later places"),
        (lambda d: d.vectors.add(np.array([99]), np.ones((1, 2), np.float32)), "rows and vectors"),
        (lambda d: d.terms.add(np.array([50]), ["sea"]), "rows, words and metadata"),
    ],
)
def test_parts_that_do_not_agree_are_noticed(tmp_path, harm, what):
    derived = grown(20)
    harm(derived)
    saved.write(derived, tmp_path / "1")
    with pytest.raises(Damaged, match=what):
        saved.read(tmp_path / "1")
