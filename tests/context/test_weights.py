"""How much each list counts where nobody says: it hangs on the documents alone."""

import random

import numpy as np
import pytest

from clew.context import search
from clew.context.embed import offline
from clew.context.weights import alike
from clew.gate.ports.context import Put, Query, SearchConfig

WORDS = [f"{chr(97 + i)}{chr(97 + j)}{chr(97 + i)}o" for i in range(8) for j in range(8)]
NOTHING = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)


class Empty:
    """Lists of nothing."""

    def named(self, rows):
        return [str(row) for row in rows]

    def dense(self, query, k, mask, *, exact):
        return NOTHING

    def sparse(self, text, k, mask):
        return NOTHING

    def graph(self, text, k, mask):
        return NOTHING

    def only(self, rows):
        return np.zeros(0, dtype=np.bool_)


@pytest.mark.parametrize(
    ("learned", "config", "how"),
    [
        (None, {}, "RECIPROCAL_RANK"),
        (1.0, {}, "WEIGHTED_SUM"),
        (0.25, {"dense_weight": 0.5}, "WEIGHTED_SUM"),
        (1.0, {"rrf_k": 10}, "RECIPROCAL_RANK"),
        (1.0, {"fusion": "MAX_SCORE", "rrf_k": 10}, "MAX_SCORE"),
        (None, {"fusion": "WEIGHTED_SUM"}, "WEIGHTED_SUM"),
    ],
)
def test_scores_are_summed_where_it_is_known_what_they_are_worth(learned, config, how):
    found = search.run(Empty(), Query(text="x"), np.ones(2, np.float32), SearchConfig(**config), None, learned)
    assert found.explain["fusion"] == how


def test_lists_are_joined_as_whose_vectors_they_are_asks_for(opened, vector):
    own, other = opened("own"), opened("other", space="m")
    for collection in (own, other):
        collection.write([Put(id=f"d{i}", text=f"pump {i}", vector=vector(1, i), embedder="m") for i in range(3)])
    query = Query(text="pump", vector=vector(1, 2))
    assert own.search(query).explain["fusion"] == "WEIGHTED_SUM"
    assert own.search(query, SearchConfig(deterministic=True)).explain["fusion"] == "RECIPROCAL_RANK"
    assert other.search(query).explain["fusion"] == "RECIPROCAL_RANK"


def weights(found):
    return {name: told["weight"] for name, told in found.explain["lists"].items()} | {"why": found.explain["weights"]}


@pytest.mark.parametrize(
    ("learned", "config", "dense", "sparse", "why"),
    [
        (1.0, {}, 0.5, 0.5, "halves"),
        (0.25, {}, 0.125, 0.875, "learned from 25%"),
        (0.25, {"dense_weight": 0.5}, 0.5, 0.5, "named"),
        (0.25, {"sparse_weight": 0.2}, 0.5, 0.2, "named"),
        (0.25, {"dense_weight": 0.0, "sparse_weight": 1.0}, 0.0, 1.0, "named"),
    ],
)
def test_what_is_named_counts(learned, config, dense, sparse, why):
    found = search.run(Empty(), Query(text="x"), np.ones(2, np.float32), SearchConfig(**config), None, learned)
    assert weights(found) == {"dense": dense, "sparse": sparse, "why": why}


@pytest.fixture
def documents():
    chance = random.Random(5)
    return [Put(id=f"d{i}", text=" ".join(chance.choices(WORDS, k=12))) for i in range(160)]


def test_a_collection_that_outgrew_its_sample_trusts_words(opened, documents, monkeypatch):
    monkeypatch.setattr(offline, "SAMPLE", 80)
    config = SearchConfig()
    few, many, other = opened("few"), opened("many"), opened("other")
    few.write(documents[:80])
    many.write(documents)
    for put in reversed(documents):
        other.write([put])
    for collection in (few, many, other):
        collection.tend()
    query = Query(text=" ".join(WORDS[:3]))
    assert weights(few.search(query, config)) == {"dense": 0.5, "sparse": 0.5, "why": "halves"}
    assert weights(many.search(query, config)) == {"dense": 0.25, "sparse": 0.75, "why": "learned from 50%"}
    assert weights(other.search(query, config)) == weights(many.search(query, config))
    named = SearchConfig(dense_weight=0.5, sparse_weight=0.5)
    assert weights(many.search(query, named)) == {"dense": 0.5, "sparse": 0.5, "why": "named"}
    steady = SearchConfig(deterministic=True)
    assert weights(many.search(query, steady)) == {"dense": 0.5, "sparse": 0.5, "why": "halves"}


@pytest.mark.parametrize(
    ("config", "collections", "dense"),
    [({}, 1, None), ({}, 2, 0.5), ({"sparse_weight": 0.2}, 2, None), ({"dense_weight": 0.1}, 3, 0.1)],
)
def test_what_is_compared_has_the_same_weights(config, collections, dense):
    assert alike(SearchConfig(**config), collections).dense_weight == dense


@pytest.mark.parametrize(
    ("config", "collections", "how"),
    [
        ({}, 1, None),
        ({}, 2, "RECIPROCAL_RANK"),
        ({"fusion": "MAX_SCORE"}, 2, "MAX_SCORE"),
        ({"dense_weight": 1.0}, 2, "RECIPROCAL_RANK"),
    ],
)
def test_what_is_compared_is_joined_alike(config, collections, how):
    assert alike(SearchConfig(**config), collections).fusion == how


def test_made_anew_from_the_log_it_finds_the_same(opened, documents, monkeypatch):
    monkeypatch.setattr(offline, "SAMPLE", 80)
    config, query = SearchConfig(deterministic=True), Query(text=" ".join(WORDS[:3]))
    collection = opened("c")
    collection.write(documents)
    before = collection.search(query, config)
    collection.save()
    again = opened("c").search(query, config)
    assert (again.hits, again.explain) == (before.hits, before.explain)


def test_vectors_from_elsewhere_count_half(opened, documents, vector, monkeypatch):
    monkeypatch.setattr(offline, "SAMPLE", 80)
    collection = opened("c", space="m")
    collection.write(
        [Put(id=put.id, text=put.text, vector=vector(1, i), embedder="m") for i, put in enumerate(documents)]
    )
    found = collection.search(Query(text=WORDS[0], vector=vector(1, 2)))
    assert weights(found) == {"dense": 0.5, "sparse": 0.5, "why": "halves"}


def test_who_wants_fewer_gets_the_first_of_more(opened, documents):
    collection = opened("c")
    collection.write(documents)
    collection.tend()
    for words in (WORDS[:3], WORDS[10:12], WORDS[30:35]):
        many = collection.search(Query(text=" ".join(words)), SearchConfig(k=10)).hits
        for k in (1, 3, 7):
            assert collection.search(Query(text=" ".join(words)), SearchConfig(k=k)).hits == many[:k]
