"""The stems are those that indexes on disk were made with."""

import pytest

from clew.context.sparse.analyze import NAME
from clew.context.sparse.stemmer import VERSION, stem


@pytest.mark.parametrize(
    ("word", "said"),
    [("running", "run"), ("ponies", "poni"), ("generously", "generous"), ("the", "the"), ("", ""), ("zzz", "zzz")],
)
def test_stems(word, said):
    assert stem(word) == said


def test_an_index_knows_which_stemmer_made_it():
    assert VERSION in NAME
