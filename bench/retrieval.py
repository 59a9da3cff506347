"""Retrieval quality on a labelled collection in the format of the Glasgow test collections (Cranfield, CISI, MED, CACM) or of BEIR.

    python bench/retrieval.py FOLDER [--half odd|even|all]

FOLDER has one file of documents, one of queries and one of judgements (``cran.all.1400``, ``cran.qry``, ``cranqrel``;
``MED.ALL``, ``MED.QRY``, ``MED.REL``; ``cacm.all``, ``query.text``, ``qrels.text``), or ``corpus.jsonl``, ``queries.jsonl`` and
``qrels/test.tsv``. Prints a table of nDCG@10, recall@10 and reciprocal rank, each way of searching against words alone and
against vectors alone by a paired randomisation test (Smucker, Allan, Carterette 2007).

A judged document is relevant or not: the sources disagree on which end of Cranfield's scale is the better one. Documents are
compared as the collection has them after ``tend``: the offline embedder has learned from them and from nothing else.
"""

import argparse
import json
import math
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from clew.context.collection import Collection
from clew.context.graph.extract import extract
from clew.context.log.sqlite import SqliteLog
from clew.gate.ports.context import Put, Query, SearchConfig

K = 10
DEPTH = 100
DRAWS = 10_000
WAYS: dict[str, SearchConfig] = {
    "words (BM25)": SearchConfig(k=DEPTH, dense_weight=0.0, rerank_factor=1),
    "dense (offline)": SearchConfig(k=DEPTH, sparse_weight=0.0, rerank_factor=1),
    "hybrid, rank": SearchConfig(k=DEPTH, fusion="RECIPROCAL_RANK", rerank_factor=1),
    "hybrid, sum": SearchConfig(k=DEPTH, fusion="WEIGHTED_SUM", rerank_factor=1),
    "hybrid, max": SearchConfig(k=DEPTH, fusion="MAX_SCORE", rerank_factor=1),
    "halves, rank": SearchConfig(
        k=DEPTH, dense_weight=0.5, sparse_weight=0.5, fusion="RECIPROCAL_RANK", rerank_factor=1
    ),
    "halves, sum": SearchConfig(k=DEPTH, dense_weight=0.5, sparse_weight=0.5, fusion="WEIGHTED_SUM", rerank_factor=1),
    "hybrid + graph": SearchConfig(k=DEPTH, graph_weight=0.25, rerank_factor=1),
}


class Labelled(NamedTuple):
    """Documents and queries by their numbers; judgements: query -> relevant documents."""

    documents: dict[int, str]
    queries: dict[int, str]
    relevant: dict[int, set[int]]


def read(folder: Path) -> Labelled:
    return _beir(folder) if (folder / "corpus.jsonl").exists() else _glasgow(folder)


def _beir(folder: Path) -> Labelled:
    documents, queries = (_lines(folder / f"{name}.jsonl") for name in ("corpus", "queries"))
    document_of, query_of = ({one: n for n, (one, _) in lines.items()} for lines in (documents, queries))
    relevant: dict[int, set[int]] = {}
    for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        query, document, grade = line.split("\t")
        if int(grade) > 0 and document in document_of:
            relevant.setdefault(query_of[query], set()).add(document_of[document])
    return Labelled(
        {n: text for n, (_, text) in documents.items()}, {n: text for n, (_, text) in queries.items()}, relevant
    )


def _lines(path: Path) -> dict[int, tuple[str, str]]:
    """Number -> id and text."""
    told = (json.loads(line) for line in path.read_text().splitlines())
    return {n: (one["_id"], f"{one.get('title', '')}\n{one['text']}".strip()) for n, one in enumerate(told, 1)}


def _glasgow(folder: Path) -> Labelled:
    by_kind = {kind: path for path in sorted(folder.iterdir()) if (kind := _kind(path.name.lower()))}
    queries = dict(enumerate((text for _, text in _items(by_kind["queries"])), 1))
    relevant: dict[int, set[int]] = {}
    for line in by_kind["judgements"].read_text(errors="replace").splitlines():
        fields = line.split()
        if len(fields) >= 2:
            grade, med = int(float(fields[2])) if len(fields) > 2 else 1, len(fields) == 4 and fields[1] == "0"
            if med:  # query, 0, document, 1
                relevant.setdefault(int(fields[0]), set()).add(int(fields[2]))
            elif grade >= 0:
                relevant.setdefault(int(fields[0]), set()).add(int(fields[1]))
    return Labelled(dict(_items(by_kind["documents"])), queries, relevant)


def _kind(name: str) -> str:
    kinds = {r"qrel|\.rel$": "judgements", r"qry$|^query": "queries", r"\.all": "documents"}
    return next((kind for pattern, kind in kinds.items() if re.search(pattern, name)), "")


def _items(path: Path) -> Iterator[tuple[int, str]]:
    """``.I n``, then fields, of which the title (.T) and the text (.W) count."""
    for block in re.split(r"^\.I\s+", path.read_text(errors="replace"), flags=re.MULTILINE)[1:]:
        number, _, rest = block.partition("\n")
        fields = re.split(r"^\.([A-Z])\s*$", rest, flags=re.MULTILINE)
        told = dict(zip(fields[1::2], fields[2::2], strict=True))
        yield int(number), "\n".join(part.strip() for part in (told.get("T", ""), told.get("W", "")) if part.strip())


class Scores(NamedTuple):
    ndcg: list[float]
    recall: list[float]
    reciprocal: list[float]


def scored(ranked: list[list[int]], wanted: list[set[int]]) -> Scores:
    scores = Scores([], [], [])
    for found, relevant in zip(ranked, wanted, strict=True):
        places = [place for place, one in enumerate(found, 1) if one in relevant]
        gain = sum(1 / math.log2(1 + place) for place in places if place <= K)
        best = sum(1 / math.log2(1 + place) for place in range(1, min(K, len(relevant)) + 1))
        scores.ndcg.append(gain / best)
        scores.recall.append(sum(place <= K for place in places) / len(relevant))
        scores.reciprocal.append(1 / places[0] if places else 0.0)
    return scores


def chance(one: list[float], other: list[float]) -> float:
    """How often the mean difference would be as large if the two were the same: signs of differences drawn at random."""
    differences = np.array(one) - np.array(other)
    signs = np.random.default_rng(1).choice([-1.0, 1.0], (DRAWS, len(differences)))
    return float((np.abs((signs * differences).mean(axis=1)) >= abs(differences.mean()) - 1e-12).mean())


def measured(collection: Collection, labelled: Labelled, half: str) -> Iterator[tuple[str, Scores]]:
    numbers = [n for n in labelled.queries if labelled.relevant.get(n) and half in ("all", "odd" if n % 2 else "even")]
    for name, config in WAYS.items():
        ranked: list[list[int]] = []
        for n in numbers:
            hits = collection.search(Query(text=labelled.queries[n]), config).hits
            only = "dense_rank" if config.sparse_weight == 0 else "sparse_rank" if config.dense_weight == 0 else None
            kept = [hit for hit in hits if only is None or getattr(hit, only) is not None]
            ranked.append([int(hit.doc_id) for hit in kept])
        yield name, scored(ranked, [labelled.relevant[n] for n in numbers])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", choices=["odd", "even", "all"], default="all")
    given = parser.parse_args()
    labelled = read(given.folder)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        log = SqliteLog.open(folder / "truth.db")
        with Collection(log, None, now=lambda: int(time.time() * 1000)) as collection:
            texts = [(str(n), text) for n, text in sorted(labelled.documents.items())]
            collection.write([Put(id=name, text=text, relations=extract(name, text)) for name, text in texts])
            began = time.perf_counter()
            collection.tend()
            took = time.perf_counter() - began
            stats, weights = collection.stats(), collection.search(Query(text="x y")).explain["weights"]
            print(
                f"{len(texts)} documents, embedder {stats['embedder']} (learned and applied in {took:.1f} s), weights: {weights}"
            )
            print(f"{'':18} {'nDCG@10':>8} {'recall@10':>10} {'MRR':>7}   p against words alone; dense alone")
            rows = dict(measured(collection, labelled, given.half))
            words, dense = (rows[name].ndcg for name in list(WAYS)[:2])
            for name, scores in rows.items():
                ndcg, recall, reciprocal = (sum(column) / len(column) for column in scores)
                ps = f"{chance(scores.ndcg, words):.3f}; {chance(scores.ndcg, dense):.3f}"
                print(f"{name:18} {ndcg:8.4f} {recall:10.4f} {reciprocal:7.4f}   {ps}")


if __name__ == "__main__":
    main()
