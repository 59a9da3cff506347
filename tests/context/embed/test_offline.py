"""The offline embedders: deterministic, unit length, and what they know of words."""

import random

import numpy as np
import pytest

from clew.context.damage import Damaged
from clew.context.embed.hashing import Hashing
from clew.context.embed.lsa import LEAST, Lsa
from clew.context.embed.offline import offline, threshold

TOPICS = {
    "sea": ["ship", "captain", "harbour", "wave", "sailor", "storm", "anchor", "tide", "fish", "net"],
    "sky": ["plane", "pilot", "airport", "wing", "cloud", "runway", "engine", "flight", "tower", "jet"],
}


def texts(n, seed=1):
    chance = random.Random(seed)
    return [" ".join(chance.choices(TOPICS["sea" if i % 2 else "sky"], k=12)) for i in range(n)]


def words(text):
    return text.lower().split()


def test_words_in_common_are_near():
    near, far, other = Hashing(words).embed(["the red house", "a red house", "two green cars"])
    assert near @ far > 0.5 > near @ other


def test_meaning_is_learned():
    lsa = Lsa.learn(words, texts(200))
    ship, anchor, pilot = lsa.embed(["ship", "anchor", "pilot"])
    assert ship @ anchor > ship @ pilot + 0.2  # no text need hold both


def test_the_same_texts_give_the_same_embedder():
    one, other = Lsa.learn(words, texts(100)), Lsa.learn(words, texts(100))
    assert one.name == other.name
    assert Lsa.learn(words, texts(100, seed=2)).name != one.name
    np.testing.assert_array_equal(one.embed(["ship pilot"]), other.embed(["ship pilot"]))


@pytest.mark.parametrize("embedder", [Hashing(words), Lsa.learn(words, texts(100))], ids=["hashing", "lsa"])
def test_vectors_have_length_one_or_zero(embedder):
    vectors = embedder.embed(["ship", "", "ship " * 1000, "\ud800 ?"])
    lengths = np.linalg.norm(vectors, axis=1)
    assert vectors.shape == (4, embedder.dims)
    assert lengths[[0, 2]] == pytest.approx(1)
    assert lengths[1] == 0
    assert embedder.embed([]).shape == (0, embedder.dims)


def test_few_texts_are_hashed():
    assert isinstance(offline(words, texts(LEAST - 1)), Hashing)
    assert isinstance(offline(words, [f"word{i}" for i in range(500)]), Hashing)  # nothing in common
    assert isinstance(offline(words, ["" for _ in range(500)]), Hashing)


def test_learning_is_due_when_the_documents_have_doubled():
    assert [threshold(n) for n in (0, 63, 64, 127, 128, 1000)] == [0, 0, 64, 64, 128, 512]


def test_saved_and_loaded(tmp_path):
    lsa = Lsa.learn(words, texts(100))
    lsa.save(tmp_path / "lsa")
    loaded = Lsa.load(tmp_path / "lsa", words)
    assert loaded.name == lsa.name
    np.testing.assert_array_equal(loaded.embed(["ship"]), lsa.embed(["ship"]))


@pytest.mark.parametrize("harm", ["words.msgpack", "basis.npy", "short"])
def test_damage_is_noticed(tmp_path, harm):
    Lsa.learn(words, texts(100)).save(tmp_path / "lsa")
    if harm == "short":
        np.save(tmp_path / "lsa" / "basis.npy", np.zeros((3, 2), dtype=np.float32))
    else:
        (tmp_path / "lsa" / harm).write_bytes(b"\x00")
    with pytest.raises(Damaged):
        Lsa.load(tmp_path / "lsa", words)
