"""Data for measuring the context engine: embeddings, texts, metadata, filters and queries, all fixed by their seeds.

``clustered`` makes embeddings like those of sentence models: a strong common direction, clusters of very unequal
size, a decaying spectrum. ``corpus`` reads real texts from files and cuts them into passages; ``Lsa`` embeds them
(Deerwester et al. 1990, by randomised SVD, Halko et al. 2011). ``zipf_texts`` and ``metadata`` go with either;
``selection``, ``related`` and ``beyond`` are filters.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

WORD = re.compile(r"[a-z0-9]+")


class Embedded(NamedTuple):
    """``vectors`` n × dims and ``labels``, the cluster of each; queries made of documents (and of which) and fresh ones."""

    vectors: Floats
    labels: Ints
    perturbed: Floats
    sources: Ints
    fresh: Floats
    fresh_labels: Ints


def normalised(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


def clustered(n: int, dims: int = 384, *, seed: int = 0, queries: int = 1000, clusters: int = 0) -> Embedded:
    """Anisotropic clustered embeddings: two of them, taken at random, have a cosine near 0.6."""
    rng = np.random.default_rng(seed)
    clusters = clusters or max(8, round(n**0.5))
    spectrum = (np.arange(1, dims + 1) ** -0.5).astype(np.float32)
    turn = np.linalg.qr(rng.standard_normal((dims, dims)))[0].astype(np.float32)
    common = rng.standard_normal(dims).astype(np.float32)
    common *= 1.6 / np.linalg.norm(common)
    sizes = 1 / np.arange(1, clusters + 1) ** 0.8
    centres = _spread(rng, clusters, spectrum, turn)
    total = n + queries
    labels = rng.choice(clusters, total, p=sizes / sizes.sum())
    vectors = np.empty((total, dims), np.float32)
    for start in range(0, total, 50_000):
        part = labels[start : start + 50_000]
        vectors[start : start + 50_000] = normalised(
            common + centres[part] + 0.8 * _spread(rng, len(part), spectrum, turn)
        )
    sources = rng.choice(n, min(n, queries), replace=False)
    perturbed = normalised(vectors[sources] + 0.35 * _spread(rng, len(sources), spectrum, turn))
    return Embedded(vectors[:n], labels[:n], perturbed, sources, vectors[n:], labels[n:])


def _spread(rng: np.random.Generator, n: int, spectrum: Floats, turn: Floats) -> Floats:
    """Gaussian vectors with that spectrum, of mean square length 1."""
    return (rng.standard_normal((n, len(spectrum)), dtype=np.float32) * (spectrum / np.linalg.norm(spectrum))) @ turn


class Lsa:
    """Latent semantic analysis learned from ``texts``: log tf × idf, cut at ``dims`` singular directions."""

    def __init__(
        self, texts: Sequence[str], dims: int = 384, *, seed: int = 0, words: int = 30_000, sample: int = 25_000
    ) -> None:
        rng = np.random.default_rng(seed)
        chosen = np.sort(rng.choice(len(texts), min(sample, len(texts)), replace=False))
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(set(WORD.findall(text.lower())))
        kept = sorted((w for w, c in counts.items() if c >= 2), key=lambda w: (-counts[w], w))[:words]
        self._column = {word: i for i, word in enumerate(kept)}
        self._idf = np.log(len(texts) / np.array([counts[w] for w in kept])).astype(np.float32)
        rows = _Sparse.of((self._weights(texts[i]) for i in chosen), len(kept))
        turned = rows.transposed()
        basis = rng.standard_normal((len(kept), dims + 16), dtype=np.float32)
        for _ in range(3):
            basis = np.linalg.qr(turned.times(rows.times(basis)))[0]
        _, _, directions = np.linalg.svd(rows.times(basis), full_matrices=False)
        self._basis = np.ascontiguousarray((basis @ directions.T)[:, :dims])

    def embed(self, texts: Iterable[str]) -> Floats:
        return normalised(_Sparse.of((self._weights(t) for t in texts), len(self._idf)).times(self._basis))

    def _weights(self, text: str) -> tuple[Ints, Floats]:
        counts = Counter(WORD.findall(text.lower()))
        found = sorted((self._column[w], c) for w, c in counts.items() if w in self._column)
        columns = np.array([i for i, _ in found], np.int64)
        values = (1 + np.log(np.array([c for _, c in found], np.float32))) * self._idf[columns]
        return columns, values / (float(np.linalg.norm(values)) or 1)


class _Sparse(NamedTuple):
    """A matrix in compressed rows."""

    starts: Ints
    columns: Ints
    values: Floats
    width: int

    @classmethod
    def of(cls, rows: Iterable[tuple[Ints, Floats]], width: int) -> "_Sparse":
        pairs = list(rows)
        starts = np.cumsum([0, *(len(c) for c, _ in pairs)])
        return cls(
            starts,
            np.concatenate([c for c, _ in pairs]),
            np.concatenate([v for _, v in pairs]).astype(np.float32),
            width,
        )

    def transposed(self) -> "_Sparse":
        order = np.argsort(self.columns, kind="stable")
        rows = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        starts = np.searchsorted(self.columns[order], np.arange(self.width + 1))
        return _Sparse(starts, rows[order], self.values[order], len(self.starts) - 1)

    def times(self, dense: Floats) -> Floats:
        made = np.zeros((len(self.starts) - 1, dense.shape[1]), np.float32)
        first = 0
        while first < len(made):  # some 20,000 entries at a time
            last = max(first + 1, int(np.searchsorted(self.starts, self.starts[first] + 20_000, "right")) - 1)
            here = slice(self.starts[first], self.starts[last])
            filled = np.flatnonzero(np.diff(self.starts[first : last + 1]))
            if len(filled):
                terms = dense[self.columns[here]] * self.values[here, None]
                made[first + filled] = np.add.reduceat(
                    terms, self.starts[first:last][filled] - self.starts[first], axis=0
                )
            first = last
        return made


def embedded_corpus(texts: Sequence[str], dims: int = 384, *, seed: int = 0, queries: int = 1000) -> Embedded:
    """LSA of ``texts``; some are held out as fresh queries, perturbed ones are documents without half their words."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(texts))
    kept, held = [texts[i] for i in order[:-queries]], [texts[i] for i in order[-queries:]]
    lsa = Lsa(kept, dims, seed=seed)
    sources = rng.choice(len(kept), queries, replace=False)
    halves = [" ".join(w for w in kept[i].split() if rng.random() < 0.5) for i in sources]
    vectors, fresh = lsa.embed(kept), lsa.embed(held)
    centres = vectors[rng.choice(len(vectors), 64, replace=False)]
    return Embedded(vectors, _nearest(vectors, centres), lsa.embed(halves), sources, fresh, _nearest(fresh, centres))


def _nearest(vectors: Floats, centres: Floats) -> Ints:
    return np.argmax(vectors @ centres.T, axis=1)


def corpus(files: Iterable[Path], *, words: int = 60) -> list[str]:
    """Passages of some ``words`` words from text files, in the order of the files; each passage once."""
    return list(dict.fromkeys(p for file in files for p in _passages(file.read_text(errors="replace"), words)))


def _passages(text: str, words: int) -> Iterator[str]:
    held: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        held += paragraph.split()
        while len(held) >= words:
            yield " ".join(held[:words])
            held = held[words:]
    if len(held) >= words // 4:
        yield " ".join(held)


def zipf_texts(n: int, *, seed: int = 0, vocabulary: int = 50_000, words: int = 60) -> list[str]:
    """Texts of some ``words`` words (Poisson) whose frequencies follow Zipf's law; word number i is ``w<i>``."""
    rng = np.random.default_rng(seed)
    chances = 1 / np.arange(1, vocabulary + 1) ** 1.07
    lengths = np.maximum(1, rng.poisson(words, n))
    drawn = np.searchsorted(np.cumsum(chances / chances.sum()), rng.random(int(lengths.sum()))).clip(max=vocabulary - 1)
    ends = np.cumsum(lengths)
    return [" ".join(f"w{i}" for i in drawn[end - length : end]) for end, length in zip(ends, lengths, strict=True)]


def metadata(labels: Ints, *, seed: int = 0) -> list[dict[str, str | int]]:
    """``lang`` (en 60 %, xx 10 %), ``year`` (2015 to 2024, 10 % each), ``tag`` (rare 1 %), ``source``: the cluster, as a name."""
    rng = np.random.default_rng(seed)
    n = len(labels)
    langs = np.array(["en", "de", "fr", "xx"])[rng.choice(4, n, p=[0.6, 0.2, 0.1, 0.1])]
    years = rng.integers(2015, 2025, n)
    tags = np.array(["plain", "common", "rare"])[rng.choice(3, n, p=[0.89, 0.10, 0.01])]
    rows = zip(langs, years, tags, labels, strict=True)
    return [
        {"lang": str(lang), "year": int(year), "tag": str(tag), "source": f"s{label}"}
        for lang, year, tag, label in rows
    ]


def selection(n: int, share: float, *, seed: int = 0) -> Mask:
    """A filter that has nothing to do with what the documents say: exactly ``share`` of them."""
    mask = np.zeros(n, np.bool_)
    mask[np.random.default_rng(seed).choice(n, round(n * share), replace=False)] = True
    return mask


def centres(embedded: Embedded) -> Floats:
    """Of each cluster, at length one."""
    order = np.argsort(embedded.labels, kind="stable")
    sums = np.zeros((int(embedded.labels.max()) + 1, embedded.vectors.shape[1]), np.float32)
    found, starts = np.unique(embedded.labels[order], return_index=True)
    sums[found] = np.add.reduceat(embedded.vectors[order], starts, axis=0)
    return normalised(sums)


def related(labels: Ints, middles: Floats, query: Floats, share: float, *, near: bool) -> Mask:
    """A filter by cluster: those nearest to the query (``near``) or farthest, up to that share of all documents.

    ``middles``: the ``centres`` of all.
    """
    scores = middles @ query
    order = np.argsort(-scores if near else scores, kind="stable")
    sizes = np.bincount(labels, minlength=len(middles))[order]
    taken = np.zeros(len(middles), np.bool_)
    taken[order[: int(np.searchsorted(np.cumsum(sizes), share * len(labels))) + 1]] = True
    return taken[labels]


def beyond(vectors: Floats, query: Floats, share: float) -> Mask:
    """The worst filter: all but the documents nearest to the query; what is left is equally far, and much."""
    mask = np.zeros(len(vectors), np.bool_)
    mask[np.argsort(vectors @ query, kind="stable")[: round(len(vectors) * share)]] = True
    return mask
