import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.context.dense import DenseIndex, index
from clew.core.errors import UsageError


def exact(rows, vectors, query, k, mask):
    """What the contract says, in double precision: rows that may be found, and scores."""
    vectors, query = vectors.astype(np.float64), query.astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    scores = np.divide(vectors @ query, lengths, out=np.zeros(len(rows)), where=lengths > 0)
    there = np.array([r < len(mask) and mask[r] for r in rows], bool) if mask is not None else np.ones(len(rows), bool)
    rows, scores = rows[there], scores[there]
    order = np.lexsort((rows, -scores))
    return rows[order], scores[order]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_small_indexes_are_exact(data):
    dims = data.draw(st.integers(1, 7))
    numbers = st.integers(-3, 3)
    count = data.draw(st.integers(0, 25))
    vectors = np.array(
        data.draw(st.lists(st.lists(numbers, min_size=dims, max_size=dims), min_size=count, max_size=count)), np.float32
    )
    vectors = vectors.reshape(count, dims)
    rows = np.array(sorted(data.draw(st.sets(st.integers(0, 60), min_size=count, max_size=count))), np.int64)
    query = np.array(data.draw(st.lists(numbers, min_size=dims, max_size=dims)), np.float32)
    k = data.draw(st.integers(0, 30))
    mask = data.draw(st.none() | st.lists(st.booleans(), max_size=70).map(lambda bits: np.array(bits, bool)))
    made = DenseIndex(dims)
    cut = data.draw(st.integers(0, count))
    made.add(rows[:cut], vectors[:cut])
    made.add(rows[cut:], vectors[cut:])
    found, scores = made.search(query, k, mask)
    wanted, all_scores = exact(rows, vectors, query, k, mask)
    assert np.allclose(scores, all_scores[: len(scores)], atol=1e-6)
    assert len(found) >= min(k, len(wanted))
    assert len(set(found.tolist())) == len(found)
    assert set(found.tolist()) <= set(wanted.tolist())
    assert all(s < scores[k - 1] + 1e-6 for s in scores[k:])
    apart = len(wanted) > k > 0 and all_scores[k - 1] - all_scores[k] > 1e-6
    if apart:
        assert set(found.tolist()) == set(wanted[:k].tolist())
    assert list(zip(-scores, found, strict=True)) == sorted(zip(-scores, found, strict=True))


def test_nothing_is_found_where_nothing_is_or_may_be_found(cloud):
    empty = DenseIndex(3)
    one = np.ones(3, np.float32)
    assert empty.search(one, 5)[0].size == 0
    assert empty.search(one, 5, np.ones(4, bool))[0].size == 0
    small = cloud(50, 3).index()
    rows, scores = small.search(one, 5, np.zeros(50, bool))
    assert (rows.size, scores.size, rows.dtype, scores.dtype) == (0, 0, np.int64, np.float32)
    assert small.search(one, 0)[0].size == 0
    assert small.search(one, 10**9)[0].size == 50
    empty.add(np.empty(0, np.int64), np.empty((0, 3), np.float32))
    assert empty.stats()["rows"] == 0


def test_rows_that_are_newer_than_the_mask_may_not_be_found():
    made = DenseIndex(2)
    made.add(np.array([0, 2, 5]), np.ones((3, 2), np.float32))
    assert made.search(np.ones(2, np.float32), 9, np.ones(5, bool))[0].tolist() == [0, 2]


def test_equal_vectors_tie_by_row_and_ties_with_the_last_are_all_there(cloud):
    data = cloud(7000, 12)
    data.vectors[::7] = data.vectors[0]  # 1,000 of them
    made = data.index()
    same = np.arange(0, 7000, 7)
    assert made.stats()["coded"] > 6000
    for size in (400, 7000):
        mask = np.arange(7000) < size
        rows, scores = made.search(data.vectors[0], 3, mask)
        assert rows.tolist() == same[same < size].tolist()
        assert len(set(scores.tolist())) == 1


def test_no_more_than_a_thousand_ties():
    made = DenseIndex(2)
    made.add(np.arange(1500), np.ones((1500, 2), np.float32))
    assert made.search(np.ones(2, np.float32), 10)[0].tolist() == list(range(1010))


def test_more_ties_than_candidates_are_found_by_comparing_all(cloud):
    data = cloud(9000, 12)
    data.vectors[1000:4000] = data.vectors[0]
    rows, _ = data.index().search(data.vectors[0], 3)
    assert rows.tolist() == [0, *range(1000, 2002)]


def test_zero_vectors_are_like_nothing():
    made = DenseIndex(2)
    made.add(np.array([0, 1, 3, 4]), np.array([[0, 0], [1, 0], [-1, 0], [0, 0]], np.float32))
    query = np.array([2, 0], np.float32)
    rows, scores = made.search(query, 4)
    assert (rows.tolist(), scores.tolist()) == ([1, 0, 4, 3], [1.0, 0.0, 0.0, -1.0])
    assert made.search(query, 1)[0].tolist() == [1]
    assert made.search(query, 4, np.array([False, True, True, True]))[0].tolist() == [1, 3]
    rows, scores = made.search(np.zeros(2, np.float32), 2)
    assert (rows.tolist(), scores.tolist()) == ([0, 1, 3, 4], [0.0] * 4)
    assert made.stats()["rows"] == 4
    assert sorted(made.rows().tolist()) == [0, 1, 3, 4]


def test_a_zero_query_in_a_large_index(large, large_index):
    rows, scores = large_index.search(np.zeros(48, np.float32), 5)
    assert rows.tolist() == list(range(1005))
    assert not scores.any()


def test_tiny_and_huge_numbers_have_a_direction():
    made = DenseIndex(2)
    made.add(np.arange(3), np.array([[1e-42, 0], [3e38, 3e38], [0, 1]], np.float32))
    rows, scores = made.search(np.array([1e-44, 0]), 3)
    assert rows.tolist() == [0, 1, 2]
    assert scores == pytest.approx([1, 0.5**0.5, 0])


@pytest.mark.parametrize(
    ("rows", "vectors"),
    [
        ([0], [[1.0, 2.0, 3.0]]),
        ([0], [1.0, 2.0]),
        ([0, 1], [[1.0, 2.0]]),
        ([0], [[1.0, float("nan")]]),
        ([0], [[1.0, float("inf")]]),
        ([1, 1], [[1.0, 2.0], [1.0, 2.0]]),
        ([2, 1], [[1.0, 2.0], [1.0, 2.0]]),
        ([-1], [[1.0, 2.0]]),
    ],
)
def test_what_cannot_be_added_changes_nothing(rows, vectors):
    made = DenseIndex(2)
    with pytest.raises(UsageError):
        made.add(np.array(rows), np.array(vectors, np.float32))
    made.add(np.array([3, 4]), np.array([[1, 1], [0, 0]], np.float32))
    with pytest.raises(UsageError, match="above 4"):
        made.add(np.array([4]), np.ones((1, 2), np.float32))
    assert made.search(np.ones(2), 9)[0].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("vector", "k", "mask"),
    [
        (np.ones(3), 1, None),
        (np.array([1.0, np.nan]), 1, None),
        (np.ones(2), -1, None),
        (np.ones(2), 1, np.ones(3, np.int64)),
        (np.ones(2), 1, np.ones((1, 1), bool)),
    ],
)
def test_what_cannot_be_searched(vector, k, mask):
    made = DenseIndex(2)
    made.add(np.array([0]), np.ones((1, 2), np.float32))
    with pytest.raises(UsageError):
        made.search(vector, k, mask)


def test_an_index_needs_a_dimension():
    with pytest.raises(UsageError):
        DenseIndex(0)


def test_recall_of_a_large_index(large, large_index):
    stats = large_index.stats()
    assert (stats["learned"], stats["coded"]) == (10_000, 12_000)
    assert large.recall(large_index) >= 0.99


@pytest.mark.parametrize("share", [0.99, 0.5, 0.2, 0.1, 0.05, 0.01, 0.001])
def test_recall_under_a_filter(large, large_index, share):
    mask = np.random.default_rng(1).random(12_000) < share
    assert large.recall(large_index, mask=mask) >= 0.99


def test_recall_where_the_filter_names_other_clusters(large, large_index):
    others = {label: large.labels % 2 != label % 2 for label in range(2)}
    assert large.recall(large_index, mask=lambda q: others[int(large.labels[large.best(q, 1)[0]]) % 2]) >= 0.99


def test_recall_under_the_worst_filter(large, large_index):
    """All but the nearest: what is left is equally far, codes cannot tell it apart, and all of it is compared."""

    def mask(query):
        found = np.ones(12_000, bool)
        found[large.best(query, 3000)] = False
        return found

    assert large.recall(large_index, mask=mask) >= 0.99


def test_many_wanted(large, large_index):
    assert large.recall(large_index, k=100) >= 0.95
    assert large.recall(large_index, k=6000) == 1


def test_odd_dimensions_are_coded_too(cloud):
    data = cloud(5500, 37)
    made = data.index()
    assert made.stats()["coded"] == 5500
    assert data.recall(made) >= 0.99


def test_rows_with_gaps(cloud):
    data = cloud(8000, 24)
    rows = np.arange(8000) * 2 + 1
    made = DenseIndex(24)
    made.add(rows, data.vectors)
    made.settle()
    for mask in (np.random.default_rng(0).random(16_001) < 0.4, np.ones(9_000, bool)):
        kept = np.zeros(8000, bool)
        kept[: len(mask) // 2] = mask[rows[: len(mask) // 2]]
        for query in data.queries[:20]:
            assert (
                np.isin(rows[data.best(query, 10, kept)], made.search(query, 10, mask, int(mask.sum()))[0]).mean()
                >= 0.9
            )
            assert mask[made.search(query, 10, mask)[0]].all()


def test_what_was_added_is_found_at_once(large):
    made = large.index()
    for i in range(40):
        odd = np.zeros((1, 48), np.float32)
        odd[0, i] = -1  # like no other
        made.add(np.array([12_000 + i]), odd)
        assert made.search(odd[0], 1)[0].tolist() == [12_000 + i]
    made.settle()


def saved(made, folder):
    made.save(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_rows_make_the_same_index_however_they_were_added(cloud, tmp_path):
    data = cloud(11_300, 24)
    at_once = data.index(deterministic=True)
    in_parts = DenseIndex(24)
    for start in range(0, 11_300, 700):
        in_parts.add(data.rows[start : start + 700], data.vectors[start : start + 700])
    in_parts.settle()
    assert at_once.stats() == in_parts.stats()
    assert saved(at_once, tmp_path / "a") == saved(in_parts, tmp_path / "b")


PROGRAM = """
import sys, numpy as np
from pathlib import Path
from clew.context.dense import DenseIndex
made = DenseIndex(24)
made.add(np.arange(6000), np.random.default_rng(5).standard_normal((6000, 24), dtype=np.float32))
made.settle()
made.save(Path(sys.argv[1]))
"""


def test_the_same_index_with_any_number_of_threads(tmp_path):
    for threads in ("1", "4"):
        limits = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path / threads)], env={**os.environ, **limits}, check=True
        )
    for name in ("codes.faiss", "vectors.f32", "rows.i64", "dense.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "4" / name).read_bytes()


def test_searches_while_rows_are_added_see_whole_additions(cloud):
    data = cloud(12_000, 24)
    made = DenseIndex(24)
    seen, faults, done = [], [], threading.Event()
    pair = np.zeros(24, np.float32)
    pair[0] = -1

    def search():
        last = 0
        while not done.is_set():
            rows, _ = made.search(pair, 1)  # the pairs tie
            same = [r for r in rows.tolist() if r % 100 < 2]
            if len(same) % 2 or len(same) < last:
                faults.append(same)
            last = len(same)
        seen.append(last)

    data.vectors[0::100] = data.vectors[1::100] = pair
    readers = [threading.Thread(target=search) for _ in range(2)]
    for reader in readers:
        reader.start()
    for start in range(0, 12_000, 100):
        made.add(data.rows[start : start + 100], data.vectors[start : start + 100])
    made.settle()
    done.set()
    for reader in readers:
        reader.join()
    assert not faults
    assert made.stats()["coded"] == 12_000


def test_without_memory_for_codes_searches_stay_exact(cloud, monkeypatch):
    def none(view):
        raise MemoryError("no more")

    monkeypatch.setattr(index, "_coded", none)
    data = cloud(6000, 12)
    made = data.index()
    assert made.stats()["fault"] == "MemoryError: no more"
    assert made.stats()["coded"] == 0
    assert data.recall(made) == 1
    made.add(np.array([6000]), np.ones((1, 12), np.float32))  # and nobody tries again


@pytest.mark.slow
def test_recall_of_sentence_like_embeddings(cloud):
    data = cloud(40_000, 384)
    made = data.index()
    assert data.recall(made) >= 0.98
    for share in (0.5, 0.1, 0.03):
        assert data.recall(made, mask=np.random.default_rng(1).random(40_000) < share) >= 0.98
