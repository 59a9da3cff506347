"""The embedder of a collection that was given none: learned from its own documents once there are enough of them."""

from collections.abc import Sequence

from clew.context.embed.hashing import Hashing
from clew.context.embed.lsa import LEAST, Lsa, Words

Offline = Hashing | Lsa
_LEAST_DIMS = 4


def offline(words: Words, texts: Sequence[str]) -> Offline:
    """``Lsa`` of these texts; ``Hashing`` where they are too few, or have no words in common."""
    if len(texts) < LEAST:
        return Hashing(words)
    learned = Lsa.learn(words, texts)
    return learned if learned.dims >= _LEAST_DIMS else Hashing(words)


def threshold(documents: int) -> int:
    """How many documents the embedder of so many is learned from at most: it is learned anew when they have doubled."""
    if documents < LEAST:
        return 0
    return LEAST << ((documents // LEAST).bit_length() - 1)
