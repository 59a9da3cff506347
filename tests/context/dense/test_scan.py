import numpy as np
import pytest

from clew.context.damage import Damaged
from clew.context.dense.scan import Codes, dots


def test_equal_vectors_have_equal_products_wherever_they_are():
    rng = np.random.default_rng(0)
    for dims in (1, 7, 48, 384, 1000):
        vector, query = rng.standard_normal(dims).astype(np.float32), rng.standard_normal(dims).astype(np.float32)
        vectors = np.ascontiguousarray(np.tile(vector, (37, 1)))
        out, some = np.empty(37, np.float32), np.empty(5, np.float32)
        dots(query, vectors, out)
        dots(query, vectors, some, np.array([0, 3, 11, 20, 36]))
        assert len({*out.tolist(), *some.tolist()}) == 1
        assert out[0] == pytest.approx(float(vector @ query), rel=1e-4, abs=1e-4)


def test_codes_of_fewer_than_wanted():
    vectors = np.random.default_rng(0).standard_normal((500, 8)).astype(np.float32)
    codes = Codes.learn(vectors, 500).plus([vectors[:300], vectors[300:]])
    mask = np.arange(500) % 100 == 0
    places, guessed = codes.nearest(vectors[0], 50, mask)
    assert (sorted(places.tolist()), len(guessed), len(codes)) == ([0, 100, 200, 300, 400], 5, 500)


def test_codes_that_are_something_else():
    vectors = np.random.default_rng(0).standard_normal((500, 8)).astype(np.float32)
    data = Codes.learn(vectors, 500).to_bytes()
    assert len(Codes.from_bytes(data, 8, 500)) == 0
    with pytest.raises(Damaged, match="shape"):
        Codes.from_bytes(data, 12, 500)
    with pytest.raises(Damaged):
        Codes.from_bytes(b"IxFI" + b"\0" * 60, 8, 500)
    with pytest.raises(Damaged):
        Codes.from_bytes(b"nothing", 8, 500)


@pytest.mark.parametrize("dims", [8, 10, 12])
@pytest.mark.parametrize("share", [0.97, 0.6, 0.3])
def test_what_a_mask_leaves_is_what_would_be_nearest_without_the_others(dims, share):
    rng = np.random.default_rng(dims)
    vectors = rng.standard_normal((3001, dims)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    codes = Codes.learn(vectors, 3001).plus([vectors[:1000], vectors[1000:]])
    for query in vectors[:5]:
        everywhere, guessed = codes.nearest(query, 3001, None)
        assert sorted(everywhere.tolist()) == list(range(3001))
        near = rng.random(3001) < share
        far = np.ones(3001, bool)
        far[everywhere[: int(3001 * (1 - share))]] = False  # all that would be looked at first
        for mask in (near, far):
            kept = mask[everywhere]
            places, seeming = codes.nearest(query, 50, mask)
            assert mask[places].all()
            assert seeming.tolist() == pytest.approx(guessed[kept][:50].tolist(), abs=1e-6)
