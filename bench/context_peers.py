"""Peers of the context engine, on the same data: run by ``context.py`` with the interpreter that has them.

    PYTHON bench/context_peers.py PEER build|search DATA FOLDER N

Each as its documentation has it, on this machine, in its own process. sqlite-vec with FTS5: exact scan, metadata columns,
reciprocal rank fusion in SQL. LanceDB: IVF-PQ with refinement and a native full-text index, its own hybrid query with its
RRF reranker; tuned by ``nprobes`` and ``refine_factor``. Chroma: HNSW; locally it has no ranked text search, so that hybrid is
the fusion of its nearest and of its nearest among documents that contain a word of the query; tuned by ``ef_search``.
A tuned one takes the least effort of its steps whose recall@10 is at least 0.97.
"""

import contextlib
import itertools
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Where = tuple[str, Any] | None
BATCH = 1000
TARGET = 0.97
JUDGED = 100
SECONDS = 10.0
"""Longest time for one figure; at least ``_LEAST`` queries."""
_LEAST = 10
CANDIDATES = 100


class Data(NamedTuple):
    vectors: Floats
    queries: Floats
    texts: list[str]
    metadata: list[dict[str, Any]]
    asked: list[str]

    @classmethod
    def read(cls, folder: Path) -> "Data":
        arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in cls._fields[:2]]
        return cls(*arrays, *(json.loads((folder / f"{name}.json").read_text()) for name in cls._fields[2:]))

    def batches(self, n: int) -> Iterator[range]:
        return (range(start, min(n, start + BATCH)) for start in range(0, n, BATCH))


class Peer(Protocol):
    """Ids are ``d`` and the number of the document."""

    steps: Sequence[Any]
    """Efforts, least first."""

    def create(self) -> None: ...
    def add(self, data: Data, some: Sequence[int]) -> None: ...
    def finish(self) -> None: ...
    def open(self) -> None: ...
    def effort(self, step: Any) -> None: ...
    def dense(self, vector: Floats, where: Where) -> list[str]: ...
    def sparse(self, text: str, where: Where) -> list[str]: ...
    def hybrid(self, vector: Floats, text: str, where: Where) -> list[str]: ...
    def upsert(self, i: int, text: str, metadata: dict[str, Any], vector: Floats) -> None: ...


def words(text: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"[a-z0-9]+", text.lower())))


def fused(*lists: list[str]) -> list[str]:
    """Reciprocal rank fusion."""
    scores: dict[str, float] = {}
    for ranked in lists:
        for rank, one in enumerate(ranked, 1):
            scores[one] = scores.get(one, 0.0) + 1 / (60 + rank)
    return sorted(scores, key=lambda one: -scores[one])[:10]


class SqliteVec:
    steps = (None,)

    def __init__(self, folder: Path) -> None:
        import apsw
        import sqlite_vec

        self._db = apsw.Connection(str(folder / "vec.db"))
        self._db.enable_load_extension(True)
        self._db.load_extension(sqlite_vec.loadable_path())
        self._db.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")

    def create(self) -> None:
        self._db.execute(
            "CREATE VIRTUAL TABLE vec USING vec0(id INTEGER PRIMARY KEY, embedding float[384] distance_metric=cosine, "
            "year INTEGER, tag TEXT);"
            "CREATE TABLE docs (id INTEGER PRIMARY KEY, text TEXT, metadata TEXT, year INTEGER, tag TEXT);"
            "CREATE VIRTUAL TABLE fts USING fts5(text, content='docs', content_rowid='id', tokenize='porter')"
        )

    def add(self, data: Data, some: Sequence[int]) -> None:
        with self._db:
            for i in some:
                self._put(i, data.texts[i], data.metadata[i], data.vectors[i])

    def _put(self, i: int, text: str, metadata: dict[str, Any], vector: Floats) -> None:
        fields = (metadata["year"], metadata["tag"])
        self._db.execute("INSERT INTO docs VALUES (?, ?, ?, ?, ?)", (i, text, json.dumps(metadata), *fields))
        self._db.execute("INSERT INTO fts(rowid, text) VALUES (?, ?)", (i, text))
        self._db.execute("INSERT INTO vec VALUES (?, ?, ?, ?)", (i, np.asarray(vector).tobytes(), *fields))

    def finish(self) -> None:
        self._db.execute("INSERT INTO fts(fts) VALUES ('optimize')")

    def open(self) -> None:
        pass

    def effort(self, step: Any) -> None:
        pass

    def dense(self, vector: Floats, where: Where) -> list[str]:
        return self._named(self._near(vector, where)[:10])

    def _near(self, vector: Floats, where: Where) -> list[int]:
        condition, values = (f" AND {where[0]} = ?", (where[1],)) if where else ("", ())
        sql = f"SELECT id FROM vec WHERE embedding MATCH ? AND k = {CANDIDATES}{condition} ORDER BY distance"
        return [i for (i,) in self._db.execute(sql, (np.asarray(vector).tobytes(), *values))]

    def _said(self, text: str, where: Where) -> list[int]:
        asked = " OR ".join(f'"{word}"' for word in words(text))
        if where is None:
            sql = f"SELECT rowid FROM fts WHERE fts MATCH ? ORDER BY rank LIMIT {CANDIDATES}"
            return [i for (i,) in self._db.execute(sql, (asked,))]
        sql = (
            f"SELECT fts.rowid FROM fts JOIN docs ON docs.id = fts.rowid WHERE fts MATCH ? AND docs.{where[0]} = ? "
            f"ORDER BY fts.rank LIMIT {CANDIDATES}"
        )
        return [i for (i,) in self._db.execute(sql, (asked, where[1]))]

    def sparse(self, text: str, where: Where) -> list[str]:
        return self._named(self._said(text, where)[:10])

    def hybrid(self, vector: Floats, text: str, where: Where) -> list[str]:
        return fused(self._named(self._near(vector, where)), self._named(self._said(text, where)))

    @staticmethod
    def _named(found: list[int]) -> list[str]:
        return [f"d{i:07}" for i in found]

    def upsert(self, i: int, text: str, metadata: dict[str, Any], vector: Floats) -> None:
        with self._db:
            ((old,),) = self._db.execute("SELECT text FROM docs WHERE id = ?", (i,))
            self._db.execute("INSERT INTO fts(fts, rowid, text) VALUES ('delete', ?, ?)", (i, old))
            self._db.execute("DELETE FROM docs WHERE id = ?", (i,))
            self._db.execute("DELETE FROM vec WHERE id = ?", (i,))
            self._put(i, text, metadata, vector)


class LanceDb:
    steps = tuple(itertools.product((10, 20, 40, 80, 160, 320), (5, 15, 30)))

    def __init__(self, folder: Path) -> None:
        import lancedb
        from lancedb.rerankers import RRFReranker

        self._db = lancedb.connect(str(folder / "lance"))
        self._reranker = RRFReranker()
        self._table: Any = None
        self._step = self.steps[0]

    def create(self) -> None:
        pass

    def add(self, data: Data, some: Sequence[int]) -> None:
        rows = [self._row(i, data.texts[i], data.metadata[i], data.vectors[i]) for i in some]
        if self._table is None:
            self._table = self._db.create_table("docs", rows)
        else:
            self._table.add(rows)

    @staticmethod
    def _row(i: int, text: str, metadata: dict[str, Any], vector: Floats) -> dict[str, Any]:
        return {"id": f"d{i:07}", "text": text, **metadata, "vector": np.asarray(vector)}

    def finish(self) -> None:
        self._table.create_index(metric="cosine", index_type="IVF_PQ", num_sub_vectors=96)
        self._table.create_fts_index("text")
        for column, kind in (("id", "BTREE"), ("year", "BITMAP"), ("tag", "BITMAP")):
            self._table.create_scalar_index(column, index_type=kind)
        self._table.optimize()

    def open(self) -> None:
        self._table = self._db.open_table("docs")

    def effort(self, step: Any) -> None:
        self._step = step

    def _asked(self, builder: Any, where: Where, *, near: bool) -> list[str]:
        if near:
            builder = builder.nprobes(self._step[0]).refine_factor(self._step[1])
        if where:
            value = f"'{where[1]}'" if isinstance(where[1], str) else where[1]
            builder = builder.where(f"{where[0]} = {value}", prefilter=True)
        return builder.select(["id"]).limit(10).to_arrow()["id"].to_pylist()

    def dense(self, vector: Floats, where: Where) -> list[str]:
        return self._asked(self._table.search(np.asarray(vector)).distance_type("cosine"), where, near=True)

    def sparse(self, text: str, where: Where) -> list[str]:
        return self._asked(self._table.search(" ".join(words(text)), query_type="fts"), where, near=False)

    def hybrid(self, vector: Floats, text: str, where: Where) -> list[str]:
        builder = self._table.search(query_type="hybrid").vector(np.asarray(vector)).text(" ".join(words(text)))
        return self._asked(builder.distance_type("cosine").rerank(self._reranker), where, near=True)

    def upsert(self, i: int, text: str, metadata: dict[str, Any], vector: Floats) -> None:
        rows = [self._row(i, text, metadata, vector)]
        self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(rows)


class Chroma:
    steps = (50, 100, 200, 400, 800)

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._docs: Any = None

    def _client(self) -> Any:
        import chromadb

        settings = chromadb.Settings(anonymized_telemetry=False)
        return chromadb.PersistentClient(str(self._folder / "chroma"), settings=settings)

    def create(self) -> None:
        space = {"hnsw": {"space": "cosine", "ef_search": 100}}
        self._docs = self._client().create_collection("docs", configuration=space, embedding_function=None)

    def add(self, data: Data, some: Sequence[int]) -> None:
        self._docs.add(
            ids=[f"d{i:07}" for i in some],
            embeddings=np.array(data.vectors[some[0] : some[-1] + 1]),
            documents=[data.texts[i] for i in some],
            metadatas=[data.metadata[i] for i in some],
        )

    def finish(self) -> None:
        pass

    def open(self) -> None:
        self._docs = self._client().get_collection("docs", embedding_function=None)

    def effort(self, step: Any) -> None:
        from chromadb.api.shared_system_client import SharedSystemClient

        self._docs.modify(configuration={"hnsw": {"ef_search": step}})
        SharedSystemClient.clear_system_cache()  # an index that is open keeps the effort that it was opened with
        self.open()

    def _near(self, vector: Floats, where: Where, count: int, said: dict[str, Any] | None = None) -> list[str]:
        condition: Any = {where[0]: where[1]} if where else None
        found = self._docs.query(
            query_embeddings=[np.array(vector)], n_results=count, where=condition, where_document=said, include=[]
        )
        return found["ids"][0]

    def dense(self, vector: Floats, where: Where) -> list[str]:
        return self._near(vector, where, 10)

    def sparse(self, text: str, where: Where) -> list[str]:
        raise NotImplementedError

    def hybrid(self, vector: Floats, text: str, where: Where) -> list[str]:
        parts = [{"$contains": word} for word in words(text)]
        said = parts[0] if len(parts) == 1 else {"$or": parts}
        return fused(self._near(vector, where, CANDIDATES), self._near(vector, where, CANDIDATES, said))

    def upsert(self, i: int, text: str, metadata: dict[str, Any], vector: Floats) -> None:
        self._docs.upsert(ids=[f"d{i:07}"], embeddings=np.asarray(vector)[None], documents=[text], metadatas=[metadata])


PEERS: dict[str, Callable[[Path], Peer]] = {"sqlite-vec": SqliteVec, "lancedb": LanceDb, "chromadb": Chroma}


def build(peer: Peer, data: Data, n: int, folder: Path) -> dict[str, Any]:
    peer.create()
    began = time.perf_counter()
    for some in data.batches(n):
        peer.add(data, some)
    written = time.perf_counter()
    peer.finish()
    done = time.perf_counter()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {"ingest": round(n / (written - began)), "ready": round(done - written, 2), "disk MB": round(size / 1e6)}


def condition(i: int, share: str) -> Where:
    return {"": None, "10 %": ("year", 2015 + i % 10), "1 %": ("tag", "rare")}[share]


def timed(work: Callable[[int], Any], count: int, warm: int = 5) -> dict[str, float]:
    for i in range(min(warm, count)):
        work(i)
    taken: list[float] = []
    while len(taken) < count and (len(taken) < _LEAST or sum(taken) < SECONDS):
        began = time.perf_counter()
        work(len(taken))
        taken.append(time.perf_counter() - began)
    ordered = sorted(taken)
    return {f"p{p}": round(ordered[len(ordered) * p // 100] * 1000, 3) for p in (50, 95, 99)}


def recall(peer: Peer, data: Data, exact: list[set[str]]) -> float:
    return float(np.mean([len(set(peer.dense(data.queries[i], None)) & one) / 10 for i, one in enumerate(exact)]))


def tune(peer: Peer, data: Data, n: int) -> dict[str, Any]:
    """Takes the least effort that reaches the target; the most where none does."""
    units = np.array(data.vectors[:n])
    exact = [{f"d{i:07}" for i in np.argsort(-(units @ query))[:10]} for query in data.queries[:JUDGED]]
    del units
    found = 0.0
    for step in peer.steps:
        peer.effort(step)
        found = recall(peer, data, exact)
        if found >= TARGET:
            break
    return {"recall": {"dense": round(found, 4)}, "effort": str(step)}


def search(peer: Peer, data: Data, n: int, began: float) -> dict[str, Any]:
    peer.open()
    peer.hybrid(data.queries[0], data.asked[0], None)
    out: dict[str, Any] = {"open": round((time.perf_counter() - began) * 1000, 1)}
    for i in range(1, 50):
        peer.hybrid(data.queries[i], data.asked[i], None)
    status = Path("/proc/self/status").read_text()
    for name, field in (("memory MB", "VmRSS"), ("memory MB, own", "RssAnon")):
        out[name] = int(re.search(rf"{field}:\s+(\d+)", status)[1]) // 1024  # type: ignore[index]
    out |= tune(peer, data, n)
    asks = {
        "hybrid": lambda i, share: peer.hybrid(data.queries[i], data.asked[i], condition(i, share)),
        "dense": lambda i, share: peer.dense(data.queries[i], condition(i, share)),
        "sparse": lambda i, share: peer.sparse(data.asked[i], condition(i, share)),
    }
    for (kind, ask), share in itertools.product(asks.items(), ("", "10 %", "1 %")):
        with contextlib.suppress(NotImplementedError):
            out[f"{kind} {share}".strip()] = timed(lambda i, a=ask, s=share: a(i, s), len(data.asked))
    rng = np.random.default_rng(2)
    places = rng.choice(n, 50, replace=False).tolist()

    def upsert(i: int) -> None:
        place = places[i]
        peer.upsert(place, f"fresh{i}x {data.texts[place]}", data.metadata[place], data.vectors[(place + 1) % n])

    out["upsert"] = timed(upsert, len(places), 0)
    return out


def main() -> None:
    name, phase, data, folder, n = sys.argv[1:]
    known = Data.read(Path(data))
    began = time.perf_counter()
    peer = PEERS[name](Path(folder))
    found = build(peer, known, int(n), Path(folder)) if phase == "build" else search(peer, known, int(n), began)
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
