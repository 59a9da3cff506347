"""Where indexes are saved, and which of them is used."""

from contextlib import closing

import pytest

from clew.context import saved, shelf
from clew.context.derived import Derived
from clew.context.following import built
from clew.context.log.port import MOST_EMBEDDERS
from clew.context.log.sqlite import SqliteLog
from clew.core.errors import JournalError
from clew.gate.ports.context import Put


@pytest.fixture
def log(tmp_path):
    with closing(SqliteLog.open(tmp_path / "truth.db")) as made:
        made.write([Put(id="a", text="apple"), Put(id="b", text="pear")], 1)
        yield made


def publish(folder, log, space=""):
    derived = built(log, space)
    assert saved.publish(saved.base(folder, space), str(derived.seen), derived.save)
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
        assert not saved.publish(base, "1", Derived().save)


def test_of_embedders_that_nobody_uses_any_more_the_indexes_go(tmp_path, log):
    names = [f"m{i}" for i in range(MOST_EMBEDDERS + 2)]
    for name in names:
        publish(tmp_path, log, name)
    there = {name for name in names if saved.base(tmp_path, name).exists()}
    assert len(there) == MOST_EMBEDDERS
    assert names[-1] in there
