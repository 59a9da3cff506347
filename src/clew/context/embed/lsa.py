"""Latent semantic analysis: vectors learned from the collection itself, offline.

Log-entropy weighted words, truncated singular value decomposition by a randomised range finder with power iterations.
S. Deerwester et al., "Indexing by latent semantic analysis" (1990); S. Dumais (1991) for the weighting; N. Halko, P.-G.
Martinsson, J. Tropp, "Finding structure with randomness" (2011), algorithms 4.4 and 5.1.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from clew.context.damage import Damaged
from clew.context.embed.port import Vectors, unit

DIMS = 256
SAMPLE = 4000
"""Documents that are learned from, spread over the collection."""
LEAST = 64
"""Documents below which nothing is learned."""
_WORDS = 12_000
_ROUNDS = 4
_REDUCED = 4
"""A quarter of the words or documents, whichever are fewer: with as many dimensions as words nothing would be learned."""
_SPARE = 32
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
        table = np.zeros((len(counted), len(vocabulary)), dtype=np.float32)
        for row, one in zip(table, counted, strict=True):
            for word, count in one.items():
                place = vocabulary.get(word)
                if place is not None:
                    row[place] = count
        weights = _entropy_weights(table)
        table = unit(np.log1p(table) * weights)
        return cls(words, vocabulary, _range(table, min(DIMS, min(table.shape) // _REDUCED)) * weights[:, None])

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
        (folder / "words.msgpack").write_bytes(msgspec.msgpack.encode(list(self._vocabulary)))
        np.save(folder / "basis.npy", self._basis)

    @classmethod
    def load(cls, folder: Path, words: Words) -> Self:
        """Raises Damaged."""
        try:
            known = msgspec.msgpack.decode((folder / "words.msgpack").read_bytes(), type=list[str])
            basis: NDArray[np.float32] = np.load(folder / "basis.npy")
        except (OSError, ValueError, EOFError, msgspec.DecodeError) as error:
            raise Damaged(f"embedder in {folder}: {error}") from error
        if basis.ndim != 2 or basis.dtype != np.float32 or len(basis) != len(known):
            raise Damaged(f"embedder in {folder}: words and vectors do not agree")
        return cls(words, {word: place for place, word in enumerate(known)}, basis)


def _entropy_weights(counts: Vectors) -> Vectors:
    """Per word: 1 for one that stands in a single document, towards 0 for one that stands evenly in all."""
    totals = counts.sum(axis=0)
    shares = counts / np.maximum(totals, 1)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return (1 + (shares * logs).sum(axis=0) / np.log(max(2, len(counts)))).astype(np.float32)


def _range(table: Vectors, dims: int) -> Vectors:
    """The ``dims`` strongest right singular vectors (words × dims), each with its largest element positive."""
    if not dims:
        return np.zeros((table.shape[1], 0), dtype=np.float32)
    chance = np.random.default_rng(_SEED)
    found = table @ chance.standard_normal((table.shape[1], min(dims + _SPARE, min(table.shape))), dtype=np.float32)
    for _ in range(_ROUNDS):
        found = np.linalg.qr(table @ (table.T @ np.linalg.qr(found)[0]))[0]
    _, _, right = np.linalg.svd(found.T @ table, full_matrices=False)
    right = right[:dims]
    signs = np.sign(right[np.arange(len(right)), np.abs(right).argmax(axis=1)])
    return np.ascontiguousarray((right * signs[:, None]).T, dtype=np.float32)
