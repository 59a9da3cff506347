"""The embedding port: texts to vectors by a provider's model. Clients live in ``clew.models``.

The request of an ``embedding`` effect is an ``EmbeddingRequest`` as JSON, its output an ``EmbeddingAnswer``. Vectors are recorded,
so they are base64 of little-endian float32, not lists of numbers.
"""

from base64 import b64decode, b64encode
from typing import Literal, Protocol

import msgspec

from clew.gate.ports.context import Extracted
from clew.gate.ports.model import RateLimit, Usage

Purpose = Literal["document", "query"]
"""What a text is embedded for; some models make a difference."""

MOST_BYTES = 20_000
"""Of a text's UTF-8 that are embedded: some 5,000 to 7,000 tokens. Models take 8,000 or less, and refuse what is longer."""

MOST_QUERY = 2000
"""Characters of what a node is about to work on that memory is searched with."""


class EmbeddingRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``model``: ``provider/name``; ``dimensions``: length of the vectors, where the model can make shorter ones."""

    model: str
    texts: tuple[str, ...]
    dimensions: int | None = None
    purpose: Purpose = "document"


class EmbeddingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One vector a text, in order. ``model``: what the provider says it was."""

    vectors: tuple[str, ...]
    dims: int
    model: str = ""


class Embedded(msgspec.Struct, frozen=True, kw_only=True):
    """Vectors as little-endian float32, one a text, in order, with what they used."""

    vectors: tuple[bytes, ...]
    model: str = ""
    usage: Usage = Usage()
    limit: RateLimit | None = None


class EmbeddingClient(Protocol):
    """The embedding models of one provider."""

    async def embed(self, model: str, request: EmbeddingRequest) -> Embedded:
        """One request to the provider's ``model``, without retries of its own: as many vectors as texts, all of one length.

        Raises Failure with one of the codes in ``gate.ports.model.FAULTS``. Cancelling closes the connection.
        """
        ...

    async def close(self) -> None: ...


class Handed(msgspec.Struct, frozen=True, kw_only=True):
    """What a body hands to the driver of a ``context`` effect: the vectors of its texts, or ``why`` there are none.

    An empty vector: the text has nothing to embed. ``code``: of the failure. No ``embedder``: no model was to be asked for them.
    ``extracted``: of the documents that an agent was asked about.
    """

    embedder: str = ""
    vectors: tuple[bytes, ...] = ()
    why: str = ""
    code: str = ""
    extracted: tuple[Extracted, ...] = ()


def packed(vector: bytes) -> str:
    return b64encode(vector).decode()


def unpacked(text: str) -> bytes:
    """Raises ValueError for what is no vector."""
    vector = b64decode(text, validate=True)
    if len(vector) % 4:
        raise ValueError(f"{len(vector)} bytes are no float32 numbers")
    return vector


def clipped(text: str) -> str:
    """The beginning of ``text`` that is embedded."""
    data = text.encode("utf-8", "replace")
    return text if len(data) <= MOST_BYTES else data[:MOST_BYTES].decode("utf-8", "ignore")
