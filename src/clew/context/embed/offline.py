"""The embedder of a collection that was given none: learned from its own documents once there are enough of them."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from clew.context.embed.hashing import Hashing
from clew.context.embed.lsa import LEAST, SAMPLE, Lsa, Words

Offline = Hashing | Lsa
_LEAST_DIMS = 5


def offline(words: Words, texts: Sequence[str]) -> Offline:
    """``Lsa`` of these texts; ``Hashing`` where they are too few, or have no words in common."""
    if len(texts) < LEAST:
        return Hashing(words)
    learned = Lsa.learn(words, texts)
    return learned if learned.dims >= _LEAST_DIMS else Hashing(words)


def asked(embedder: Offline | None, text: str) -> NDArray[np.float32] | None:
    """A query's vector; None where vectors come from elsewhere, or it says nothing."""
    vector = embedder.asked(text) if embedder is not None else None
    return vector if vector is not None and vector.any() else None


def learned_of(embedder: Offline | None, documents: int) -> float | None:
    """Share of so many documents that an embedder can have learned from: 1 up to ``SAMPLE``, and for one that does not learn.
    None: vectors come from elsewhere.

    It knows the others less well, and has no more dimensions to tell them apart: beyond ``SAMPLE`` documents a list by words finds
    more of what is wanted, the more of them there are.
    """
    if embedder is None:
        return None
    return min(1.0, SAMPLE / documents) if isinstance(embedder, Lsa) and documents else 1.0


def sampled(names: Sequence[str]) -> NDArray[np.intp]:
    """Places of the documents that are learned from: the first ``SAMPLE`` in the order of a digest of their ids; none of too few.

    It hangs on which documents there are, not on the order in which they came. Old ones are not preferred, nor new ones.
    """
    if len(names) < LEAST:
        return np.zeros(0, dtype=np.intp)
    digests = [blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest() for name in names]
    order = sorted(range(len(names)), key=lambda place: (digests[place], names[place]))
    return np.array(order[:SAMPLE], dtype=np.intp)


def threshold(documents: int) -> int:
    """How many documents the embedder of so many is learned from: it is learned anew when there is another threshold.

    They have grown by a seventh to a quarter then; by a third or a half once no more than a sample of them is learned from.
    """
    if documents < LEAST:
        return 0
    doubled = LEAST << ((documents // LEAST).bit_length() - 1)
    step = doubled // (4 if doubled < SAMPLE else 2)
    return documents // step * step
