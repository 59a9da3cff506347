"""Latent semantic analysis: vectors learned from the collection itself, offline.

Log-entropy weighted words, truncated singular value decomposition by a randomised range finder with power iterations,
cosines that count for less where a document is short.
S. Deerwester et al., "Indexing by latent semantic analysis" (1990); S. Dumais (1991) for the weighting; N. Halko, P.-G.
Martinsson, J. Tropp, "Finding structure with randomness" (2011), algorithms 4.4 and 5.1; A. Singhal, C. Buckley, M. Mitra,
"Pivoted document length normalization" (1996).

Figures in comments: mean nDCG@10 of vectors alone over the odd queries of Cranfield, MED, CISI and CACM; they move by some
0.01 with what the range finder starts from.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import pairwise
from math import isqrt
from pathlib import Path
from typing import NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from clew.context.damage import Damaged
from clew.context.embed.port import Vectors, unit
from clew.context.sparse.analyze import NAME

SAMPLE = 4000
"""Documents that are learned from, of however many."""
LEAST = 64
"""Documents below which nothing is learned."""
_WORDS = 12_000
_ROUNDS = 3
"""Power iterations. With 0, 1, 2, 3 of them 0.514, 0.520, 0.523, 0.525 (all directions exact: 0.526)."""
_ROOTS = 3
_EACH = 10
"""Dimensions: so many times the root of the number of documents or words, whichever are fewer, or one for each ten of them,
whichever are more. With the root alone 0.508: many documents lie too close together to be told apart."""
_REDUCED = 4
"""But a quarter of the words or documents at most: with as many dimensions as words nothing would be learned."""
_SHORT = 0.25
"""The cosine of a document of n different words counts n / (n + this share of the mean). One of four words lies near whatever
has two of them: where half of the documents are but titles (CACM), 0.42 with this and 0.32 without."""
_SPARE = 32
_NOTHING = 1e-9
"""Share of the strongest: what rounding leaves of a direction that is not there."""
_SEED = 20_240_117

Words = Callable[[str], Sequence[str]]


class Lsa:
    """``learn`` it or ``load`` it. ``vocabulary``: word -> row of ``basis`` (words × directions), scaled by the word's weight.

    ``usual``: different words of a document, on the mean. The last element of a vector is what a document's shortness takes
    from the others; of a query it is 0.
    """

    def __init__(self, words: Words, vocabulary: dict[str, int], basis: Vectors, usual: float) -> None:
        self._words, self._vocabulary, self._basis, self._usual = words, vocabulary, basis, usual
        print_of = sha256(msgspec.msgpack.encode([list(vocabulary), usual]) + basis.tobytes()).hexdigest()[:12]
        self.dims = int(basis.shape[1]) + 1
        self.name = f"lsa:{self.dims}:{print_of}"

    @classmethod
    def learn(cls, words: Words, texts: Sequence[str]) -> Self:
        """From a sample of the collection (``SAMPLE`` texts are plenty), the same for the same texts in the same order."""
        counted = [Counter(words(text)) for text in texts]
        spread: Counter[str] = Counter()
        for one in counted:
            spread.update(one.keys())
        known = sorted((w for w, df in spread.items() if df > 1), key=lambda w: (-spread[w], w))[:_WORDS]
        vocabulary = {word: place for place, word in enumerate(known)}
        counts = _Table.of([{vocabulary[w]: n for w, n in one.items() if w in vocabulary} for one in counted])
        if not counts.height:
            return cls(words, {}, np.zeros((0, 0), dtype=np.float32), 0.0)
        weights = _entropy_weights(counts, len(known), len(texts))
        fewer = min(counts.height, len(known))
        directions = min(max(_ROOTS * isqrt(fewer), fewer // _EACH), fewer // _REDUCED)
        basis = _range(_weighted(counts, weights), len(known), directions)
        return cls(words, vocabulary, basis * weights[:, None], len(counts.values) / counts.height)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Of documents."""
        vectors = np.zeros((len(texts), self.dims), dtype=np.float32)
        sizes = np.array(
            [self._sum(text, vector) for text, vector in zip(texts, vectors, strict=True)], dtype=np.float32
        )
        shares = sizes / np.maximum(sizes + _SHORT * self._usual, 1)
        there = vectors.any(axis=1)
        vectors = unit(vectors)
        vectors *= shares[:, None]
        vectors[there, -1] = np.sqrt(1 - shares[there] ** 2)
        return vectors

    def asked(self, text: str) -> NDArray[np.float32]:
        """Of a query."""
        vector = np.zeros((1, self.dims), dtype=np.float32)
        self._sum(text, vector[0])
        return unit(vector)[0]

    def _sum(self, text: str, into: NDArray[np.float32]) -> int:
        """How many different words of the text are known."""
        places = Counter(map(self._vocabulary.get, self._words(text)))
        places.pop(None, None)
        if places:
            counts = np.log1p(np.fromiter(places.values(), dtype=np.float32, count=len(places)))
            into[:-1] = counts @ self._basis[np.fromiter(places, dtype=np.intp, count=len(places))]
        return len(places)

    def save(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "words.msgpack").write_bytes(
            msgspec.msgpack.encode(_Words(analyzer=NAME, known=list(self._vocabulary), usual=self._usual))
        )
        np.save(folder / "basis.npy", self._basis)

    @classmethod
    def load(cls, folder: Path, words: Words) -> Self:
        """Raises Damaged."""
        try:
            held = msgspec.msgpack.decode((folder / "words.msgpack").read_bytes(), type=_Words)
            basis: NDArray[np.float32] = np.load(folder / "basis.npy")
        except (OSError, ValueError, EOFError, msgspec.DecodeError) as error:
            raise Damaged(f"embedder in {folder}: {error}") from error
        if held.analyzer != NAME:
            raise Damaged(f"embedder in {folder}: its words were made by {held.analyzer!r}, now they are by {NAME!r}")
        vocabulary = {word: place for place, word in enumerate(held.known)}
        if basis.ndim != 2 or basis.dtype != np.float32 or not len(basis) == len(held.known) == len(vocabulary):
            raise Damaged(f"embedder in {folder}: words and vectors do not agree")
        if not np.isfinite(basis).all() or not 0 <= held.usual < np.inf:
            raise Damaged(f"embedder in {folder}: vectors that are no numbers")
        return cls(words, vocabulary, basis, held.usual)


class _Words(msgspec.Struct, frozen=True, kw_only=True):
    analyzer: str
    known: list[str]
    usual: float


class _Table(NamedTuple):
    """Texts × words, without its zeros: of each value its text (ascending) and its word. A text without words has no row."""

    rows: NDArray[np.intp]
    words: NDArray[np.intp]
    values: Vectors
    height: int

    @classmethod
    def of(cls, counted: Sequence[dict[int, int]]) -> "_Table":
        held = [one for one in counted if one]
        sizes = [len(one) for one in held]
        places = np.fromiter((word for one in held for word in one), dtype=np.intp, count=sum(sizes))
        counts = np.fromiter((n for one in held for n in one.values()), dtype=np.float32, count=sum(sizes))
        return cls(np.repeat(np.arange(len(held)), sizes), places, counts, len(held))

    def turned(self) -> "_Table":
        """Words × texts."""
        order = np.argsort(self.words, kind="stable")
        return _Table(self.words[order], self.rows[order], self.values[order], int(self.words.max()) + 1)

    def times(self, dense: Vectors) -> Vectors:
        product = np.empty((self.height, dense.shape[1]), dtype=np.float32)
        ends = np.searchsorted(self.rows, np.arange(self.height + 1)).tolist()
        for row, (first, last) in enumerate(pairwise(ends)):
            product[row] = self.values[first:last] @ dense[self.words[first:last]]
        return product


def _entropy_weights(counts: _Table, words: int, texts: int) -> Vectors:
    """Per word: 1 for one that stands in a single document, towards 0 for one that stands evenly in all."""
    shares = counts.values / np.bincount(counts.words, counts.values, words)[counts.words]
    entropy = np.bincount(counts.words, shares * np.log(shares), words)
    return (1 + entropy / np.log(max(2, texts))).astype(np.float32)


def _weighted(counts: _Table, weights: Vectors) -> _Table:
    """Rows of length 1."""
    values = np.log1p(counts.values) * weights[counts.words]
    lengths = np.sqrt(np.bincount(counts.rows, values**2, counts.height))
    values = values / np.where(lengths > 0, lengths, 1)[counts.rows]
    return counts._replace(values=values.astype(np.float32))


def _range(table: _Table, words: int, dims: int) -> Vectors:
    """The ``dims`` strongest right singular vectors (words × dims), each with its largest element positive."""
    if not dims:
        return np.zeros((words, 0), dtype=np.float32)
    chance, turned = np.random.default_rng(_SEED), table.turned()
    found = table.times(chance.standard_normal((words, min(dims + _SPARE, table.height, words)), dtype=np.float32))
    for _ in range(_ROUNDS):
        found = table.times(turned.times(np.linalg.qr(found)[0]))
    right = _left(turned.times(np.linalg.qr(found)[0]))[:, :dims]
    signs = np.sign(right[np.abs(right).argmax(axis=0), np.arange(right.shape[1])])
    return np.ascontiguousarray(right * signs, dtype=np.float32)


def _left(tall: Vectors) -> Vectors:
    """The left singular vectors of a matrix with few columns, the strongest first, by way of its Gram matrix; none of nothing."""
    exact = tall.astype(np.float64)
    strengths, turn = np.linalg.eigh(exact.T @ exact)
    kept = np.flatnonzero(strengths > strengths.max(initial=0) * _NOTHING)[::-1]
    return np.asarray(exact @ (turn[:, kept] / np.sqrt(strengths[kept])), dtype=np.float32)
