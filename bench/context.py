"""The context engine, measured: ingest, durable upserts, search with and without filters, memory, disk, opening; beside its peers.

    python bench/context.py [--json] [--n 100000] [--data synthetic|corpus|both] [--corpus FILE …] [--queries 1000]
                            [--dense-only] [--peers PYTHON] [--realtime] [--work FOLDER]

Data: ``context_data``. synthetic: anisotropic clustered embeddings, Zipf texts. corpus: LSA of passages of the text files, and a
query is some consecutive words of a passage, half of them from passages that the collection has not. 384 dimensions, metadata
with fields that 10 % and 1 % of the documents share. Times are of one thread and of whole calls, in ms; spreads are P50, P95, P99.

ingest: documents a second, in batches of 1,000, each durable; ready: seconds from there until nothing is left to learn or
fold. upsert: replacing one document, durable; visible: the search after it, by its vector and by a word that only it has
(``missed`` counts those that did not find it first). floor: committing as many bytes to a bare SQLite file. recall: of the
ten nearest by exact cosine (dense) and of the ten best when the exact dense list and the whole BM25 list are fused (hybrid).
opening: a fresh process; ``start`` from its start to its first answer, ``open`` from the call to the open collection, ``tail`` with
9,999 documents that were written after the last save; its memory after 200 searches (``own``: not shared with files).
load: of the last minute, before and after. --peers: the interpreter of an environment that has lancedb, chromadb or sqlite-vec
(with apsw); see ``context_peers``. --realtime (root) runs everything before what others do on a shared machine, peers too.
--work keeps the data, which takes longer to make than to measure.
"""

import argparse
import gc
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import context_data as made
import numpy as np

from clew.context.collection import Collection
from clew.context.fusion import Ranked, fuse, ordered
from clew.context.log.sqlite import SqliteLog
from clew.gate.ports.context import Put, Query, SearchConfig

DIMS = 384
BATCH = 1000
UPSERTS = 200
TAIL = 9_999
"""One fewer than make a collection save itself."""
JUDGED = 300
"""Queries whose answers are compared with the exact ones."""
CANDIDATES = 100
PEERS = ("sqlite-vec", "lancedb", "chromadb")
GOALS = {
    "hybrid": "P50 ≤ 0.5, P99 ≤ 3", "hybrid 10 %": "≤ 2 × hybrid", "hybrid 1 %": "≤ 2 × hybrid", "upsert": "≤ 3",
    "recall": "≥ 0.97", "open": "< 500", "open, tail": "< 1000",
}  # fmt: skip


class Data(NamedTuple):
    """``asked``: the text of each query. Files of the same names in ``folder`` are what peers read."""

    folder: Path
    vectors: made.Floats
    queries: made.Floats
    texts: list[str]
    metadata: list[dict[str, Any]]
    asked: list[str]

    @classmethod
    def read(cls, folder: Path) -> "Data":
        vectors, queries = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("vectors", "queries"))
        texts, metadata, asked = (json.loads((folder / f"{name}.json").read_text()) for name in cls._fields[3:])
        return cls(folder, np.asarray(vectors), np.asarray(queries), texts, metadata, asked)

    def put(self, i: int) -> Put:
        text = self.texts[i] if self.texts else ""
        return Put(id=f"d{i:07}", text=text, metadata=self.metadata[i], vector=self.vectors[i].tobytes())


def prepared(kind: str, folder: Path, given: argparse.Namespace) -> Data:
    """As it is in ``folder``, or made there."""
    if not (folder / "asked.json").exists():
        print(f"… making {kind} data", file=sys.stderr)
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(1)
        sort = corpus if kind == "corpus" else synthetic
        vectors, queries, texts, labels, asked = sort(given, rng)
        np.save(folder / "vectors.npy", vectors)
        np.save(folder / "queries.npy", queries)
        for name, value in (("texts", texts), ("metadata", made.metadata(labels)), ("asked", asked)):
            (folder / f"{name}.json").write_text(json.dumps(value))
    return Data.read(folder)


Made = tuple[made.Floats, made.Floats, list[str], made.Ints, list[str]]


def synthetic(given: argparse.Namespace, rng: np.random.Generator) -> Made:
    """Queries are documents that were moved and new ones in turn; their words are those of a document."""
    found = made.clustered(given.n + TAIL, DIMS, queries=given.queries)
    even = np.arange(given.queries) % 2 == 0
    queries = np.where(even[:, None], found.perturbed, found.fresh)
    texts = [] if given.dense_only else made.zipf_texts(given.n + TAIL)
    asked = [_words(texts[i].split(), rng) if texts else "" for i in found.sources]
    return found.vectors, queries, texts, found.labels, asked


def corpus(given: argparse.Namespace, rng: np.random.Generator) -> Made:
    passages = made.corpus(given.corpus)
    order = rng.permutation(len(passages))
    total, held = given.n + TAIL, given.queries // 2
    if len(passages) < total + held:
        sys.exit(f"the files have {len(passages)} passages, {total + held} are needed: give more, or a smaller --n")
    texts = [passages[i] for i in order[:total]]
    sources = [passages[i] for i in order[total : total + held]] + texts[: given.queries - held]
    asked = [_words(text.split(), rng) for text in sources]
    lsa = made.Lsa(texts, DIMS)
    vectors, queries = lsa.embed(texts), lsa.embed(asked)
    spoken = np.flatnonzero(queries.any(axis=1))
    middles = vectors[rng.choice(total, 64, replace=False)]
    labels = np.argmax(vectors @ middles.T, axis=1)
    return vectors, queries[spoken], texts, labels, [asked[i] for i in spoken]


def _words(words: list[str], rng: np.random.Generator) -> str:
    """3 to 12 consecutive ones."""
    count = int(rng.integers(3, 13))
    start = int(rng.integers(0, max(1, len(words) - count)))
    return " ".join(words[start : start + count])


def condition(i: int, share: str) -> dict[str, Any] | None:
    """A filter for query ``i`` that passes that share of the documents."""
    return {"": None, "10 %": {"year": 2015 + i % 10}, "1 %": {"tag": "rare"}}[share]


def spread(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {f"p{p}": round(ordered[min(len(ordered) - 1, len(ordered) * p // 100)] * 1000, 3) for p in (50, 95, 99)}


def timed(work: Callable[[int], Any], count: int, warm: int = 50) -> dict[str, float]:
    for i in range(min(warm, count)):
        work(i)
    taken: list[float] = []
    for i in range(count):
        began = time.perf_counter()
        work(i)
        taken.append(time.perf_counter() - began)
    return spread(taken)


class Engine:
    """One collection, on ``data``."""

    def __init__(self, data: Data, n: int, folder: Path, out: dict[str, Any]) -> None:
        self.data, self.n, self.folder, self.out = data, n, folder, out
        self.count = len(data.asked)
        folder.mkdir()
        self.collection = self.opened()

    def opened(self) -> Collection:
        return opened(self.folder)

    def query(self, i: int, what: str = "hybrid", share: str = "") -> Query:
        return query(self.data.asked[i], self.data.queries[i], what, condition(i, share))

    def ingest(self) -> None:
        began = time.perf_counter()
        for start in range(0, self.n, BATCH):
            self.collection.write([self.data.put(i) for i in range(start, min(self.n, start + BATCH))])
        written = time.perf_counter()
        self.collection.tend()
        self.out["ingest"] = round(self.n / (written - began))
        self.out["ready"] = round(time.perf_counter() - written, 2)
        self.collection.save()
        gc.collect()
        gc.freeze()  # the data is the benchmark's, not the engine's

    def searches(self) -> None:
        kinds = ("hybrid", "dense", "sparse") if self.data.texts else ("dense",)
        for kind in kinds:
            for share in ("", "10 %", "1 %"):
                queries = [self.query(i, kind, share) for i in range(self.count)]
                self.out[f"{kind} {share}".strip()] = timed(
                    lambda i, asked=queries: self.collection.search(asked[i]), self.count
                )

    def recall(self) -> None:
        units = made.normalised(np.array(self.data.vectors[: self.n]))
        years = np.array([one["year"] for one in self.data.metadata[: self.n]])
        rare = np.array([one["tag"] == "rare" for one in self.data.metadata[: self.n]])
        found: dict[str, float] = {}
        for share in ("", "10 %", "1 %"):
            hits: dict[str, list[float]] = {"dense": [], "hybrid": []}
            for i in range(min(JUDGED, self.count)):
                allowed = {"": None, "10 %": years == 2015 + i % 10, "1 %": rare}[share]
                exact = nearest(units, self.data.queries[i], allowed)
                hits["dense"].append(self.shared(i, "dense", share, exact[0][:10]))
                if self.data.texts:
                    hits["hybrid"].append(self.shared(i, "hybrid", share, self.composed(i, share, exact)))
            found |= {f"{kind} {share}".strip(): round(statistics.mean(of), 4) for kind, of in hits.items() if of}
        self.out["recall"] = found

    def shared(self, i: int, what: str, share: str, wanted: Sequence[str]) -> float:
        hits = {hit.doc_id for hit in self.collection.search(self.query(i, what, share)).hits}
        return len(hits & set(wanted)) / max(1, len(wanted))

    def composed(self, i: int, share: str, exact: tuple[list[str], list[float]]) -> list[str]:
        """The lists whole, fused. The engine's BM25 list is exact, as its tests show."""
        whole = SearchConfig(k=CANDIDATES, rerank_factor=1)
        hits = self.collection.search(self.query(i, "sparse", share), whole).hits
        sparse = Ranked("sparse", [h.doc_id for h in hits], [h.sparse_score or 0.0 for h in hits], 0.5)
        return [one for one, _ in fuse([Ranked("dense", *exact, 0.5), sparse], "RECIPROCAL_RANK", 60, 10)]

    def upserts(self) -> None:
        rng = np.random.default_rng(2)
        wrote, saw, bare, missed = [], [], [], 0
        floor = Floor(self.folder / "floor.db")
        for i, place in enumerate(rng.choice(self.n, UPSERTS, replace=False).tolist()):
            vector = made.normalised(self.data.vectors[place : place + 1] + rng.normal(0, 0.02, (1, DIMS)))
            put = Put(
                id=f"d{place:07}", text=f"fresh{i}x {self.data.put(place).text}",
                metadata=self.data.metadata[place], vector=vector.astype("<f4").tobytes(),
            )  # fmt: skip
            began = time.perf_counter()
            self.collection.write([put])
            written = time.perf_counter()
            first = self.collection.search(Query(text=f"fresh{i}x", vector=put.vector)).hits[0]
            seen = time.perf_counter()
            floor.commit(len(put.vector) + len(put.text) + 200)
            wrote.append(written - began), saw.append(seen - written), bare.append(time.perf_counter() - seen)
            missed += first.doc_id != put.id or first.dense_rank != 1 or (first.sparse_rank or 1) != 1
        floor.close()
        self.out |= {"upsert": spread(wrote), "visible": spread(saw), "missed": missed, "floor": spread(bare)}
        kind = "hybrid" if self.data.texts else "dense"
        queries = [self.query(i, kind) for i in range(self.count)]
        after = timed(lambda i: self.collection.search(queries[i]), self.count)
        self.out[f"{kind}, {UPSERTS} upserts later"] = after

    def on_disk(self) -> None:
        began = time.perf_counter()
        self.collection.save()
        self.out["save"] = round(time.perf_counter() - began, 2)
        self.collection.close()
        sizes = {"log": self.folder.glob("truth.db*"), "index": (self.folder / "index").rglob("*")}
        self.out["disk MB"] = {name: _megabytes(of) for name, of in sizes.items()}

    def openings(self) -> None:
        for name in ("", ", tail"):
            if name:
                with closing(SqliteLog.open(self.folder / "truth.db")) as log:
                    for start in range(self.n, self.n + TAIL, BATCH):
                        log.write([self.data.put(i) for i in range(start, min(self.n + TAIL, start + BATCH))], 0)
            found = [_fresh(self.folder, self.data.folder) for _ in range(5)]
            for key in found[0]:
                self.out[f"{key}{name}"] = statistics.median(one[key] for one in found)


def _megabytes(paths: Iterable[Path]) -> int:
    """Of files, each once, by however many names it is there."""
    return round(sum({(found := path.stat()).st_ino: found.st_size for path in paths}.values()) / 1e6)


def nearest(units: made.Floats, vector: made.Floats, allowed: made.Mask | None) -> tuple[list[str], list[float]]:
    """The whole dense list, exactly."""
    scores = units @ made.normalised(vector[None])[0]
    places = np.arange(len(units)) if allowed is None else np.flatnonzero(allowed)
    if len(places) > CANDIDATES:
        places = places[np.argpartition(-scores[places], CANDIDATES)[:CANDIDATES]]
    return ordered([f"d{i:07}" for i in places], scores[places].tolist(), CANDIDATES)


class Floor:
    """A durable commit, without an engine."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE t (body BLOB)"):
            self._db.execute(statement)

    def commit(self, size: int) -> None:
        self._db.execute("INSERT INTO t VALUES (?)", (b"x" * size,))

    def close(self) -> None:
        self._db.close()


def opened(folder: Path) -> Collection:
    return Collection(
        SqliteLog.open(folder / "truth.db"), folder, now=lambda: time.time_ns() // 1_000_000, space="given"
    )


def query(text: str, vector: made.Floats, what: str, where: dict[str, Any] | None) -> Query:
    return Query(
        text="" if what == "dense" else text, vector=b"" if what == "sparse" else vector.tobytes(), filter=where
    )


def _fresh(folder: Path, data: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--open", str(folder), str(data), str(time.monotonic())]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def open_and_ask(folder: Path, data: Path, began: float) -> None:
    """What a fresh process does; it ends without saving anything."""
    imported = time.monotonic()
    queries, asked = np.load(data / "queries.npy"), json.loads((data / "asked.json").read_text())
    ready = time.monotonic()
    collection = opened(folder)
    there = time.monotonic()
    collection.search(query(asked[0], queries[0], "hybrid", None))
    answered = time.monotonic()
    for i in range(min(200, len(asked))):
        collection.search(query(asked[i], queries[i], "hybrid", None))
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    size = {name: int(status[field].split()[0]) // 1024 for name, field in (("all", "VmRSS"), ("own", "RssAnon"))}
    figures = {
        "start": (answered - began - (ready - imported)) * 1000, "open": (there - ready) * 1000,
        "first search": (answered - there) * 1000, "memory MB": size["all"], "memory MB, own": size["own"],
    }  # fmt: skip
    print(json.dumps({name: round(value, 1) for name, value in figures.items()}), flush=True)
    os._exit(0)


def beside(peer: str, python: str, data: Data, n: int, folder: Path) -> dict[str, Any]:
    """Its figures, or why there are none."""
    folder.mkdir()
    script = Path(__file__).with_name("context_peers.py")
    out: dict[str, Any] = {}
    for phase in ("build", "search"):
        print(f"… {peer}: {phase}", file=sys.stderr)
        command = [python, str(script), peer, phase, str(data.folder), str(folder), str(n)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return {"skipped": (done.stderr.strip().splitlines() or ["?"])[-1][:300]}
        out |= json.loads(done.stdout.splitlines()[-1])
    return out


def ratios(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, float]:
    """How many times as long the peer takes."""
    return {
        name: round(theirs[name]["p50"] / ours[name]["p50"], 1)
        for name in ours
        if name in theirs and isinstance(ours[name], dict) and "p50" in ours[name]
    }


def measure(kind: str, given: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    data = prepared(kind, (given.work or scratch) / f"{kind}-{given.n}{'-dense' if given.dense_only else ''}", given)
    if given.realtime:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    out: dict[str, Any] = {"load": [round(os.getloadavg()[0], 1)]}
    engine = Engine(data, given.n, scratch / f"{kind}-engine", out)
    for step in (engine.ingest, engine.searches, engine.recall, engine.upserts, engine.on_disk, engine.openings):
        print(f"… {kind}: {step.__name__}", file=sys.stderr)
        step()
    shutil.rmtree(engine.folder)
    for peer in PEERS if given.peers and not given.dense_only else ():
        out[peer] = found = beside(peer, given.peers, data, given.n, scratch / f"{kind}-{peer}")
        found["times ours"] = ratios(out, found)
        shutil.rmtree(scratch / f"{kind}-{peer}")
    out["load"].append(round(os.getloadavg()[0], 1))
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return out


def show(found: dict[str, Any], indent: str = "") -> None:
    for name, value in found.items():
        if name in PEERS:
            print(f"{indent}{name}")
            show(value, indent + "  ")
            continue
        plain = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        goal = f"goal {GOALS[name]}" if name in GOALS and not indent else ""
        print(f"{indent}{name:28} {plain!s:70} {goal}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--data", choices=("synthetic", "corpus", "both"), default="synthetic")
    parser.add_argument("--corpus", type=Path, nargs="+", default=[])
    parser.add_argument("--dense-only", action="store_true")
    parser.add_argument("--peers")
    parser.add_argument("--realtime", action="store_true")
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    kinds = ("synthetic", "corpus") if given.data == "both" else (given.data,)
    if "corpus" in kinds and not given.corpus:
        parser.error("--data corpus needs --corpus FILE …")
    versions = {name: version(name) for name in ("numpy", "faiss-cpu")} | {"sqlite": sqlite3.sqlite_version}
    out: dict[str, Any] = {"n": given.n, "dims": DIMS, "realtime": given.realtime, "versions": versions}
    with tempfile.TemporaryDirectory(prefix="clew-bench-") as scratch:
        for kind in kinds:
            out[kind] = measure(kind, given, Path(scratch))
    if given.json:
        print(json.dumps(out, indent=2))
        return
    print(f"{given.n} documents of {DIMS} dimensions{', realtime' if given.realtime else ''}; {versions}")
    for kind in kinds:
        print(f"\n{kind}")
        show(out[kind])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--open"]:
        open_and_ask(Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4]))
    main()
