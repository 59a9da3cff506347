"""SIGKILL in the middle of whatever a collection does: writes, imports, merges, snapshots, rollbacks, saved and folded indexes.

The file is also the program that does it: ``python test_context.py kill BACKEND KIND FOLDER SEED``. A parent without threads
forks a writer, which says what it is about to do and that it is done, and kills it when it has begun what the kill is aimed at;
then it forks a judge, which opens the collection. CLEW_CHAOS_CONTEXT_KILLS is how often (default 80 for each backend and kind).
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trials import SEED, TALLY, Trials

from clew.context import derived, tended
from clew.context.collection import Collection
from clew.context.ingest import files
from clew.context.ingest import report as reporting
from clew.context.log.jsonl import JsonlLog
from clew.context.log.sqlite import SqliteLog
from clew.context.merge.document import merge_document
from clew.context.versions import restore
from clew.gate.ports.context import Change, Put, Query, Relation, Remove, SearchConfig, Version

KILLS = int(os.environ.get("CLEW_CHAOS_CONTEXT_KILLS", "80"))
LOGS = {"sqlite": SqliteLog, "file": JsonlLog}
DIMS = 16
TOPICS = [f"{root}{end}" for root in ("ship", "plane", "bread", "rail", "glass") for end in "abcdefgh"]
NAMES = 120
AIMS = (*("ingest", "merge", "label") * 3, "save", "put", "rollback", "tend", "compact")
"""What kills are aimed at, in turn."""
HIT = {"ingest": 0.1, "merge": 0.1, "label": 0.02, "save": 0.01}
"""Share of all kills that was in the middle of it, at least. Some steps are quicker than the signal."""
BATCH = 5
"""Documents of one write of an import."""
AT = 1_732_272_000_000
OWN_WORD = SearchConfig(k=50, strategy="SPARSE_FIRST", dense_weight=0.0)
OWN_VECTOR = SearchConfig(k=100, sparse_weight=0.0)

# -- the tests -------------------------------------------------------------------------------------------------------


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["given", "offline"])
@pytest.mark.parametrize("backend", sorted(LOGS))
def test_nothing_acknowledged_is_lost_and_indexes_agree(backend: str, kind: str, trials: Trials, seed: str) -> None:
    folder = trials.directory()
    command = [sys.executable, "-W", "error", __file__, "kill", backend, kind, str(folder), f"{SEED} {seed}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + 5 * KILLS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["kills"] == KILLS
    assert told["acknowledged"] > KILLS
    assert told["loaded"] > 0
    for step, share in HIT.items():
        assert told["during"].get(step, 0) >= KILLS * share, told["during"]
    TALLY[f"kills of a collection's writer ({backend}, {kind} vectors)"] += told["kills"]
    for what, number in told["during"].items():
        TALLY[f"kills of a collection's writer during: {what}"] += number
    TALLY[f"acknowledged steps of a collection judged ({backend}, {kind} vectors)"] += told["acknowledged"]


# -- what must be there ----------------------------------------------------------------------------------------------


class State:
    """Live texts; which of them have a vector; labels and what was live at them."""

    def __init__(self) -> None:
        self.live: dict[str, str] = {}
        self.vectors: set[str] = set()
        self.labels: dict[str, tuple[dict[str, str], set[str]]] = {}

    def after(self, step: dict[str, Any]) -> "State":
        new = State()
        new.live, new.vectors, new.labels = dict(self.live), set(self.vectors), dict(self.labels)
        for name, text in step.get("put", {}).items():
            new.live[name] = text
            new.vectors.discard(name)
            if step["vectors"]:
                new.vectors.add(name)
        for name in step.get("remove", []):
            new.live.pop(name, None)
            new.vectors.discard(name)
        new.vectors |= {*step.get("attach", [])}
        if "label" in step:
            new.labels[step["label"]] = new.live, new.vectors
        if "restore" in step:
            live, vectors = new.labels[step["restore"]]
            new.live, new.vectors = dict(live), set(vectors)
        return new

    def told(self) -> tuple[Any, ...]:
        return self.live, self.vectors, self.labels


def vector(text: str) -> bytes:
    return np.random.default_rng(list(text.encode())).standard_normal(DIMS).astype("<f4").tobytes()


def document(name: str, text: str, kind: str) -> Put:
    own = text.split()[0]
    fact = Relation(subject=own, relation="stands in", object=name)
    given = (vector(text), "m") if kind == "given" else (b"", "")
    return Put(id=name, text=text, metadata={"own": own}, relations=(fact,), vector=given[0], embedder=given[1])


# -- the writer ------------------------------------------------------------------------------------------------------


class Writer:
    """Draws steps; each is announced as the writes that it makes, one after the other."""

    def __init__(self, collection: Collection, folder: Path, kind: str, seed: str, pipe: int) -> None:
        self.collection, self.folder, self.kind, self.pipe = collection, folder, kind, pipe
        self.draw, self.seed, self.count, self.doing = random.Random(seed), seed.rpartition(" ")[2], 0, ""
        self.given = kind == "given"

    def run(self) -> None:
        kinds = {self.put: 10, self.single: 6, self.merge: 3, self.ingest: 3, self.label: 2, self.rollback: 1,
                 self.save: 4, self.tend: 3, self.compact: 1, self.search: 2}  # fmt: skip
        for _ in range(100_000):
            (step,) = self.draw.choices([*kinds], [*kinds.values()])
            self.doing = step.__name__
            step()

    def announce(self, *writes: dict[str, Any]) -> None:
        os.write(
            self.pipe, json.dumps([{"vectors": self.given, "by": self.doing, **one} for one in writes]).encode() + b"\n"
        )

    def done(self) -> None:
        os.write(self.pipe, b"done\n")

    def name(self) -> str:
        return f"doc {self.draw.randrange(NAMES)}"

    def text(self) -> str:
        self.count += 1
        return f"own{self.seed}n{self.count} " + " ".join(self.draw.choices(TOPICS, k=12))

    def put(self) -> None:
        texts = {self.name(): self.text() for _ in range(self.draw.choice([2, 10, 60]))}
        gone = [name for name in {self.name() for _ in range(4)} if name not in texts]
        self.announce({"put": texts, "remove": gone})
        changes: list[Change] = [document(name, text, self.kind) for name, text in texts.items()]
        self.collection.write([*changes, *(Remove(id=name) for name in gone)])
        self.done()

    def single(self) -> None:
        name, text = self.name(), self.text()
        self.announce({"put": {name: text}})
        self.collection.write([document(name, text, self.kind)])
        self.done()

    def merge(self) -> None:
        """Two change different lines of the same version."""
        name, own = self.name(), self.text()
        lines = [own, *(self.text() for _ in range(4))]
        ours, theirs = [*lines[:4], "our last line"], [lines[0], "their second line", *lines[2:]]
        merged = [lines[0], "their second line", *lines[2:4], "our last line"]
        base, ours_text, theirs_text, merged_text = ("\n".join(part) for part in (lines, ours, theirs, merged))
        first = [{"put": {name: base}}, {"put": {name: ours_text}}, {"put": {name: merged_text}, "vectors": False}]
        self.announce(*first, *([{"attach": [name]}] if self.given else []))
        (written,) = self.collection.write([document(name, base, self.kind)])
        self.collection.write([document(name, ours_text, self.kind)])
        assert written
        outcome = merge_document(self.collection.log, written.version, document(name, theirs_text, self.kind), AT)
        assert outcome.version
        assert not outcome.conflicts
        if self.given:
            self.collection.attach([(outcome.version.n, "m", vector(merged_text))])
        self.done()

    def ingest(self) -> None:
        names = sorted({f"file{self.draw.randrange(30):02}.txt" for _ in range(14)})
        texts = {name: self.text() for name in names}
        for name, text in texts.items():
            (self.folder / name).write_text(text)
        ids = {f"{name}#0": text for name, text in texts.items()}
        groups = [[*ids][start : start + BATCH] for start in range(0, len(ids), BATCH)]
        self.announce(*({"put": {one: ids[one] for one in group}, "vectors": False} for group in groups))
        options = files.Options(graph=False)
        report = files.bring_in(
            self.collection, files.found([self.folder / n for n in names]), options, lambda *_: None
        )
        assert report.documents == len(names)
        self.done()

    def label(self) -> None:
        name = f"label {self.seed} {self.count} {self.draw.random()}"
        self.announce({"label": name})
        self.collection.log.label(name, AT)
        self.done()

    def rollback(self) -> None:
        labels = self.collection.labels()
        if labels:
            name = self.draw.choice([*labels][-3:])
            self.announce({"restore": name})
            restore(self.collection.log, labels[name].n, "rollback", AT)
            self.done()

    def compact(self) -> None:
        self.announce({})
        self.collection.log.compact(max(0, self.collection.log.head() - 200))
        self.done()

    def save(self) -> None:
        self.announce({})
        self.collection.save()
        self.done()

    def tend(self) -> None:
        self.announce({})
        self.collection.tend()
        self.done()

    def search(self) -> None:
        self.collection.search(Query(text=" ".join(self.draw.choices(TOPICS, k=3))))


# -- the judge -------------------------------------------------------------------------------------------------------


def held(collection: Collection) -> State:
    log, found = collection.log, State()

    def at(place: int) -> tuple[dict[str, str], set[str]]:
        there = list(log.live_at(place))
        return {one.id: one.text for one in there}, {one.id for one in there if one.vector}

    found.live, found.vectors = at(log.head())
    found.labels = {name: at(label.n) for name, label in log.labels().items()}
    return found


def disagreements(collection: Collection) -> Iterator[str]:
    """Between the indexes and the log."""
    live = list(collection.log.live_at(collection.log.head()))
    for version in live:
        yield from _not_found(collection, version)
    now = {version.id: version for version in live}
    texts = {version.text for version in live}
    for old in collection.log.since(max(0, collection.log.head() - 150)):
        if old.text in texts or (old.deleted and not old.text):
            continue
        hits = collection.search(Query(text=old.text.split()[0]), OWN_WORD).hits
        own = old.text.split()[0]
        yield from (f"{hit.doc_id} is found by {own}" for hit in hits if own not in now[hit.doc_id].text)
    for name in {one.id for one in collection.log.since(0, 5000) if one.deleted} - now.keys():
        if collection.search(Query(text="shipa planea", filter={"term": {"own": name}})).hits:
            yield f"{name} is dead and found"
    stats = collection.stats()
    if stats["documents"] != len(live) or stats["sparse"]["rows"] != len(live):
        yield f"{len(live)} documents, stats say {stats}"


def _not_found(collection: Collection, version: Version) -> Iterator[str]:
    own = version.text.split()[0]
    if version.id not in {hit.doc_id for hit in collection.search(Query(text=own), OWN_WORD).hits}:
        yield f"{version.id} is not found by its word {own}"
    field, value = ("own", own) if "own" in version.metadata else ("path", version.metadata["path"])
    where = {"term": {field: value}}
    query = Query(text=own, filter=where)
    if [hit.doc_id for hit in collection.search(query, OWN_WORD).hits] != [version.id]:
        yield f"{version.id} is not what the filter {where} leaves"
    if collection.newest(3, where) != [version.id]:
        yield f"{version.id} is not what {where} selects"
    derived_ = collection.stats()["embedder"]
    given = version.vector and version.embedder == derived_
    if given or derived_.startswith(("lsa", "hashing")):
        query = Query(vector=version.vector) if given else Query(text=version.text)
        near = {hit.doc_id: hit.dense_score for hit in collection.search(query, OWN_VECTOR).hits}
        if not (near.get(version.id) or 0) > 0.999:
            yield f"{version.id} is not found by its vector: {near.get(version.id)}"
    if version.relations:
        with collection.facts() as facts:
            number = facts.entities.find(own)
            known = number is not None and len(facts.held(facts.places("subject", number), None, None))
        if not known:
            yield f"what {version.id} states of {own} is not known"


def judge(folder: Path, backend: str, pipe: int) -> None:
    """Tells what is held, what disagrees, how long opening took, and whether it began with a saved index."""
    began = time.perf_counter()
    with opened(folder, backend) as collection:
        took = time.perf_counter() - began
        saved = collection.stats()["saved"]
        found = held(collection)
        wrong = list(disagreements(collection))
        told = {"live": found.live, "vectors": sorted(found.vectors), "wrong": wrong[:10], "took": took, "saved": saved,
                "labels": {name: [live, sorted(with_)] for name, (live, with_) in found.labels.items()}}  # fmt: skip
    with os.fdopen(pipe, "wb") as out:
        out.write(json.dumps(told).encode())


# -- the program -----------------------------------------------------------------------------------------------------


def opened(folder: Path, backend: str) -> Collection:
    clock = iter(range(AT, AT + 10**9))
    return Collection(LOGS[backend].open(folder / "truth"), folder, now=lambda: next(clock), space="given")


def forked(work: Any) -> tuple[int, int]:
    """A child that does ``work(pipe)``; its process and the end of the pipe to read from."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            work(writing)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(1)
    os.close(writing)
    return child, reading


def killed(folder: Path, backend: str, kind: str, seed: str, aim: str) -> list[tuple[dict[str, Any], bool]]:
    """The writes that a writer announced, and whether they were acknowledged, until it was killed in a step called ``aim``."""

    def work(pipe: int) -> None:
        with opened(folder, backend) as collection:
            os.write(pipe, b"open\n")
            Writer(collection, folder, kind, seed, pipe).run()

    draw = random.Random(seed)
    child, reading = forked(work)
    said, later = os.read(reading, 5), draw.randrange(30)
    assert said == b"open\n", "the writer could not open the collection"
    said, steps = b"", f'"by": "{aim}"'.encode()
    while said.count(b"\n") < later or steps not in said[said.rfind(b"\n", 0, -1) + 1 :]:
        more = os.read(reading, 1 << 20)
        assert more, "the writer ended by itself"
        said += more
    time.sleep(draw.choice([0, 0.001, 0.01]) * draw.random())
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the writer ended by itself"
    with os.fdopen(reading, "rb") as rest:
        said += rest.read()
    writes: list[tuple[dict[str, Any], bool]] = []
    for line in said.split(b"\n")[:-1]:
        if line == b"done":
            writes = [(write, True) for write, _ in writes]
        else:
            writes += [(write, False) for write in json.loads(line)]
    return writes


def judged(folder: Path, backend: str) -> dict[str, Any]:
    child, reading = forked(lambda pipe: judge(folder, backend, pipe))
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    assert os.waitpid(child, 0)[1] == 0, "the judge could not open the collection"
    return json.loads(said)


def killing(backend: str, kind: str, folder: Path, seed: str) -> dict[str, Any]:
    state = State()
    told: dict[str, Any] = {"kills": 0, "acknowledged": 0, "loaded": 0, "slowest": 0.0, "during": {}}
    for kill in range(KILLS):
        writes = killed(folder, backend, kind, f"{seed} k{kill}", AIMS[kill % len(AIMS)])
        allowed = [state]
        for write, acknowledged in writes:
            after = allowed[-1].after(write)
            allowed = [after] if acknowledged else [*allowed, after]
        seen = judged(folder, backend)
        found = State()
        found.live, found.vectors = seen["live"], set(seen["vectors"])
        found.labels = {name: (live, set(with_)) for name, (live, with_) in seen["labels"].items()}
        matching = [one for one in allowed if one.told() == found.told()]
        assert matching, f"kill {kill}: {len(writes)} writes; {differing(found, allowed)}"
        assert not seen["wrong"], f"kill {kill}: {seen['wrong']}"
        state = matching[0]
        told["kills"] += 1
        told["acknowledged"] += sum(acknowledged for _, acknowledged in writes)
        told["loaded"] += seen["saved"] > 0
        during = next((write["by"] for write, acknowledged in writes if not acknowledged), "nothing announced")
        told["during"][during] = told["during"].get(during, 0) + 1
        told["slowest"] = max(told["slowest"], round(seen["took"], 3))
    return told


def differing(found: State, allowed: list[State]) -> str:
    def keys(a: Any, b: Any) -> list[Any]:
        return [key for key in {*a, *b} if (key in a) != (key in b) or (isinstance(a, dict) and a[key] != b[key])][:5]

    return " or ".join(repr([keys(a, b) for a, b in zip(found.told(), one.told(), strict=True)]) for one in allowed)


def main() -> None:
    _, backend, kind, folder, seed = sys.argv[1:]
    # So that these happen all the time.
    derived._FOLD, derived._CROWD, tended.SAVE_EVERY, reporting.BATCH = 60, 20, 150, BATCH
    print(json.dumps(killing(backend, kind, Path(folder), seed)))


if __name__ == "__main__":
    main()
