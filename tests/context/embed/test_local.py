import numpy as np
import pytest

from clew.context.embed.local import LocalModel
from clew.core.errors import UsageError
from clew.gate.ports.embedding import MOST_BYTES


def unit(vector):
    return vector / np.linalg.norm(vector)


def test_a_text_is_the_mean_of_its_tokens(folder, tiny):
    rows, model = tiny.table(), LocalModel.load(folder())
    found = model.embed(["Pump leakage at night", "bread", "what?", "", "\ud800 pump"])
    np.testing.assert_allclose(found[0], unit(rows[[2, 7, 4, 6]].mean(axis=0)), rtol=1e-6)  # "at" is not known
    np.testing.assert_allclose(found[1], unit(rows[5]), rtol=1e-6)
    assert not found[2:4].any()
    np.testing.assert_allclose(found[4], unit(rows[2]), rtol=1e-6)
    assert (model.dims, found.dtype) == (4, np.float32)


@pytest.mark.parametrize("kind", [np.float16, np.int8])
def test_numbers_may_be_small(folder, tiny, kind):
    rows = (tiny.table() * 20).astype(kind)
    found = LocalModel.load(folder(**{"embedding.weight": rows})).embed(["pump leaks"])
    np.testing.assert_allclose(found[0], unit(rows[[2, 3]].astype(np.float32).mean(axis=0)), rtol=1e-3)


def test_tokens_may_be_weighed_and_share_rows(folder, tiny):
    rows, weights = tiny.table()[:3], np.arange(8, dtype=np.float32)
    mapping = np.array([0, 0, 1, 2, 2, 0, 0, 1])
    found = LocalModel.load(folder(embeddings=rows, weights=weights, mapping=mapping)).embed(["pump leaks"])
    np.testing.assert_allclose(found[0], unit((2 * rows[1] + 3 * rows[2]) / 2), rtol=1e-6)


def test_its_name_changes_with_its_files(folder, tiny):
    first = LocalModel.load(folder()).name
    assert first.startswith("local:tiny:")
    assert LocalModel.load(folder()).name == first
    assert LocalModel.load(folder(embeddings=tiny.table() * 2)).name != first


def test_a_long_text_is_embedded_by_its_beginning(folder, tiny):
    model = LocalModel.load(folder())
    found = model.embed(["pump " * (MOST_BYTES // 5) + "bread " * 10_000])
    np.testing.assert_allclose(found[0], unit(tiny.table()[2]), rtol=1e-4)


def test_tokens_without_a_row_and_numbers_that_are_none_say_nothing(folder, tiny):
    rows = tiny.table()[:3].copy()
    rows[2] = np.nan
    assert not LocalModel.load(folder(embeddings=rows)).embed(["bread", "pump"]).any()


def test_numbers_that_are_too_large_say_nothing(folder, tiny):
    assert not LocalModel.load(folder(embeddings=tiny.table().astype(np.float64) * 1e300)).embed(["pump"]).any()


def tensors_of(tiny, what):
    rows = tiny.table()
    return {
        "no table": {"other": rows}, "flat": {"embeddings": rows[0]}, "empty": {"embeddings": rows[:0]},
        "no dimensions": {"embeddings": rows[:, :0]}, "out": {"embeddings": rows, "mapping": np.array([0, 8])},
        "below": {"embeddings": rows, "mapping": np.array([-1])}, "real": {"embeddings": rows, "mapping": rows[0]},
        "weights": {"embeddings": rows, "weights": rows[0]},
    }[what]  # fmt: skip


@pytest.mark.parametrize("what", ["no table", "flat", "empty", "no dimensions", "out", "below", "real", "weights"])
def test_a_table_that_is_none(folder, tiny, what):
    with pytest.raises(UsageError, match=r"holds no model: model\.safetensors"):
        LocalModel.load(folder(**tensors_of(tiny, what)))


@pytest.mark.parametrize("text", ["{}", "[", '{"model": {}}', '{"model": {"type": "WordPiece"}}'])
def test_a_tokenizer_that_is_none(folder, text):
    with pytest.raises(UsageError, match=r"tokenizer\.json cannot be read"):
        LocalModel.load(folder(tokens=text))


def test_files_that_are_not_there(folder, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"there is no tokenizer\.json") as error:
        LocalModel.load(tmp_path / "nowhere")
    assert "Model2Vec" in error.value.hint
    path = folder()
    (path / "model.safetensors").unlink()
    with pytest.raises(UsageError, match=r"there is no model\.safetensors"):
        LocalModel.load(path)
    monkeypatch.setattr("clew.context.embed.local._MOST", {"tokenizer.json": 5})
    with pytest.raises(UsageError, match="more than 5 bytes"):
        LocalModel.load(folder())
