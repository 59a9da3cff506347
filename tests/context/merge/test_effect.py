"""The ``merge`` effect in a collection: settled by name, told within bounds, done once."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.context.collection import Collection
from clew.context.log.jsonl import JsonlLog
from clew.context.merge import effect
from clew.context.merge.conflict import Conflict
from clew.context.merge.effect import MOST, MOST_CHARACTERS, Merging, perform, told
from clew.context.merge.lines import merge_text
from clew.core.errors import NotFound
from clew.gate.ports.context import Put, Relation, Remove


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    with Collection(JsonlLog.open(tmp_path / "truth"), None, now=lambda: 1) as made:
        yield made


@pytest.fixture
def do(collection: Collection) -> Callable[..., dict[str, Any]]:
    def merge(text: str, base: int = 1, origin: str = "r:1", **fields: Any) -> dict[str, Any]:
        return perform(collection, Merging(id="d", text=text, base=base, **fields), origin)

    return merge


def test_written_with_the_metadata_of_the_base(collection: Collection, do: Any) -> None:
    collection.write([Put(id="d", text="a\nb\n", metadata={"k": 1})])
    collection.write([Put(id="d", text="a\nB\n", metadata={"k": 1, "more": 2})])
    stands = {"version": 3, "text": "x\na\nB\n", "metadata": {"k": 1, "more": 2}, "written": True, "settled": []}
    assert do("x\na\nb\n") == stands
    collection.write([Put(id="d", text="others went on")])
    assert do("x\na\nb\n") == stands, "asked for again after a crash"
    assert collection.log.history("d")[-1].version == 4
    assert do("x\na\nb\n", origin="r:2", metadata={"k": 5}, base=3)["conflicts"]


def test_nothing_new_is_not_written(collection: Collection, do: Any) -> None:
    assert do("a\n", 0)["version"] == 1
    assert do("a\n", origin="r:2") == {"version": 1, "text": "a\n", "metadata": {}, "written": False, "settled": []}
    collection.write([Remove(id="d")])
    assert do("a\n", origin="r:3") == {"version": 0, "text": "", "metadata": {}, "written": False, "settled": []}
    with pytest.raises(NotFound):
        do("a\n", 9, origin="r:4")


def test_a_conflict_is_settled_by_its_name_and_no_other(collection: Collection, do: Any) -> None:
    collection.write([Put(id="d", text="a\nkeep\nb\n")])
    collection.write([Put(id="d", text="A\nkeep\nB\n")])
    first = do("1\nkeep\n2\n")
    assert (first["version"], first["count"], first["left"]) == (2, 2, 0)
    one, two = first["conflicts"]
    assert (one["above"], one["below"], two["above"]) == ("", "keep\nB\n", "A\nkeep")
    half = do("1\nkeep\n2\n", settled={one["name"]: "I\n", "unknown": "x"})
    assert [left["name"] for left in half["conflicts"]] == [two["name"]]
    assert collection.log.head() == 2
    whole = do("1\nkeep\n2\n", settled={one["name"]: "I\n", two["name"]: ""})
    assert (whole["text"], whole["settled"]) == ("I\nkeep\n", [one["name"], two["name"]])


def test_what_was_settled_holds_for_the_very_same_conflict(collection: Collection, do: Any) -> None:
    collection.write([Put(id="d", text="a\nkeep\nmore\n")])
    collection.write([Put(id="d", text="A\nkeep\nmore\n")])
    (conflict,) = do("1\nkeep\nmore\n")["conflicts"]
    settled = {conflict["name"]: "I\n"}
    collection.write([Put(id="d", text="AA\nkeep\nmore\n")])
    assert do("1\nkeep\nmore\n", settled=settled)["conflicts"][0]["name"] != conflict["name"]
    collection.write([Put(id="d", text="A\nkeep\nmore\nnew\n")])
    assert do("1\nkeep\nmore\n", settled=settled)["text"] == "I\nkeep\nmore\nnew\n"


def test_what_was_settled_is_what_stands_there(collection: Collection, do: Any, monkeypatch: Any) -> None:
    collection.write([Put(id="d", text="a\nkeep\nb\n")])
    collection.write([Put(id="d", text="A\nkeep\nB\n")])
    (conflict,) = do("X\nkeep\nb\n")["conflicts"]
    settled = {conflict["name"]: "Q\n", "stale": "never"}
    write, taken_back = collection.write, [Put(id="d", text="a\nkeep\nB\n")]

    def meanwhile(changes: Any) -> Any:
        if taken_back:
            write([taken_back.pop()])
        return write(changes)

    monkeypatch.setattr(collection, "write", meanwhile)
    merged = do("X\nkeep\nb\n", settled=settled)
    assert (merged["text"], merged["settled"]) == ("X\nkeep\nB\n", [])
    assert do("X\nkeep\nb\n", settled=settled) == merged, "asked for again after a crash"
    again = do("Y\nkeep\nb\n", origin="r:2")["conflicts"][0]["name"]
    merged = do("Y\nkeep\nb\n", origin="r:2", settled={again: "Z\n", "stale": "never"})
    assert (merged["text"], merged["settled"]) == ("Z\nkeep\nB\n", [again])
    assert do("Y\nkeep\nb\n", origin="r:2", settled={again: "Z\n", "stale": "never"}) == merged


def test_relations_that_somebody_read_stay(collection: Collection, do: Any) -> None:
    fact = Relation(subject="Ann", relation="leads", object="Core", by="clerk")
    collection.write([Put(id="d", text="a\nb\n", relations=(fact,))])
    do("a\nAnn Lee leads Search Core.\n")
    assert collection.log.history("d")[-1].relations == (fact,)


def test_told_within_bounds() -> None:
    large = Conflict(part="json", base="b" * 9_000, ours="o" * 9_000, theirs="t" * 9_000, pointer="/" + "p" * 9_000)
    small = Conflict(part="metadata", base="1", ours="2", theirs="3", pointer="/k")
    found = told([large, small, *[large] * 100], "")
    assert (found["count"], found["left"], len(found["conflicts"])) == (102, 101, MOST)
    first, second, *_ = found["conflicts"]
    assert first["ours"].endswith("[cut: 200 of 9,000 characters]")
    assert (second["ours"], second["pointer"]) == ("2", "/k")
    assert len(msgspec.json.encode(found)) < MOST * 1_200 + MOST_CHARACTERS
    wide = Conflict(part="text", base="", ours="", theirs="")
    (shown,) = told([wide], "w" * 5_000)["conflicts"]
    assert (shown["above"], shown["below"]) == ("", "w" * 200)


LINES = st.lists(st.sampled_from("abc"), max_size=8).map(lambda lines: "".join(f"{line}\n" for line in lines))


@given(base=LINES, ours=LINES, theirs=LINES)
def test_names_tell_conflicts_apart(base: str, ours: str, theirs: str) -> None:
    names = [effect.name(one) for one in merge_text(base, ours, theirs).conflicts]
    assert len(set(names)) == len(names)
    settled = dict.fromkeys(names, "s\n")
    assert not merge_text(base, ours, theirs, lambda one: settled.get(effect.name(one))).conflicts
