"""``OfflineEmbedder``: vectors without a model, a key or a network, the same for the same text everywhere.

Each word is a fixed pseudo-random vector, a text their sum: it knows words, not meanings. After P. Kanerva, J. Kristofersson,
A. Holst, "Random indexing of text samples for latent semantic analysis" (2000).
"""

import math
import re
import struct
from collections import Counter
from hashlib import blake2b

from clew.gate.ports.embedding import Embedded, EmbeddingRequest
from clew.gate.ports.model import Usage

DIMS = 256
_PLACES = 8
"""Elements of a word's vector that are not zero."""
_WORD = re.compile(r"\w+")


class OfflineEmbedder:
    """Implements ``EmbeddingClient``. Usage counts words."""

    async def embed(self, model: str, request: EmbeddingRequest) -> Embedded:
        dims = request.dimensions or DIMS
        counted = [Counter(_WORD.findall(text.lower())) for text in request.texts]
        return Embedded(
            vectors=tuple(_vector(words, dims) for words in counted),
            model=f"offline/{model}",
            usage=Usage(input_tokens=sum(sum(words.values()) for words in counted)),
        )

    async def close(self) -> None:
        """There is nothing to close."""


def _vector(words: Counter[str], dims: int) -> bytes:
    sums = [0.0] * dims
    for word, count in words.items():
        drawn = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=4 * _PLACES).digest()
        for (number,) in struct.iter_unpack("<I", drawn):
            sums[(number >> 1) % dims] += (1 if number & 1 else -1) * (1 + math.log(count))
    length = math.hypot(*sums) or 1.0
    return struct.pack(f"<{dims}f", *(one / length for one in sums))
