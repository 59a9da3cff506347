"""Which of the offline embedders serves a collection."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.context.embed.hashing import Hashing
from clew.context.embed.lsa import LEAST, SAMPLE, Lsa
from clew.context.embed.offline import asked, learned_of, offline, sampled, threshold


def test_few_texts_are_hashed(words, texts):
    assert isinstance(offline(words, texts(LEAST - 1)), Hashing)
    assert isinstance(offline(words, texts(LEAST)), Lsa)
    assert isinstance(offline(words, [f"word{i}" for i in range(500)]), Hashing)  # nothing in common
    assert isinstance(offline(words, ["" for _ in range(500)]), Hashing)


def test_a_query_has_a_vector_where_the_embedder_is_here_and_knows_a_word(words, texts):
    for embedder in (Hashing(words), offline(words, texts(LEAST))):
        vector = asked(embedder, "ship")
        assert vector is not None
        assert np.linalg.norm(vector) == pytest.approx(1)
        assert asked(embedder, "") is None
    assert asked(None, "ship") is None


def test_of_more_documents_than_a_sample_only_a_part_is_learned_from(words, texts):
    lsa = offline(words, texts(LEAST))
    assert [learned_of(lsa, n) for n in (0, LEAST, SAMPLE, 2 * SAMPLE, 100 * SAMPLE)] == [1, 1, 1, 0.5, 0.01]
    assert [learned_of(one, 2 * SAMPLE) for one in (Hashing(words), None)] == [1, None]


def test_learning_is_due_when_the_documents_have_grown_by_a_quarter_or_less():
    assert [threshold(n) for n in (0, 63, 64, 79, 80, 127, 128, 159, 160, 1000)] == [
        0,
        0,
        64,
        64,
        80,
        112,
        128,
        128,
        160,
        896,
    ]


def test_learning_is_due_when_more_documents_than_are_learned_from_have_grown_by_a_half_or_a_third():
    assert [threshold(n) for n in (4095, 4096, 6143, 6144, 8191, 8192, 100_000)] == [
        3584,
        4096,
        4096,
        6144,
        6144,
        8192,
        98304,
    ]


@given(st.permutations([f"doc-{i}" for i in range(2 * LEAST)]))
def test_what_is_learned_from_hangs_on_the_documents_and_not_on_their_order(names):
    chosen = [names[place] for place in sampled(names)]
    assert chosen == [sorted(names)[place] for place in sampled(sorted(names))]
    assert sorted(chosen) == sorted(names)


def test_few_documents_are_no_sample():
    assert [len(sampled([f"doc-{i}" for i in range(n)])) for n in (0, LEAST - 1, LEAST)] == [0, 0, LEAST]


def test_old_documents_are_learned_from_no_more_than_new_ones():
    sample = sampled([f"doc-{i:06}" for i in range(3 * SAMPLE)])
    assert len(set(sample.tolist())) == SAMPLE
    for third in range(3):
        share = np.count_nonzero(sample // SAMPLE == third) / SAMPLE
        assert 0.3 < share < 0.37


def test_of_collections_that_differ_little_the_samples_do():
    names = [f"doc-{i}" for i in range(2 * SAMPLE)]
    before, after = ({some[place] for place in sampled(some)} for some in (names, names[:-100]))
    assert len(before & after) > 0.97 * SAMPLE


@pytest.mark.parametrize("id", ["", "\ud800", "a" * 10_000])
def test_any_id_is_taken(id):  # noqa: A002 - the word of the contract
    assert len(sampled([id, *(f"doc-{i}" for i in range(LEAST))])) == LEAST + 1
