"""What is derived from a log: of many versions only the last counts, and it is the same however it came about."""

import msgspec
import numpy as np
import pytest

from clew.context.damage import Damaged
from clew.context.derived import GIVEN, Derived, mark
from clew.gate.ports.context import Relation, Version


def version(n, id, text="", **fields):  # noqa: A002 - the field's name
    return Version(n=n, id=id, version=fields.pop("version", 1), text=text, at=n, **fields)


def packed(*numbers):
    return np.array(numbers, dtype="<f4").tobytes()


def found(derived, text):
    rows, _ = derived.sparse(text, 10, derived.mask(None))
    return derived.named(rows.tolist())


def test_of_several_versions_the_last_one_is_found():
    derived = Derived()
    derived.apply([version(1, "a", "red"), version(2, "b", "red"), version(3, "a", "blue", version=2)])
    derived.apply([version(4, "b", deleted=True, version=2)])
    assert (found(derived, "red"), found(derived, "blue")) == ([], ["a"])
    assert derived.seen == 4
    assert derived.last == mark(version(4, "b", version=2))
    assert len(derived.rows) == 2, "of one batch, only the last version has a row"
    derived.apply([])
    assert derived.seen == 4


def test_one_by_one_or_at_once():
    versions = [version(i, f"d{i % 7}", f"word{i} word{i % 3}", version=i) for i in range(1, 40)]
    together, apart = Derived(), Derived()
    together.apply(versions)
    for one in versions:
        apart.apply([one])
    for text in ("word1", "word0 word38", "word2 word5"):
        assert sorted(found(together, text)) == sorted(found(apart, text))


def test_a_vector_that_is_given_makes_its_space():
    derived = Derived()
    derived.apply([version(1, "a", "offline")])
    assert derived.embedder_name().startswith("hashing")
    derived.apply([version(2, "b", "given", vector=packed(1, 0), embedder="m")])
    derived.apply([version(3, "c", "other", vector=packed(1, 0), embedder="n")])
    derived.apply([version(4, "d", "longer", vector=packed(1, 0, 0), embedder="m"), version(5, "e", "none")])
    assert (derived.space, derived.dims, derived.unlike) == ("m", 2, 2)
    assert derived.missing() == ["a", "c", "d", "e"]
    assert derived.embed("words", None) is None, "what made the vectors is elsewhere"
    rows, _ = derived.dense(np.array([1, 0], dtype=np.float32), 5, None)
    assert derived.named(rows.tolist()) == ["b"]


def test_a_vector_without_a_name():
    derived = Derived()
    derived.apply([version(1, "a", vector=packed(1, 0))])
    assert (derived.space, derived.dims) == (GIVEN, 2)


def test_vectors_that_come_later():
    derived = Derived("m")
    versions = {"a": version(1, "a", "x"), "b": version(2, "b", "y")}
    derived.apply([*versions.values()])
    assert derived.missing() == ["a", "b"]
    versions["a"] = msgspec.structs.replace(versions["a"], vector=packed(1, 0), embedder="m")
    newer = {**versions, "b": version(9, "b", "changed meanwhile", version=2, vector=packed(0, 1), embedder="m")}
    derived.attach([1, 2], lambda names: {name: newer[name] for name in names}, upto=5)
    assert derived.missing() == ["b"], "the vector was made for a version that is replaced"
    assert derived.attached == 5
    assert found(derived, "x") == ["a"]


def test_the_graph_gives_rows_that_may_be_found():
    derived = Derived()
    knows = (Relation(subject="Ann", relation="knows", object="Bob"),)
    derived.apply([version(1, "a", "Ann", relations=knows), version(2, "b", "x")])
    rows, _ = derived.graph("Ann", 5, None)
    assert derived.named(rows.tolist()) == ["a"]
    rows, _ = derived.graph("Ann", 5, np.array([False, True]))
    assert rows.tolist() == []


def test_learned_and_adopted():
    derived = Derived()
    texts = {f"d{i}": " ".join(f"word{i * j % 31}" for j in range(1, 9)) for i in range(200)}
    derived.apply([version(i + 1, name, text) for i, (name, text) in enumerate(texts.items())])
    assert derived.learning_due()
    assert derived.due()
    learned = derived.learned_anew(lambda names: {name: texts[name] for name in names})
    texts["late"] = "word1 word2"
    derived.apply([version(201, "late", texts["late"])])
    derived.adopt(learned, lambda names: {name: texts[name] for name in names})
    derived.fold()
    assert not derived.learning_due()
    assert derived.embedder_name().startswith("lsa:")
    assert derived.missing() == []
    assert len(derived.vectors.rows()) == 201


def test_given_vectors_come_before_learned_ones():
    derived = Derived()
    derived.apply([version(i, f"d{i}", f"sea ship {i % 5}") for i in range(1, 100)])
    learned = derived.learned_anew(lambda names: dict.fromkeys(names, "sea ship"))
    derived.apply([version(100, "v", vector=packed(1, 0), embedder="m")])
    derived.adopt(learned, lambda names: dict.fromkeys(names, "sea ship"))
    assert (derived.space, derived.dims) == ("m", 2)


def test_saved_and_loaded(tmp_path):
    derived = Derived()
    derived.apply([version(1, "a", "red apples", metadata={"n": 1}), version(2, "b", "green", deleted=True)])
    derived.save(tmp_path / "index" / "1")
    loaded = Derived.load(tmp_path / "index" / "1")
    assert (loaded.seen, loaded.last, loaded.space) == (2, derived.last, "")
    assert found(loaded, "apples") == ["a"]
    assert loaded.stats() == derived.stats()


@pytest.mark.parametrize(
    "header",
    [b"", b"{", b'{"format": 2}', b"[]", b'\xff', b'{"format":2,"seen":1,"attached":0,"last":"","space":"","learned":0}'],
)  # fmt: skip
def test_a_header_that_is_odd_is_damage(tmp_path, header):
    derived = Derived()
    derived.apply([version(1, "a", "red")])
    derived.save(tmp_path / "1")
    (tmp_path / "1" / "header.json").write_bytes(header)
    with pytest.raises(Damaged):
        Derived.load(tmp_path / "1")


def test_nothing_there_is_damage(tmp_path):
    with pytest.raises(Damaged):
        Derived.load(tmp_path / "none")
