"""Which of the offline embedders serves a collection."""

from clew.context.embed.hashing import Hashing
from clew.context.embed.lsa import LEAST, Lsa
from clew.context.embed.offline import offline, threshold


def test_few_texts_are_hashed(words, texts):
    assert isinstance(offline(words, texts(LEAST - 1)), Hashing)
    assert isinstance(offline(words, texts(LEAST)), Lsa)
    assert isinstance(offline(words, [f"word{i}" for i in range(500)]), Hashing)  # nothing in common
    assert isinstance(offline(words, ["" for _ in range(500)]), Hashing)


def test_learning_is_due_when_the_documents_have_doubled():
    assert [threshold(n) for n in (0, 63, 64, 127, 128, 1000)] == [0, 0, 64, 64, 128, 512]
