"""Collections against a dictionary: snapshots and rollbacks, and writers side by side in threads and processes.

The file is also the program of one process: ``python test_collection.py FOLDER NAME``.
"""

import itertools
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.context.collection import Collection
from clew.context.log.port import VersionConflict
from clew.context.log.sqlite import SqliteLog
from clew.context.versions import difference, restore
from clew.gate.ports.context import Put, Query, Relation, Remove, SearchConfig

AT = 1_732_272_000_000
WORDS = SearchConfig(k=50, strategy="SPARSE_FIRST", dense_weight=0.0)
NAMES = st.sampled_from([f"doc {i}" for i in range(6)])
TEXTS = st.integers(0, 5).map(lambda n: f"word{n} and more")
STEPS = st.one_of(
    st.tuples(st.just("write"), st.dictionaries(NAMES, st.none() | TEXTS, min_size=1, max_size=5)),
    st.tuples(st.just("label"), st.just(None)),
    st.tuples(st.just("rollback"), st.integers(0, 5)),
    st.tuples(st.sampled_from(["save", "tend", "reopen"]), st.just(None)),
)


def opened(folder: Path) -> Collection:
    clock = itertools.count(AT)
    return Collection(SqliteLog.open(folder / "truth.db"), folder, now=lambda: next(clock))


def found(collection: Collection, text: str) -> set[str]:
    return {hit.doc_id for hit in collection.search(Query(text=text), WORDS).hits}


def document(name: str, text: str) -> Put:
    return Put(
        id=name, text=text, metadata={"of": text}, relations=(Relation(subject=name, relation="is", object=text),)
    )


class Run:
    """A collection and what it must hold."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.collection = folder, opened(folder)
        self.live: dict[str, str] = {}
        self.labelled: list[tuple[str, dict[str, str]]] = []

    def write(self, texts: dict[str, str | None]) -> None:
        self.collection.write(
            [Remove(id=name) if text is None else document(name, text) for name, text in texts.items()]
        )
        self.live = {name: text for name, text in {**self.live, **texts}.items() if text is not None}

    def label(self, _: None) -> None:
        name = f"label {len(self.labelled)}"
        self.collection.log.label(name, AT)
        self.labelled.append((name, dict(self.live)))

    def rollback(self, which: int) -> None:
        if self.labelled:
            name, live = self.labelled[which % len(self.labelled)]
            place, head = self.collection.labels()[name].n, self.collection.log.head()
            restore(self.collection.log, place, "rollback", AT)
            assert difference(self.collection.log, place, self.collection.log.head()) == difference(
                self.collection.log, 0, 0
            )
            assert {
                v.id for v in self.collection.log.live_at(head)
            } == self.live.keys()  # what was there can be seen still
            self.live = dict(live)

    def save(self, _: None) -> None:
        self.collection.save()

    def tend(self, _: None) -> None:
        self.collection.tend()

    def reopen(self, _: None) -> None:
        self.collection.close()
        self.collection = opened(self.folder)

    def check(self) -> None:
        log = self.collection.log
        assert {v.id: v.text for v in log.live_at(log.head())} == self.live
        for name, live in self.labelled:
            assert {v.id: v.text for v in log.live_at(log.labels()[name].n)} == live
        for word in (f"word{n}" for n in range(6)):
            holding = {name for name, text in self.live.items() if text.startswith(word)}
            assert found(self.collection, word) == holding
            where = {"term": {"of": f"{word} and more"}}
            assert set(self.collection.newest(50, where)) == holding
            with self.collection.facts() as facts:
                entity = facts.entities.find(f"{word} and more")
                stated = [] if entity is None else facts.held(facts.places("object", entity), None, None)
                assert {facts.fact(one).subject for one in stated} == holding


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(STEPS, max_size=14))
def test_a_rollback_gives_what_was_live(steps: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        try:
            for step, argument in steps:
                getattr(run, step)(argument)
            run.check()
        finally:
            run.collection.close()


# -- writers side by side --------------------------------------------------------------------------------------------

STEPS_EACH = 25


def count(collection: Collection, name: str, steps: int) -> None:
    """Adds to one document, each time from what is there; says so in documents of its own, and finds them at once."""
    done = 0
    while done < steps:
        live = collection.get("counter")
        change = Put(
            id="counter",
            text=f"{int(live.text) + 1}" if live else "1",
            origin=name,
            expected=live.version if live else 0,
        )
        own = Put(id=f"{name} {done}", text=f"mark{name}x{done}")
        try:
            collection.write([change, own])
        except VersionConflict:
            assert collection.get(own.id) is None  # all or none
            continue
        assert found(collection, own.text) == {own.id}
        done += 1
        if done % 10 == 0:
            collection.save()


def judge(collection: Collection, names: list[str]) -> None:
    history = collection.log.history("counter")
    assert [v.text for v in history] == [str(n) for n in range(1, STEPS_EACH * len(names) + 1)]
    assert sorted(v.origin for v in history) == sorted(names * STEPS_EACH)
    for name in names:
        for step in range(STEPS_EACH):
            assert found(collection, f"mark{name}x{step}") == {f"{name} {step}"}


def test_no_update_is_lost_between_threads(tmp_path: Path) -> None:
    names, wrong = ["a", "b", "c", "d"], list[BaseException]()

    def work(name: str) -> None:
        try:
            count(collection, name, STEPS_EACH)
        except BaseException as error:
            wrong.append(error)

    with opened(tmp_path) as collection:
        threads = [threading.Thread(target=work, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        judge(collection, names)


@pytest.mark.slow
def test_no_update_is_lost_between_processes(tmp_path: Path) -> None:
    names = ["p", "q", "r"]
    with opened(tmp_path) as collection:  # open all the while, it sees what the others write
        command = [sys.executable, "-W", "error", __file__, str(tmp_path)]
        processes = [subprocess.Popen([*command, name], stderr=subprocess.PIPE, text=True) for name in names]
        told = [process.communicate(timeout=120)[1] for process in processes]
        assert [process.returncode for process in processes] == [0, 0, 0], told
        judge(collection, names)
    with opened(tmp_path) as again:
        judge(again, names)


if __name__ == "__main__":
    with opened(Path(sys.argv[1])) as shared:
        count(shared, sys.argv[2], STEPS_EACH)
