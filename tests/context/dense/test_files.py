import json
import shutil
import zlib

import numpy as np
import pytest

from clew.context.damage import Damaged
from clew.context.dense import DenseIndex

NAMES = ("vectors.f32", "rows.i64", "codes.faiss", "dense.json")


def same(one, other, data, k=5):
    for query in data.queries[:10]:
        a, b = one.search(query, k), other.search(query, k)
        assert a[0].tolist() == b[0].tolist()
        assert a[1].tobytes() == b[1].tobytes()


@pytest.fixture
def whole(large_index, tmp_path):
    large_index.save(tmp_path / "made")  # whose vectors it maps from now on
    return shutil.copytree(tmp_path / "made", tmp_path / "whole")


def test_what_was_saved_is_loaded(large, large_index, whole):
    loaded = DenseIndex.load(whole)
    assert loaded.stats() == large_index.stats()
    assert loaded.stats()["unsaved"] == 0
    same(loaded, large_index, large)


def test_saving_what_was_loaded_gives_the_same_files(whole, tmp_path):
    DenseIndex.load(whole).save(tmp_path / "again")
    for name in NAMES:
        assert (whole / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_an_empty_index_and_one_of_zeros(tmp_path):
    made = DenseIndex(3)
    made.save(tmp_path / "a")
    made = DenseIndex.load(tmp_path / "a")
    made.add(np.array([4]), np.zeros((1, 3), np.float32))
    made.save(tmp_path / "b", tmp_path / "a")
    made = DenseIndex.load(tmp_path / "b")
    made.add(np.array([5]), np.ones((1, 3), np.float32))
    assert made.search(np.ones(3), 9)[0].tolist() == [5, 4]


def test_rows_are_added_after_loading_and_saved_behind_the_others(large, whole, tmp_path):
    made, other = DenseIndex.load(whole), DenseIndex.load(whole)
    size = (whole / "vectors.f32").stat().st_size
    more = np.random.default_rng(3).standard_normal((30, 48)).astype(np.float32)
    for one in (made, other):
        one.add(np.arange(12_000, 12_030), more)
    made.save(tmp_path / "linked", previous=whole)
    other.save(tmp_path / "copied")
    for name in NAMES:
        assert (tmp_path / "linked" / name).read_bytes() == (tmp_path / "copied" / name).read_bytes()
    assert (whole / "vectors.f32").samefile(tmp_path / "linked" / "vectors.f32")
    assert (whole / "vectors.f32").stat().st_size == size + 30 * 48 * 4
    same(DenseIndex.load(whole), DenseIndex.load(whole), large)  # the older folder is still good
    assert DenseIndex.load(whole).stats()["rows"] == 12_000
    shutil.rmtree(whole)
    (tmp_path / "linked").rename(tmp_path / "renamed")
    made.add(np.array([12_030]), more[:1] * 2)
    made.save(tmp_path / "next", previous=tmp_path / "renamed")
    assert DenseIndex.load(tmp_path / "next").search(more[0], 1)[0].tolist() == [12_000, 12_030]
    same(made, DenseIndex.load(tmp_path / "next"), large)


def test_a_file_that_somebody_wrote_behind_is_not_continued(large, whole, tmp_path):
    made = DenseIndex.load(whole)
    with (whole / "vectors.f32").open("ab") as file:
        file.write(b"x" * 100)
    made.add(np.array([12_000]), np.ones((1, 48), np.float32))
    made.save(tmp_path / "next", previous=whole)
    assert not (whole / "vectors.f32").samefile(tmp_path / "next" / "vectors.f32")
    same(made, DenseIndex.load(tmp_path / "next"), large)
    same(DenseIndex.load(whole), DenseIndex.load(whole), large)


def test_previous_may_be_gone_or_unlinkable(large, whole, tmp_path, monkeypatch):
    made = DenseIndex.load(whole)
    made.save(tmp_path / "a", previous=tmp_path / "nowhere")

    def refuse(old, new):
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    made.save(tmp_path / "b", previous=tmp_path / "a")
    same(made, DenseIndex.load(tmp_path / "b"), large)


def test_nothing_is_written_over(whole, large_index):
    with pytest.raises(FileExistsError):
        large_index.save(whole)


@pytest.mark.parametrize("name", NAMES)
def test_missing_files(whole, name):
    (whole / name).unlink()
    with pytest.raises(Damaged):
        DenseIndex.load(whole)


@pytest.mark.parametrize("name", NAMES)
def test_short_files(whole, name):
    data = (whole / name).read_bytes()
    for length in (0, 3, len(data) // 2, len(data) - 1):
        (whole / name).write_bytes(data[:length])
        with pytest.raises(Damaged):
            DenseIndex.load(whole)


@pytest.mark.parametrize("name", ["rows.i64", "codes.faiss"])
def test_changed_files(whole, name):
    data = bytearray((whole / name).read_bytes())
    data[len(data) // 2] ^= 1
    (whole / name).write_bytes(data)
    with pytest.raises(Damaged, match="have changed"):
        DenseIndex.load(whole)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", 2),
        ("dims", 47),
        ("dims", 0),
        ("dims", 96),
        ("rows", -1),
        ("rows", 11_999),
        ("rows", 10**12),
        ("zeros", 1),
        ("coded", 11_000),
        ("coded", 10**12),
        ("learned", -1),
        ("codes_crc", 0),
        ("rows_crc", "x"),
        ("other", 1),
    ],
)
def test_odd_headers(whole, field, value):
    header = json.loads((whole / "dense.json").read_bytes())
    (whole / "dense.json").write_text(json.dumps({**header, field: value}))
    with pytest.raises(Damaged):
        DenseIndex.load(whole)


def test_rows_out_of_order(whole):
    rows = np.frombuffer((whole / "rows.i64").read_bytes(), "<i8").copy()
    for change in ((0, -1), (5, 4)):
        odd = rows.copy()
        odd[change[0]] = change[1]
        (whole / "rows.i64").write_bytes(odd.tobytes())
        header = json.loads((whole / "dense.json").read_bytes())
        (whole / "dense.json").write_text(json.dumps({**header, "rows_crc": zlib.crc32(odd.tobytes())}))
        with pytest.raises(Damaged, match="order"):
            DenseIndex.load(whole)


def test_vectors_that_are_none_are_noticed_by_the_search(large, whole):
    with (whole / "vectors.f32").open("r+b") as file:
        file.seek(64)
        file.write(np.full(12_000 * 48, np.nan, np.float32).tobytes())
    with pytest.raises(Damaged):
        DenseIndex.load(whole).search(large.queries[0], 5)


def test_loading_goes_on_with_what_is_due(cloud, tmp_path, monkeypatch):
    data = cloud(5200, 12)
    made = DenseIndex(12)
    monkeypatch.setattr(made, "_catch_up", lambda: None)
    made.add(data.rows, data.vectors)
    made.save(tmp_path / "a")
    loaded = DenseIndex.load(tmp_path / "a", deterministic=True)
    assert loaded.stats()["coded"] == 5000
    assert data.recall(loaded) >= 0.99
