"""Vectors in a file and behind it in memory: the same whatever lies where."""

import numpy as np
import pytest

from clew.context.damage import Damaged
from clew.context.dense.vectors import Vectors

DIMS = 4


def points(n, seed=1):
    return np.random.default_rng(seed).standard_normal((n, DIMS)).astype(np.float32)


@pytest.fixture
def both(tmp_path):
    """Five from a file, three more in memory; and all eight."""
    all_ = points(8)
    Vectors.none(DIMS).plus(all_[:5]).save(tmp_path / "v", None)
    return Vectors.load(tmp_path / "v", DIMS, 5).plus(all_[5:]), all_


def test_where_they_lie_makes_no_difference(both):
    vectors, all_ = both
    query = points(1, seed=2)[0]
    assert vectors.total == 8
    np.testing.assert_allclose(vectors.dots(query), all_ @ query, rtol=1e-5)
    places = np.array([1, 4, 5, 7])
    np.testing.assert_allclose(vectors.dots(query, places), (all_ @ query)[places], rtol=1e-5)
    np.testing.assert_array_equal(vectors.at(places), all_[places])
    np.testing.assert_array_equal(np.concatenate(list(vectors.parts(2, 7))), all_[2:7])


def test_an_older_one_does_not_see_what_came_later(both):
    older, all_ = both
    newer = older.plus(points(2, seed=3))
    assert (older.total, newer.total) == (8, 10)
    np.testing.assert_array_equal(older.at(np.arange(8)), all_)


def test_a_file_is_continued_behind_what_is_there(both, tmp_path):
    vectors, all_ = both
    vectors.save(tmp_path / "w", tmp_path / "v")
    assert (tmp_path / "v").stat().st_ino == (tmp_path / "w").stat().st_ino
    np.testing.assert_array_equal(vectors.saved(tmp_path / "w", 8).at(np.arange(8)), all_)
    np.testing.assert_array_equal(Vectors.load(tmp_path / "v", DIMS, 5).at(np.arange(5)), all_[:5])


def test_a_file_that_somebody_wrote_behind_is_not_continued(both, tmp_path):
    vectors, all_ = both
    with (tmp_path / "v").open("ab") as file:
        file.write(b"more")
    vectors.save(tmp_path / "w", tmp_path / "v")
    assert (tmp_path / "v").stat().st_ino != (tmp_path / "w").stat().st_ino
    np.testing.assert_array_equal(Vectors.load(tmp_path / "w", DIMS, 8).at(np.arange(8)), all_)


@pytest.mark.parametrize("harm", ["gone", "header", "dims", "short"])
def test_damage_is_noticed(both, tmp_path, harm):
    path = tmp_path / "v"
    if harm == "gone":
        path.unlink()
    elif harm == "header":
        path.write_bytes(b"x" * 4096)
    elif harm == "short":
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Damaged):
        Vectors.load(path, DIMS + (harm == "dims"), 5)
