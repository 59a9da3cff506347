"""The index against a plain Python BM25: the same rows in the same order, with the same scores."""

import random
from collections import Counter
from math import log
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest

from clew.context.damage import Damaged
from clew.context.sparse import SparseIndex, arrays, postings, rank, words
from clew.context.sparse import index as module
from clew.context.sparse.analyze import STOP


class Plain:
    """BM25 as it is written in books."""

    def __init__(self) -> None:
        self.docs: dict[int, Counter[str]] = {}

    def search(self, text: str, k: int, allowed: set[int]) -> list[tuple[int, float]]:
        docs = {row: counts for row, counts in self.docs.items() if counts}
        asked = Counter(words(text))
        df = Counter(term for counts in docs.values() for term in counts if term in asked)
        used = [term for term in df if term not in STOP] or list(df)
        average = sum(counts.total() for counts in docs.values()) / max(1, len(docs))
        scores: dict[int, float] = {}
        for row in allowed & docs.keys():
            counts = docs[row]
            against = 1.2 * (0.25 + 0.75 * counts.total() / average)
            parts = [
                asked[t] * log(1 + (len(docs) - df[t] + 0.5) / (df[t] + 0.5)) * counts[t] / (counts[t] + against)
                for t in used
            ]
            if any(parts):
                scores[row] = float(np.float32(sum(parts)))
        ranked = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
        return [pair for pair in ranked if len(ranked) <= k or pair[1] >= ranked[k - 1][1]]


class Both:
    """An index and a plain one that are told the same."""

    def __init__(self, seed: int, vocabulary: int, longest: int) -> None:
        self.random = random.Random(seed)
        self.vocabulary = [f"w{i}" for i in range(vocabulary)] + ["the"]
        self.longest = longest
        self.index, self.plain, self.row = SparseIndex(), Plain(), -1

    def text(self, longest: int) -> str:
        picks = (self.random.expovariate(4 / len(self.vocabulary)) for _ in range(self.random.randint(0, longest)))
        return " ".join(self.vocabulary[min(int(pick), len(self.vocabulary) - 1)] for pick in picks)

    def add(self) -> None:
        self.row += self.random.choice([1, 1, 1, 3])
        text = self.text(self.longest)
        self.index.add(np.array([self.row]), [text])
        self.plain.docs[self.row] = Counter(words(text))

    def remove(self) -> None:
        row = self.random.choice([*self.plain.docs, 10**6])
        self.plain.docs.pop(row, None)
        self.index.remove(np.array([row, row]))

    def check(self, k: int) -> None:
        text, mask, allowed = self.text(8), None, set(self.plain.docs)
        if self.random.random() < 0.6:
            mask = np.zeros(max(1, self.row + self.random.choice([-3, 1, 5])), dtype=np.bool_)
            share = self.random.choice([0.02, 0.5])
            allowed = {row for row in allowed if row < len(mask) and self.random.random() < share}
            mask[list(allowed)] = True
        rows, scores = self.index.search(text, k, mask, None if mask is None else int(mask.sum()))
        expected = self.plain.search(text, k, allowed)
        assert rows.tolist() == [row for row, _ in expected]
        assert rows.dtype == np.int64
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, [score for _, score in expected], rtol=1e-6)


@pytest.mark.parametrize("seed", range(32))
def test_every_search_is_exact_while_rows_come_and_go(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if seed % 4 > 1:  # what is done for many rows is done for few
        for name, value in (("_LONG", 1), ("_FEW", 2), ("_FEW_ALLOWED", 2), ("_DEARER", 0)):
            monkeypatch.setattr(rank, name, value)
        for name, value in (("_COMMON", 3), ("_COLUMNS", 2), ("_CHUNK", 7)):
            monkeypatch.setattr(postings, name, value)
    both = Both(seed, vocabulary=(3, 10, 100)[seed % 3], longest=(5, 20)[seed % 2])
    for step in range((30, 150)[seed % 2]):
        both.add()
        if both.random.random() < 0.3:
            both.remove()
        if both.random.random() < 0.05:
            both.index.fold()
            assert both.index.pending == 0
        if both.random.random() < 0.02:
            both.index.save(tmp_path / str(step))
            both.index = SparseIndex.load(tmp_path / str(step))
        if both.random.random() < 0.2:
            both.check(both.random.choice([1, 3, 10, 50]))


@pytest.mark.parametrize("seed", [1])
def test_skipping_terms_changes_nothing(seed: int) -> None:
    """Enough rows for common terms to have columns, and for terms to be left out by their bounds."""
    both = Both(seed, vocabulary=300, longest=30)
    for _ in range(5000):
        both.add()
    both.index.fold()
    for _ in range(15):
        both.check(10)
    for _ in range(600):  # the impacts in the folded part are now a little off
        both.longest = 90
        both.add()
        both.remove()
    for k in (1, 10, 100) * 5:
        both.check(k)


def test_all_rows_that_tie_with_the_last_are_there_up_to_a_thousand() -> None:
    index = SparseIndex()
    index.add(np.arange(3000), ["same words"] * 1500 + ["same words, and better words"] * 3 + ["other"] * 1497)
    assert index.search("better", 1)[0].tolist() == [1500, 1501, 1502]
    rows, scores = index.search("same", 5)
    assert rows[:4].tolist() == [0, 1, 2, 3]
    assert len(rows) == 1005
    assert len(set(scores.tolist())) == 1


def test_the_same_steps_give_the_same_files_and_scores_do_not_depend_on_folding(tmp_path: Path) -> None:
    def made(*folds: int) -> SparseIndex:
        both = Both(7, vocabulary=50, longest=20)
        for step in range(200):
            both.add()
            both.remove()
            if step in folds:
                both.index.fold()
        return both.index

    one, two, late = made(50, 120), made(50, 120), made()
    for name, index in (("one", one), ("two", two), ("late", late)):
        index.save(tmp_path / name)
    again = SparseIndex.load(tmp_path / "one")
    again.save(tmp_path / "again")
    files = {path.name for path in (tmp_path / "one").iterdir()}
    for name in files:
        assert len({(tmp_path / folder / name).read_bytes() for folder in ("one", "two", "late", "again")}) == 1
    for found in (two, late, again):
        assert found.search("w1 w2 w9", 10)[1].tobytes() == one.search("w1 w2 w9", 10)[1].tobytes()


def test_rows_that_are_there_already_are_passed_over_and_dead_ones_stay_dead() -> None:
    index = SparseIndex()
    for _ in range(2):
        index.add(np.array([0, 1, 2]), ["cat", "dog", "cat dog"])
        index.remove(np.array([1]))
        assert index.search("dog", 5)[0].tolist() == [2]
        index.fold()
        assert index.stats()["rows"] == 2


def test_nothing_is_found_where_nothing_is() -> None:
    index = SparseIndex()
    assert index.search("cat", 5)[0].tolist() == []
    index.fold()
    index.add(np.array([0]), [""])
    assert index.search("cat", 5)[0].tolist() == []
    index.add(np.array([1]), ["cat"])
    assert index.search("", 5)[0].tolist() == []
    assert index.search("dog", 5)[0].tolist() == []
    assert index.search("cat", 0)[0].tolist() == []
    assert index.search("cat", 5, np.zeros(2, dtype=np.bool_), 0)[0].tolist() == []
    index.remove(np.array([1]))
    assert index.search("cat", 5)[0].tolist() == []
    index.fold()
    assert index.search("cat", 5)[0].tolist() == []
    assert index.stats()["mean_length"] == 0.0


def test_stop_words_count_only_when_there_is_nothing_else() -> None:
    index = SparseIndex()
    index.add(np.array([0, 1, 2]), ["the who", "who is the cat", "a dog"])
    assert index.search("who is the cat", 5)[0].tolist() == [1]
    assert index.search("the who", 5)[0].tolist() == [0, 1]
    assert index.search("who is the unicorn", 5)[0].tolist() == [1, 0]


def test_of_a_long_query_the_weightiest_terms_count() -> None:
    index = SparseIndex()
    index.add(np.arange(201), [f"common r{i}" for i in range(200)] + ["common"])
    rows, _ = index.search(" ".join(["common", *(f"r{i}" for i in range(100))]), 300)
    assert rows.tolist() == list(range(module.MOST_TERMS))


def test_a_term_counts_at_most_so_often() -> None:
    index = SparseIndex()
    index.add(np.array([0, 1]), ["cat " * 70_000, "dog"])
    assert index.search("cat", 1)[0].tolist() == [0]
    index.fold()
    assert index.search("cat", 1)[0].tolist() == [0]


def test_what_dies_while_the_index_is_folded_is_dead_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    index = SparseIndex()
    index.add(np.arange(4), ["cat one", "cat two", "cat three", "cat four"])
    index.fold()
    index.add(np.array([4]), ["cat five"])
    inside, go = Event(), Event()
    merged = module.Postings.merged

    def slow(*args: Any) -> Any:
        inside.set()
        assert go.wait(30)
        return merged(*args)

    monkeypatch.setattr(module.Postings, "merged", slow)
    folding = Thread(target=index.fold)
    folding.start()
    assert inside.wait(30)
    index.remove(np.array([0, 4]))
    index.add(np.array([5]), ["cat six"])
    assert sorted(index.search("cat", 9)[0].tolist()) == [1, 2, 3, 5]
    before = index.search("cat six", 9)
    go.set()
    folding.join()
    after = index.search("cat six", 9)
    assert index.pending == 3
    assert [part.tolist() for part in after] == [part.tolist() for part in before]


def test_a_fold_that_fails_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    index = SparseIndex()
    index.add(np.array([0]), ["cat one"])
    with monkeypatch.context() as patched:
        patched.setattr(module.Postings, "merged", _fails)
        with pytest.raises(MemoryError):
            index.fold()
    index.add(np.array([1]), ["cat two"])
    assert index.search("cat", 9)[0].tolist() == [0, 1]
    index.fold()
    assert index.pending == 0
    assert index.search("cat", 9)[0].tolist() == [0, 1]


def _fails(*_: Any) -> Any:
    raise MemoryError


def test_readers_see_whole_rows_while_a_writer_adds_and_folds() -> None:
    index, wrong, done = SparseIndex(), [], Event()

    def read() -> None:
        while not done.is_set():
            rows, scores = index.search("left right", 1000)
            if len(set(scores.tolist())) > 1:  # all rows are alike: any difference is a row half seen
                wrong.append(rows)

    readers = [Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for row in range(400):
        index.add(np.array([row]), ["left right"])
        if row % 3 == 0:
            index.remove(np.array([row // 2]))
        if row % 50 == 0:
            index.fold()
    done.set()
    for reader in readers:
        reader.join()
    assert not wrong


def test_what_is_counted_of_dead_rows_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COUNTED", 1)
    index = SparseIndex()
    index.add(np.arange(4), ["cat dog", "cat dog", "cat", "dog"])
    index.fold()
    index.remove(np.array([0]))
    for _ in range(2):
        assert index.search("cat dog", 9)[0].tolist() == [1, 2, 3]
    assert len(index._counted) == 1


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    index = SparseIndex()
    index.add(np.arange(3), ["cat dog", "cat", "bird cat"])
    index.save(tmp_path / "saved")
    return tmp_path / "saved"


@pytest.mark.parametrize("name", ["terms", "starts", "rows", "tfs", "impacts", "tops", "lengths"])
def test_a_changed_array_is_noticed(saved: Path, name: str) -> None:
    file = saved / f"{name}.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(Damaged, match=name):
        SparseIndex.load(saved)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("starts", [0, 1, 1, 4]),
        ("starts", [1, 2, 3, 4]),
        ("starts", [0, 3, 2, 4]),
        ("starts", [0, 1, 2, 6]),
        ("starts", [0, 4]),
        ("rows", [0, 1, 2, 0, 3]),
        ("rows", [-1, 0, 1, 0, 1]),
        ("rows", [0, 1, 2]),
    ],
)
def test_arrays_that_do_not_agree_are_noticed(saved: Path, name: str, value: list[int], tmp_path: Path) -> None:
    found, facts = arrays.load(saved, postings._KIND, postings._DTYPES)
    arrays.save(tmp_path / "forged", postings._KIND, {**found, name: np.array(value, dtype=found[name].dtype)}, facts)
    with pytest.raises(Damaged, match="agree"):
        SparseIndex.load(tmp_path / "forged")


@pytest.mark.parametrize(
    ("facts", "message"), [({"mean": 0.5}, "mean"), ({"mean": "x"}, "mean"), ({"terms": "2"}, "terms")]
)
def test_other_facts_are_noticed(saved: Path, facts: dict[str, Any], message: str, tmp_path: Path) -> None:
    found, known = arrays.load(saved, postings._KIND, postings._DTYPES)
    arrays.save(tmp_path / "forged", postings._KIND, found, {**known, **facts})
    with pytest.raises(Damaged, match=message):
        SparseIndex.load(tmp_path / "forged")
