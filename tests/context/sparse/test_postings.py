"""The folded part: merged, without what is gone, and the same after loading. The ranking itself is tested in test_index."""

import numpy as np
import pytest

from clew.context.damage import Damaged
from clew.context.sparse.postings import Postings, Runs, digest, slack
from clew.context.sparse.recent import Recent


def runs(*documents):
    recent = Recent()
    for row, counts in documents:
        recent.add(row, counts)
    return recent.runs()


def lengths(*numbers):
    return np.array(numbers, dtype=np.int32)


def of(postings, term):
    part = postings.of(term)
    return None if part is None else dict(zip(part.rows.tolist(), part.tfs.tolist(), strict=True))


def test_merged_twice_is_merged_at_once():
    first, second = [(0, {"a": 2}), (1, {"b": 1})], [(2, {"a": 1, "c": 3})]
    sizes = lengths(2, 1, 4)
    twice = Postings.empty().merged(runs(*first), lengths(2, 1)).merged(runs(*second), sizes)
    once = Postings.empty().merged(runs(*first, *second), sizes)
    for term in "abcd":
        assert of(twice, term) == of(once, term)
    assert of(once, "a") == {0: 2, 2: 1}
    assert once.mean == pytest.approx(7 / 3)
    np.testing.assert_array_equal(twice.impacts, once.impacts)


def test_rows_of_no_length_are_gone():
    merged = Postings.empty().merged(runs((0, {"a": 1}), (1, {"b": 1})), lengths(1, 0))
    assert (of(merged, "a"), of(merged, "b")) == ({0: 1}, None)
    empty = merged.merged(runs(), lengths(0, 0))
    assert (of(empty, "a"), empty.mean) == (None, 1.0)


def test_an_impact_is_never_less_than_what_it_stands_for():
    merged = Postings.empty().merged(runs(*((i, {"a": i + 1}) for i in range(50))), np.arange(1, 51, dtype=np.int32))
    part = merged.of("a")
    true = part.tfs / (part.tfs + slack(merged.lengths[part.rows], merged.mean))
    assert (part.impacts / 255 >= true).all()
    assert part.top == part.impacts.max()


def test_a_term_of_many_rows_has_a_column():
    merged = Postings.empty().merged(
        runs(*((i, {"often": 1}) for i in range(20)), (20, {"once": 1})), np.ones(21, np.int32)
    )
    assert merged.of("once").column is None
    assert merged.of("often").column.tolist()[:20] == merged.of("often").impacts.tolist()


def test_saved_and_loaded(tmp_path):
    merged = Postings.empty().merged(runs((0, {"a": 2}), (1, {"b": 1})), lengths(2, 1))
    merged.save(tmp_path / "saved")
    loaded = Postings.load(tmp_path / "saved")
    assert of(loaded, "a") == {0: 2}
    assert (loaded.mean, loaded.size) == (merged.mean, merged.size)
    (tmp_path / "saved" / "rows.npy").write_bytes(b"")
    with pytest.raises(Damaged):
        Postings.load(tmp_path / "saved")


def test_terms_are_known_by_their_digest():
    assert digest("a") != digest("b")
    assert 0 <= digest("\ud800") < 2**64
    assert Runs(*(np.zeros(0, t) for t in (np.uint64, np.int64, np.int32, np.uint16))).living(lengths()).rows.size == 0
