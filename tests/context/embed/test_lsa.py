"""LSA: meaning is learned from the documents themselves, the same from the same ones."""

import msgspec
import numpy as np
import pytest

from clew.context.damage import Damaged
from clew.context.embed.lsa import Lsa
from clew.context.sparse.analyze import NAME


def test_meaning_is_learned(words, texts):
    lsa = Lsa.learn(words, texts(200))
    anchor, pilot = lsa.embed(["anchor", "pilot"])
    assert lsa.asked("ship") @ anchor > lsa.asked("ship") @ pilot + 0.2  # no text need hold both


def test_the_same_texts_give_the_same_embedder(words, texts):
    one, other = Lsa.learn(words, texts(100)), Lsa.learn(words, texts(100))
    assert one.name == other.name
    assert Lsa.learn(words, texts(100, seed=2)).name != one.name
    np.testing.assert_array_equal(one.embed(["ship pilot"]), other.embed(["ship pilot"]))
    np.testing.assert_array_equal(one.asked("ship pilot"), other.asked("ship pilot"))


def test_vectors_have_length_one_or_zero(words, texts):
    lsa = Lsa.learn(words, texts(100))
    vectors = lsa.embed(["ship", "", "ship " * 1000, "\ud800 ?"])
    lengths = np.linalg.norm(vectors, axis=1)
    assert vectors.shape == (4, lsa.dims)
    assert lengths[[0, 2]] == pytest.approx(1)
    assert lengths[1] == 0
    assert lsa.embed([]).shape == (0, lsa.dims)
    assert [float(np.linalg.norm(lsa.asked(text))) for text in ("ship wave", "")] == pytest.approx([1, 0])


@pytest.mark.parametrize("text", ["ship", "ship ship ship", "ship wave", "pilot wing jet tower ship wave net tide"])
def test_a_document_of_few_words_counts_for_less(words, texts, text):
    lsa, usual = Lsa.learn(words, texts(100)), sum(len(set(one.split())) for one in texts(100)) / 100
    here = len(set(text.split()))
    near = lsa.asked(text) @ lsa.embed([text])[0]
    assert near == pytest.approx(here / (here + usual / 4), abs=1e-5)  # the cosine is 1


def test_saved_and_loaded(words, texts, tmp_path):
    lsa = Lsa.learn(words, texts(100))
    lsa.save(tmp_path / "lsa")
    loaded = Lsa.load(tmp_path / "lsa", words)
    assert loaded.name == lsa.name
    np.testing.assert_array_equal(loaded.embed(["ship"]), lsa.embed(["ship"]))


@pytest.mark.parametrize("harm", ["words.msgpack", "basis.npy", "short"])
def test_damage_is_noticed(words, texts, tmp_path, harm):
    Lsa.learn(words, texts(100)).save(tmp_path / "lsa")
    if harm == "short":
        np.save(tmp_path / "lsa" / "basis.npy", np.zeros((3, 2), dtype=np.float32))
    else:
        (tmp_path / "lsa" / harm).write_bytes(b"\x00")
    with pytest.raises(Damaged):
        Lsa.load(tmp_path / "lsa", words)


@pytest.mark.parametrize(
    "held",
    [{"analyzer": "another"}, {"known": ["ship"]}, {"known": ["ship"] * 20}, {"usual": float("nan")}, {"usual": -1.0}],
)
def test_words_that_are_others_are_damage(words, texts, tmp_path, held):
    lsa, place = Lsa.learn(words, texts(100)), tmp_path / "lsa" / "words.msgpack"
    lsa.save(tmp_path / "lsa")
    written = msgspec.msgpack.decode(place.read_bytes())
    assert written["analyzer"] == NAME
    assert len(written["known"]) == 20
    place.write_bytes(msgspec.msgpack.encode(written | held))
    with pytest.raises(Damaged):
        Lsa.load(tmp_path / "lsa", words)


def test_numbers_that_are_none_are_damage(words, texts, tmp_path):
    lsa = Lsa.learn(words, texts(100))
    lsa.save(tmp_path / "lsa")
    np.save(tmp_path / "lsa" / "basis.npy", np.full((20, lsa.dims), np.nan, dtype=np.float32))
    with pytest.raises(Damaged, match="no numbers"):
        Lsa.load(tmp_path / "lsa", words)


@pytest.mark.parametrize(
    "told",
    [
        ["ship wave storm"] * 100,  # one direction, of no weight
        ["ship wave storm storm"] * 99 + ["ship"],
        ["ship wave"] * 50 + ["plane wing"] * 50,  # two directions
        ["ship wave", ""] * 50,
        [],
    ],
)
def test_texts_of_which_little_can_be_learned(words, told):
    lsa = Lsa.learn(words, told)
    vectors = lsa.embed([*told[:1], "ship wave storm", "unknown"])
    assert np.isfinite(vectors).all()
    assert set(np.linalg.norm(vectors, axis=1).round(3).tolist()) <= {0.0, 1.0}


def test_the_basis_is_that_of_the_full_decomposition(words, texts):
    """Against numpy's SVD of the same matrix, held whole."""
    told = texts(300)
    lsa = Lsa.learn(words, told)
    known = sorted({word for text in told for word in text.split()})
    counts = np.array([[text.split().count(word) for word in known] for text in told], dtype=float)
    shares = counts / counts.sum(axis=0)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    weights = 1 + (shares * logs).sum(axis=0) / np.log(len(told))
    table = np.log1p(counts) * weights
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    right = np.linalg.svd(table)[2][: lsa.dims - 1].T
    exact = (np.log1p(counts) * weights) @ right
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    made = np.array([lsa.asked(text) for text in told])
    np.testing.assert_allclose(made @ made.T, exact @ exact.T, atol=1e-4)
