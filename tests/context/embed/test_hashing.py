"""Hashing: words in common, nothing learned."""

import numpy as np
import pytest

from clew.context.embed.hashing import DIMS, Hashing


def test_words_in_common_are_near(words):
    near, far, other = Hashing(words).embed(["the red house", "a red house", "two green cars"])
    assert near @ far > 0.5 > near @ other


def test_vectors_have_length_one_or_zero(words):
    vectors = Hashing(words).embed(["ship", "", "ship " * 1000, "\ud800 ?"])
    assert vectors.shape == (4, DIMS)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 0, 1, 1])
    assert Hashing(words).embed([]).shape == (0, DIMS)


def test_it_is_the_same_everywhere(words):
    """Vectors are kept over versions of Clew under its name: a change of what they are is a change of the name."""
    (vector,) = Hashing(words).embed(["ship"])
    assert Hashing.name == "hashing:256:1"
    assert np.flatnonzero(vector).tolist() == np.flatnonzero(Hashing(words).embed(["SHIP"])[0]).tolist()
    assert 4 <= np.count_nonzero(vector) <= 8
