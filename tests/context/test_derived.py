"""What is derived from a log: of many versions only the last counts, and it is the same however it came about."""

import shutil

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
    assert derived.rows.places.tolist() == [2, 3], "in the order in which they were written"
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
    assert derived.embed("words") is None, "what made the vectors is elsewhere"
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
    [b"", b"{", b'{"format": 3}', b"[]", b'\xff', b'{"format":3,"seen":1,"attached":0,"last":"","space":"","learned":0}'],
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


def grown(count):
    derived = Derived("m")
    for i in range(1, count + 1):
        facts = (Relation(subject=f"d{i % 9}", relation="is", object=f"{i}"),)
        given = {"vector": packed(i, 1), "embedder": "m", "relations": facts, "metadata": {"i": i}}
        derived.apply([version(i, f"d{i % 9}", f"sea {i}", version=i, **given)])
    return derived


@pytest.mark.parametrize("part", ["rows", "sparse", "columns", "graph", "dense", "header.json"])
def test_a_part_of_another_state_is_noticed(tmp_path, part):
    """Whole parts, each with what its own digests say."""
    grown(20).save(tmp_path / "old")
    grown(23).save(tmp_path / "new")
    mixed, taken = tmp_path / "new" / part, tmp_path / "old" / part
    if taken.is_dir():
        shutil.rmtree(mixed)
        shutil.copytree(taken, mixed)
    else:
        shutil.copy(taken, mixed)
    with pytest.raises(Damaged, match="is not what was saved"):
        Derived.load(tmp_path / "new")


def test_a_file_that_is_missing_cut_or_changed_is_noticed(tmp_path):
    grown(100).save(tmp_path / "1")
    Derived.load(tmp_path / "1")
    for path in sorted(path for path in (tmp_path / "1").rglob("*") if path.is_file()):
        data = path.read_bytes()
        for wrong in (data[:-1], data[:5] + bytes([data[5] ^ 1]) + data[6:]) if data else (None,):
            path.unlink()
            if wrong is not None:
                path.write_bytes(wrong)
            with pytest.raises(Damaged):
                Derived.load(tmp_path / "1")
            path.write_bytes(data)
    Derived.load(tmp_path / "1")


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (lambda d: d.columns.add(np.array([99]), [{}]), "rows, words and metadata"),
        (lambda d: setattr(d, "seen", 5), "later places"),
        (lambda d: d.vectors.add(np.array([99]), np.ones((1, 2), np.float32)), "rows and vectors"),
        (lambda d: d.terms.add(np.array([50]), ["sea"]), "rows, words and metadata"),
    ],
)
def test_parts_that_do_not_agree_are_noticed(tmp_path, harm, what):
    derived = grown(20)
    harm(derived)
    derived.save(tmp_path / "1")
    with pytest.raises(Damaged, match=what):
        Derived.load(tmp_path / "1")


def test_what_is_learned_from_hangs_on_the_documents_alone():
    texts = {f"d{i}": " ".join(f"word{i * j % 31}" for j in range(1, 9)) for i in range(100)}
    both = Derived(), Derived()
    for i, (name, text) in enumerate(texts.items(), 1):
        both[0].apply([version(i, name, text)])
    both[1].apply([version(i, name, text) for i, (name, text) in enumerate(texts.items(), 1)])
    learned = [one.learned_anew(lambda names: {name: texts[name] for name in names}) for one in both]
    assert learned[0].sample == learned[1].sample
    for one, what in zip(both, learned, strict=True):
        one.adopt(what, lambda names: texts)
        assert not one.learning_due(exactly=True)
        one.apply([version(101, "late", "word1")])
        assert not one.learning_due(exactly=True), "it is not learned from before there are more"
        one.apply([version(102, "d3", "other words")])
        assert one.learning_due(exactly=True)
        assert not one.learning_due()
