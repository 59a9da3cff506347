"""What is derived from a log: of many versions only the last counts, and it is the same however it came about."""

import msgspec
import numpy as np
import pytest

from clew.context import derived as derived_
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


def test_vectors_of_one_space_are_compared():
    derived = Derived("m")
    derived.apply([version(1, "a", "nothing")])
    derived.apply([version(2, "b", "given", vector=packed(1, 0), embedder="m")])
    derived.apply([version(3, "c", "other", vector=packed(1, 0), embedder="n")])
    derived.apply([version(4, "d", "longer", vector=packed(1, 0, 0), embedder="m"), version(5, "e", "none")])
    assert (derived.embedder_name(), derived.dims, derived.stats()["unlike"]) == ("m", 2, 2)
    assert derived.missing() == ["a", "c", "d", "e"]
    rows, _ = derived.dense(np.array([1, 0], dtype=np.float32), 5, None)
    assert derived.named(rows.tolist()) == ["b"]


def test_a_vector_without_a_name():
    derived = Derived(GIVEN)
    derived.apply([version(1, "a", vector=packed(1, 0))])
    assert (derived.dims, derived.missing()) == (2, [])


def test_vectors_that_come_later():
    derived = Derived("m")
    versions = {"a": version(1, "a", "x"), "b": version(2, "b", "y")}
    derived.apply([*versions.values()])
    assert derived.missing() == ["a", "b"]
    versions["a"] = msgspec.structs.replace(versions["a"], vector=packed(1, 0), embedder="m")
    newer = {**versions, "b": version(9, "b", "changed meanwhile", version=2, vector=packed(0, 1), embedder="m")}
    derived.attach([1, 2], lambda names: {name: newer[name] for name in names})
    assert derived.missing() == ["b"], "the vector was made for a version that is replaced"
    assert found(derived, "x") == ["a"]


def test_the_length_that_most_have_is_compared_but_for_what_is_replaced_meanwhile():
    derived = Derived("m")
    derived.apply([version(1, "a", vector=packed(1, 0), embedder="m")])
    longer = [version(n, f"d{n}", vector=packed(n, 0, 1), embedder="m") for n in (2, 3, 4)]
    derived.apply(longer)
    assert (derived.dims, derived.unlike) == (2, 3)
    now = {one.id: one for one in longer} | {"d3": version(9, "d3", vector=packed(1), embedder="m", version=2)}
    derived.align(lambda names: {name: now[name] for name in names})
    assert (derived.dims, derived.unlike, derived.missing()) == (3, 1, ["a", "d3"])
    rows, _ = derived.dense(np.array([4, 0, 1], dtype=np.float32), 5, None)
    assert derived.named(rows.tolist()) == ["d4", "d2"]
    derived.align(lambda names: pytest.fail("they are compared already"))


def test_vectors_of_another_length_are_compared_when_all_of_them_were_read(monkeypatch):
    monkeypatch.setattr(derived_, "_CHUNK", 1)
    derived = Derived("m")
    derived.apply([version(1, "a", vector=packed(1, 0), embedder="m")])
    longer = {f"d{n}": version(n, f"d{n}", vector=packed(n, 0, 1), embedder="m") for n in (2, 3)}
    derived.apply([*longer.values()])

    def failing(names):
        if names == ["d3"]:
            raise OSError("not now")
        return longer

    with pytest.raises(OSError, match="not now"):
        derived.align(failing)
    assert (derived.dims, derived.missing()) == (2, ["d2", "d3"]), "as it was"
    derived.align(lambda names: longer)
    assert (derived.dims, derived.missing()) == (3, ["a"])


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


def test_without_a_space_given_vectors_are_not_compared():
    derived = Derived()
    derived.apply([version(1, "a", "sea", vector=packed(1, 0), embedder="m"), version(2, "b", "ship")])
    derived.attach_unlike([2])
    assert derived.embedder_name().startswith("hashing")
    assert (derived.missing(), derived.stats()["unlike"]) == ([], 2)


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
