"""Merging documents of a log: what is written, what is reported, and what others do meanwhile."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clew.context.log.jsonl import JsonlLog
from clew.context.log.port import VersionConflict
from clew.context.merge.conflict import Conflict
from clew.context.merge.document import merge_document, preview
from clew.core.errors import NotFound
from clew.gate.ports.context import Put, Relation, Remove

AT = 1_732_272_000_000
FACT = [Relation(subject="a", relation="r", object=o) for o in "123"]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[JsonlLog]:
    made = JsonlLog.open(tmp_path / "truth")
    yield made
    made.close()


def test_both_changes_are_written(log: JsonlLog) -> None:
    log.write([Put(id="d", text="a\nb\nc\n", metadata={"k": 1, "tags": ["x"]}, relations=(FACT[0], FACT[1]))], AT)
    log.write([Put(id="d", text="A\nb\nc\n", metadata={"k": 1, "tags": ["x", "y"]}, relations=(FACT[0],))], AT)
    mine = Put(id="d", text="a\nb\nC\n", metadata={"k": 2, "tags": ["x"]}, relations=tuple(FACT), origin="run:1/k")
    outcome = merge_document(log, 1, mine, AT + 5)
    assert outcome.conflicts == ()
    assert outcome.version == log.get("d")
    found = log.get("d")
    assert (found.text, found.metadata, found.version) == ("A\nb\nC\n", {"k": 2, "tags": ["x", "y"]}, 3)
    assert (found.relations, found.origin, found.at) == ((FACT[0], FACT[2]), "run:1/k", AT + 5)


def test_a_conflict_writes_nothing(log: JsonlLog) -> None:
    log.write([Put(id="d", text="a\n", metadata={"k": 1})], AT)
    log.write([Put(id="d", text="ours\n", metadata={"k": 2})], AT)
    outcome = merge_document(log, 1, Put(id="d", text="theirs\n", metadata={"k": 3}), AT)
    assert [(c.part, c.pointer) for c in outcome.conflicts] == [("text", ""), ("metadata", "/k")]
    assert outcome.version == log.get("d")
    assert log.head() == 2
    assert outcome.wanted.text == "<<<<<<< ours\nours\n||||||| base\na\n=======\ntheirs\n>>>>>>> theirs\n"


def test_a_preview_writes_nothing(log: JsonlLog) -> None:
    log.write([Put(id="d", text="a\nb\n")], AT)
    log.write([Put(id="d", text="A\nb\n")], AT)
    found = preview(log.history("d"), 1, Put(id="d", text="a\nb\nc\n"))
    assert (found.wanted.text, found.version.version, found.conflicts) == ("A\nb\nc\n", 2, ())
    assert preview(log.history("d"), 1, Put(id="d", text="x\nb\n")).conflicts
    with pytest.raises(NotFound):
        preview(log.history("d"), 7, Put(id="d"))
    log.write([Remove(id="d")], AT)
    assert preview(log.history("d"), 1, Put(id="d", text="a\nb\n")).version is None
    assert log.head() == 3


def test_somebody_settles_the_conflicts(log: JsonlLog) -> None:
    log.write([Put(id="d", text="a\n", metadata={"k": 1})], AT)
    log.write([Put(id="d", text="ours\n", metadata={"k": 2})], AT)
    asked: list[Conflict] = []

    def agent(conflict: Conflict) -> str:
        asked.append(conflict)
        return "both" if conflict.part == "text" else "23"

    outcome = merge_document(log, 1, Put(id="d", text="theirs\n", metadata={"k": 3}), AT, agent)
    assert (outcome.version.text, outcome.version.metadata, outcome.conflicts) == ("both\n", {"k": 23}, ())
    assert len(asked) == 2


def test_without_a_change_of_ours_theirs_is_written(log: JsonlLog) -> None:
    log.write([Put(id="d", text="a\n")], AT)
    assert merge_document(log, 1, Put(id="d", text="b\n"), AT).version.text == "b\n"
    assert merge_document(log, 0, Put(id="new", text="b\n"), AT).version.version == 1
    same = merge_document(log, 1, Put(id="d", text="b\n"), AT)
    assert (same.version.version, log.head()) == (2, 3)


def test_vectors_stay_with_their_text(log: JsonlLog) -> None:
    one, two = b"\0\0\0\0", b"\0\0\0\1"
    log.write([Put(id="d", text="a\nb\nc\n", vector=one, embedder="m")], AT)
    assert merge_document(log, 1, Put(id="d", text="a\nb\nc\n", metadata={"k": 1}), AT).version.vector == one
    assert merge_document(log, 1, Put(id="d", text="a\nb\nC\n", vector=two, embedder="n"), AT).version.vector == two
    merged = merge_document(log, 1, Put(id="d", text="A\nb\nc\n", vector=one, embedder="m"), AT).version
    assert (merged.text, merged.vector, merged.embedder) == ("A\nb\nC\n", b"", "")


# -- a document that is a JSON object --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "merged"),
    [
        ('{"a":1,"b":1}', '{"a":2,"b":1}', '{"a":1,"b":2}', '{"a": 2, "b": 2}'),
        ('{\n  "a": 1\n}\n', '{\n  "a": 2\n}\n', '{\n  "a": 1, "b": 1\n}\n', '{\n  "a": 2,\n  "b": 1\n}\n'),
        ("", '{"a":1}', '{ "a": 1, "b": "ü"}', '{ "a": 1, "b": "ü"}'),
        ('{"a":1}', '{"a":1,"b":2}', '{"a":1}', '{"a":1,"b":2}'),
        ('{"a":1}\n{}', '{"a":1}\n{}\nx', '{"b":1}\n{}', '{"b":1}\n{}\nx'),  # no JSON: by lines
    ],
)  # fmt: skip
def test_json_is_merged_by_key(log: JsonlLog, base: str, ours: str, theirs: str, merged: str) -> None:
    if base:
        log.write([Put(id="d", text=base)], AT)
    log.write([Put(id="d", text=ours)], AT)
    outcome = merge_document(log, 1 if base else 0, Put(id="d", text=theirs), AT)
    assert (outcome.conflicts, outcome.version.text) == ((), merged)


def test_conflicts_in_json_name_the_key(log: JsonlLog) -> None:
    log.write([Put(id="d", text='{"a": {"b": 1}}')], AT)
    log.write([Put(id="d", text='{"a": {"b": 2}}')], AT)
    (conflict,) = merge_document(log, 1, Put(id="d", text='{"a": {"b": 3}}'), AT).conflicts
    assert (conflict.part, conflict.pointer, conflict.ours) == ("json", "/a/b", "2")


@pytest.mark.parametrize(
    "text",
    ['{"a":1,"a":2}', '{"a":1.10}', '{"a":NaN}', '{"a":1e999}', '{"a":"\\ud800"}', "[1]", '{"a":' * 5000, "{nonsense"],
)
def test_what_could_not_be_written_again_is_merged_by_lines(log: JsonlLog, text: str) -> None:
    log.write([Put(id="d", text=text + "\n2\n3\n")], AT)
    log.write([Put(id="d", text=text)], AT)
    log.write([Put(id="d", text=text + "\nours\n")], AT)
    (conflict,) = merge_document(log, 2, Put(id="d", text='{"a":2}'), AT).conflicts
    assert conflict.part == "text"


# -- removed, compacted, written meanwhile ---------------------------------------------------------------------------


def test_removed_on_one_side(log: JsonlLog) -> None:
    log.write([Put(id="d", text="a\n")], AT)
    log.write([Remove(id="d")], AT)
    assert merge_document(log, 1, Put(id="d", text="a\n"), AT).version is None
    changed = Put(id="d", text="b\n", vector=b"\0\0\0\0")
    outcome = merge_document(log, 1, changed, AT)
    assert [(c.part, c.base, c.ours, c.theirs) for c in outcome.conflicts] == [("document", "a\n", "", "b\n")]
    assert outcome.version is None
    assert merge_document(log, 1, changed, AT, lambda _: "").conflicts == ()
    assert log.head() == 2
    assert merge_document(log, 1, changed, AT, lambda c: c.theirs).version.vector == b"\0\0\0\0"
    log.write([Remove(id="d")], AT)
    again = merge_document(log, 1, changed, AT, lambda _: "c\n").version
    assert (again.text, again.vector, again.version) == ("c\n", b"", 5)


def test_a_base_that_is_not_there(log: JsonlLog) -> None:
    for text in "ab":
        log.write([Put(id="d", text=text)], AT)
    with pytest.raises(NotFound, match="no version 7"):
        merge_document(log, 7, Put(id="d"), AT)
    log.compact(2)
    with pytest.raises(NotFound, match="no version 1 to merge with"):
        merge_document(log, 1, Put(id="d"), AT)


class Busy:
    """A log to which somebody else writes just before this writer does, ``times`` times."""

    def __init__(self, log: JsonlLog, times: int) -> None:
        self.log, self.times = log, times

    def history(self, name: str) -> Any:
        return self.log.history(name)

    def write(self, changes: Any, at: int) -> Any:
        if self.times:
            self.times -= 1
            lines = self.log.get("d").text.split("\n")
            self.log.write([Put(id="d", text="\n".join([f"other {self.times}", *lines]))], at)
        return self.log.write(changes, at)


def test_writers_in_between_are_merged_too(log: JsonlLog) -> None:
    log.write([Put(id="d", text="a\nb\nc\n")], AT)
    outcome = merge_document(Busy(log, 3), 1, Put(id="d", text="a\nb\nC\n"), AT)
    assert outcome.version.text == "other 0\nother 1\nother 2\na\nb\nC\n"
    live = outcome.version
    with pytest.raises(VersionConflict):
        merge_document(Busy(log, 10), live.version, Put(id="d", text=live.text + "d\n"), AT)
