"""Latent semantic analysis: vectors learned from the collection itself, offline.

Log-entropy weighted words, truncated singular value decomposition by a randomised range finder with power iterations.
S. Deerwester et al., "Indexing by latent semantic analysis" (1990); S. Dumais (1991) for the weighting; N. Halko, P.-G.
Martinsson, J. Tropp, "Finding structure with randomness" (2011), algorithms 4.4 and 5.1.

Figures in comments: mean nDCG@10 over the odd queries of Cranfield, MED, CISI and CACM, learned from every document;
they move by some 0.005 with what the range finder starts from.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import sha256
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
"""Power iterations. With 0, 1, 2, 3 of them the vectors alone reach 0.493, 0.494, 0.507, 0.512 (all directions exact: 0.514)."""
_ROOTS = 3
"""Dimensions: so many times the root of the number of documents or words, whichever are fewer. A thousand documents want
about a hundred: alone, twice as many find as much; beside a list by words, which knows the rare ones, they find less."""
_REDUCED = 4
"""But a quarter of the words or documents at most: with as many dimensions as words nothing would be learned."""
_SPARE = 32
_NOTHING = 1e-9
"""Share of the strongest: what rounding leaves of a direction that is not there."""
_CHUNK = 256
"""Rows of a table that are multiplied at once."""
_SEED = 20_240_117

Words = Callable[[str], Sequence[str]]


class Lsa:
    """``learn`` it or ``load`` it. ``vocabulary``: word -> row of ``basis`` (words × dims), scaled by the word's weight."""

    def __init__(self, words: Words, vocabulary: dict[str, int], basis: Vectors) -> None:
        self._words, self._vocabulary, self._basis = words, vocabulary, basis
        print_of = sha256(msgspec.msgpack.encode(list(vocabulary)) + basis.tobytes()).hexdigest()[:12]
        self.dims = int(basis.shape[1])
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
            return cls(words, {}, np.zeros((0, 0), dtype=np.float32))
        weights = _entropy_weights(counts, len(known), len(texts))
        fewer = min(counts.height, len(known))
        basis = _range(_weighted(counts, weights), len(known), min(_ROOTS * isqrt(fewer), fewer // _REDUCED))
        return cls(words, vocabulary, basis * weights[:, None])

    def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.dims), dtype=np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            places: dict[int, int] = {}
            for word in self._words(text):
                place = self._vocabulary.get(word)
                if place is not None:
                    places[place] = places.get(place, 0) + 1
            if places:
                counts = np.log1p(np.fromiter(places.values(), dtype=np.float32, count=len(places)))
                vector[:] = counts @ self._basis[np.fromiter(places, dtype=np.intp, count=len(places))]
        return unit(vectors)

    def save(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "words.msgpack").write_bytes(
            msgspec.msgpack.encode(_Words(analyzer=NAME, known=list(self._vocabulary)))
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
        if not np.isfinite(basis).all():
            raise Damaged(f"embedder in {folder}: vectors that are no numbers")
        return cls(words, vocabulary, basis)


class _Words(msgspec.Struct, frozen=True, kw_only=True):
    analyzer: str
    known: list[str]


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
        block = np.zeros((_CHUNK, len(dense)), dtype=np.float32)
        for first in range(0, self.height, _CHUNK):
            last = min(first + _CHUNK, self.height)
            held = slice(*np.searchsorted(self.rows, (first, last)))
            places = self.rows[held] - first, self.words[held]
            block[places] = self.values[held]
            product[first:last] = block[: last - first] @ dense
            block[places] = 0
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
