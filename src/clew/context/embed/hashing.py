"""Random indexing: a text is the sum of fixed pseudo-random vectors of its words, rare or not.

Needs no collection to learn from, so it serves while there are only a few documents. It knows words, not meanings: two texts
are near when they share words. After P. Kanerva, J. Kristofersson, A. Holst, "Random indexing of text samples for latent
semantic analysis" (2000).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b
from math import log1p

import numpy as np
from numpy.typing import NDArray

from clew.context.embed.port import Vectors, unit

DIMS = 256
_PLACES = 8
"""Non-zero elements of a word's vector."""


class Hashing:
    """``words`` takes a text apart."""

    name = f"hashing:{DIMS}:1"
    dims = DIMS

    def __init__(self, words: Callable[[str], Sequence[str]]) -> None:
        self._words = words

    def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), DIMS), dtype=np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for word, count in Counter(self._words(text)).items():
                places, signs = _index(word)
                vector[places] += signs * np.float32(1 + log1p(count - 1))
        return unit(vectors)

    def asked(self, text: str) -> NDArray[np.float32]:
        """Of a query: as of a document."""
        return self.embed([text])[0]


@lru_cache(maxsize=65536)
def _index(word: str) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Where a word's vector is not zero, and its signs there; no place twice."""
    drawn = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=64).digest()
    numbers = np.frombuffer(drawn, dtype=np.uint32)
    places = np.unique(numbers % DIMS)[:_PLACES].astype(np.intp)
    signs = np.where(numbers[: len(places)] & 0x80000000, np.float32(1), np.float32(-1))
    return places, signs.astype(np.float32)
