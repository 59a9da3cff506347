"""Rows: one live row a document, growth, files that are not trusted."""

import numpy as np
import pytest

from clew.context.damage import Damaged
from clew.context.rows import UNLIKE, Rows


@pytest.fixture
def rows():
    made = Rows()
    for i in range(3000):
        made.add(f"d{i}", i + 1, 1000 + i)
    return made


def test_a_put_replaces(rows):
    assert rows.kill("d5") == 5
    assert rows.add("d5", 3001, 9) == 3000
    assert rows.by_id["d5"] == 3000
    assert not rows.live[5]
    assert rows.live[3000]
    assert rows.kill("nobody") is None
    assert rows.named([0, 3000]) == ["d0", "d5"]


def test_vectors_are_counted_by_length_while_their_rows_live(rows):
    assert rows.most_given() == 0
    rows.give(np.array([1, 2, 2999, 4, 5]), [2, 2, 3, 0, UNLIKE])
    rows.give(np.array([6, 7]), [UNLIKE, UNLIKE])
    assert (rows.given, rows.most_given()) == ({2: 2, 3: 1, UNLIKE: 3}, 2)
    rows.kill("d2")
    rows.kill("d4")
    assert (rows.given[2], rows.most_given()) == (1, 3), "of two that are as many, the longer"
    rows.add("d2", 3001, 9)
    rows.give(np.array([2999]), [2])
    assert (rows.given[2], rows.given[3], rows.most_given()) == (2, 0, 2)


def test_saved_and_loaded(rows, tmp_path):
    rows.give(np.array([6, 7, 8]), [UNLIKE, UNLIKE, 384])
    rows.kill("d7")
    rows.save(tmp_path / "rows")
    loaded = Rows.load(tmp_path / "rows")
    assert loaded.ids == rows.ids
    assert loaded.by_id == rows.by_id
    np.testing.assert_array_equal(loaded.places, rows.places)
    np.testing.assert_array_equal(loaded.times, rows.times)
    np.testing.assert_array_equal(loaded.lengths, rows.lengths)
    assert loaded.given == rows.given == {UNLIKE: 1, 384: 1}
    loaded.add("new", 4000, 1)
    assert len(loaded) == 3001


@pytest.mark.parametrize("name", ["ids.msgpack", "live.npy", "places.npy", "times.npy", "lengths.npy"])
@pytest.mark.parametrize("harm", ["gone", "empty", "short", "other"])
def test_damage_is_noticed(rows, tmp_path, name, harm):
    rows.save(tmp_path / "rows")
    file = tmp_path / "rows" / name
    if harm == "gone":
        file.unlink()
    elif harm == "other":
        np.save(tmp_path / "other.npy", np.zeros(3))
        file.write_bytes((tmp_path / "other.npy").read_bytes())
    else:
        file.write_bytes(file.read_bytes()[: 0 if harm == "empty" else 200])
    with pytest.raises(Damaged):
        Rows.load(tmp_path / "rows")


def test_two_live_rows_of_one_document_are_damage(rows, tmp_path):
    rows.ids[1] = "d0"
    rows.save(tmp_path / "rows")
    with pytest.raises(Damaged, match="two live rows"):
        Rows.load(tmp_path / "rows")
