"""Ranking: whatever is skipped on the way, scores are those of the formula. More of it, against plain BM25, in test_index."""

import random

import numpy as np
import pytest

from clew.context.sparse.postings import Postings, slack
from clew.context.sparse.rank import MOST_TIES, Ranking, Term
from clew.context.sparse.recent import Recent

ROWS = 9000
NONE = np.zeros(0, dtype=np.int32)


@pytest.fixture(scope="module")
def held():
    """Documents of two common terms and a rare one, folded; and their counts."""
    chance = random.Random(3)
    counts = [{"often": chance.randint(1, 9), **({"rare": 1} if i % 300 == 0 else {}), "also": 1} for i in range(ROWS)]
    recent = Recent()
    for row, one in enumerate(counts):
        recent.add(row, one)
    lengths = np.array([sum(one.values()) for one in counts], dtype=np.int32)
    return counts, lengths, Postings.empty().merged(recent.runs(), lengths)


def ranking(held, mean=None, **weights):
    _, lengths, postings = held
    terms = [Term(weight, postings.of(name), None) for name, weight in weights.items()]
    return Ranking(terms, lengths, ROWS, mean or postings.mean, postings.mean)


def plainly(held, mean=None, **weights):
    counts, lengths, postings = held
    against = slack(lengths, mean or postings.mean)
    return np.array(
        [
            sum(weight * one.get(name, 0) / (one.get(name, 0) + against[row]) for name, weight in weights.items())
            for row, one in enumerate(counts)
        ]
    )


@pytest.mark.parametrize("mean", [None, 3.0, 12.0])
@pytest.mark.parametrize("k", [1, 10, 500])
def test_the_best_are_those_of_the_formula(held, k, mean):
    weights = {"rare": 5.0, "often": 0.3, "also": 0.01}
    rows, scores = ranking(held, mean, **weights).best(k, None, NONE)
    true = plainly(held, mean, **weights)
    order = np.lexsort((np.arange(ROWS), -true.astype(np.float32)))[: len(rows)]
    assert rows.tolist() == order.tolist()
    np.testing.assert_allclose(scores, true[order], rtol=1e-6)


def test_what_ties_with_the_last_one_comes_along(held):
    rows, scores = ranking(held, also=1.0).best(3, None, NONE)
    assert 3 < len(rows) <= 3 + MOST_TIES
    assert set(scores[2:].tolist()) == {scores[2]}
    assert (np.diff(rows[2:]) > 0).all()


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_only_what_is_allowed_is_found(held, share):
    mask = np.zeros(ROWS, dtype=np.bool_)
    mask[: int(ROWS * share)] = True
    rows, scores = ranking(held, rare=5.0, often=0.3).best(10, mask, NONE)
    true = np.where(mask, plainly(held, rare=5.0, often=0.3), 0)
    assert rows.tolist() == np.lexsort((np.arange(ROWS), -true.astype(np.float32)))[: len(rows)].tolist()
    assert (scores > 0).all()


def test_the_dead_are_not_found(held):
    best, _ = ranking(held, rare=1.0).best(1, None, NONE)
    others, _ = ranking(held, rare=1.0).best(1, None, best.astype(np.int32))
    assert not set(best) & set(others)


def test_nothing_to_go_by(held):
    rows, scores = ranking(held).best(5, None, NONE)
    assert len(rows) == len(scores) == 0
    rows, _ = ranking(held, rare=1.0).best(5, np.zeros(ROWS, dtype=np.bool_), NONE)
    assert len(rows) == 0
