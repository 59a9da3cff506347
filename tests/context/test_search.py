"""Search as a plan over lists: what is asked of which, in what order, and what is told of it."""

import numpy as np
import pytest

from clew.context import search
from clew.core.errors import UsageError
from clew.gate.ports.context import Query, SearchConfig

NAMES = ["a", "b", "c", "d"]


class Lists:
    """Four rows with fixed scores per list; notes what it was asked."""

    def __init__(self, dense=(0.9, 0.8, 0.7, 0.6), sparse=(0, 1, 2, 3), graph=(0, 0, 0, 9)):
        self._scores = {"dense": dense, "sparse": sparse, "graph": graph}
        self.asked = []

    def _listed(self, name, k, mask):
        self.asked.append((name, k, None if mask is None else mask.tolist()))
        scores = np.array(self._scores[name], dtype=np.float32)
        rows = np.flatnonzero((scores > 0) if mask is None else (scores > 0) & mask)
        rows = rows[np.argsort(-scores[rows], kind="stable")]
        return rows.astype(np.int64), scores[rows]

    def named(self, rows):
        return [NAMES[row] for row in rows]

    def dense(self, query, k, mask, *, exact):
        return self._listed("dense", k, mask)

    def sparse(self, text, k, mask):
        return self._listed("sparse", k, mask)

    def graph(self, text, k, mask):
        return self._listed("graph", k, mask)

    def only(self, rows):
        mask = np.zeros(len(NAMES), dtype=np.bool_)
        mask[rows] = True
        return mask


VECTOR = np.ones(2, dtype=np.float32)


def ran(lists, text="words", vector=VECTOR, mask=None, **config):
    return search.run(lists, Query(text=text), vector, SearchConfig(**config), mask)


def test_side_by_side():
    lists = Lists()
    found = ran(lists, k=2, rerank_factor=3)
    assert lists.asked == [("dense", 6, None), ("sparse", 6, None)]
    assert found.explain["strategy"] == "PARALLEL"
    assert found.explain["lists"]["sparse"] == {"found": 3, "candidates": 6, "weight": 0.5}
    assert [hit.doc_id for hit in found.hits] == ["d", "b"]
    assert (found.hits[0].dense_rank, found.hits[0].sparse_rank) == (4, 1)
    assert found.hits[0].graph_rank is None


@pytest.mark.parametrize(
    ("strategy", "order"), [("DENSE_FIRST", ["dense", "sparse"]), ("SPARSE_FIRST", ["sparse", "dense"])]
)
def test_the_second_list_orders_only_what_the_first_one_found(strategy, order):
    lists = Lists(dense=(0.9, 0, 0.7, 0))
    ran(lists, strategy=strategy, mask=np.array([True, True, True, False]))
    assert [name for name, _, _ in lists.asked] == order
    first = {"DENSE_FIRST": [True, False, True, False], "SPARSE_FIRST": [False, True, True, False]}[strategy]
    assert lists.asked[1][2] == first


def test_the_graph_joins_with_a_weight():
    lists = Lists()
    found = ran(lists, graph_weight=1.0)
    assert [name for name, _, _ in lists.asked] == ["dense", "sparse", "graph"]
    assert next(hit for hit in found.hits if hit.doc_id == "d").graph_score == 9


@pytest.mark.parametrize(
    ("text", "vector", "lists"), [("", VECTOR, ["dense"]), ("words", None, ["sparse"]), (" ", VECTOR, ["dense"])]
)
def test_a_list_that_has_nothing_to_go_by_is_left_out(text, vector, lists):
    asked = Lists()
    found = ran(asked, text, vector, strategy="DENSE_FIRST", graph_weight=0.5)
    assert [name for name, _, _ in asked.asked] == lists + ["graph"] * ("sparse" in lists)
    assert found.explain["strategy"] == "PARALLEL"


def test_equal_scores_are_ordered_by_id():
    found = ran(Lists(dense=(1, 1, 1, 1), sparse=(1, 1, 1, 1)), k=4)
    assert [hit.doc_id for hit in found.hits] == ["a", "b", "c", "d"]


def test_no_more_candidates_than_there_may_be_results():
    many = SearchConfig(k=5000, rerank_factor=1000)
    assert search.planned(many, "RECIPROCAL_RANK", has_text=True, has_vector=False).candidates == 10_000


@pytest.mark.parametrize(("fusion", "candidates"), [("RECIPROCAL_RANK", 2), ("WEIGHTED_SUM", 100), ("MAX_SCORE", 100)])
def test_scores_are_scaled_by_as_many_candidates_however_few_are_wanted(fusion, candidates):
    few = SearchConfig(k=1, rerank_factor=2)
    assert search.planned(few, fusion, has_text=True, has_vector=True).candidates == candidates


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"k": 0}, "k is 0; it is a number from 1 to 10000"),
        ({"k": 2**70}, "k is 1180591620717411303424"),
        ({"k": -1}, "k is -1"),
        ({"rrf_k": 0}, "rrf_k is 0"),
        ({"rerank_factor": 1001}, "rerank_factor is 1001"),
        ({"dense_weight": -0.1}, "dense_weight is -0.1; it is a share from 0 to 1"),
        ({"sparse_weight": float("nan")}, "sparse_weight is nan"),
        ({"graph_weight": float("inf")}, "graph_weight is inf"),
    ],
)
def test_what_makes_no_sense_is_said(config, said):
    with pytest.raises(UsageError) as caught:
        search.check(Query(text="x"), SearchConfig(**config))
    assert caught.value.message.startswith(said)


@pytest.mark.parametrize(("query", "said"), [({"text": " \n"}, "empty"), ({"vector": b"abc"}, "3 bytes")])
def test_a_query_that_is_none_is_refused(query, said):
    with pytest.raises(UsageError, match=said):
        search.check(Query(**query), SearchConfig())
