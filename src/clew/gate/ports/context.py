"""The context port: documents in scopes, how they are searched, and what is found. The engine lives in ``clew.context``.

A scope is ``global``, ``project:<id>``, ``session:<id>`` or ``task:<id>``; tenants never share one.
"""

from typing import Any, Literal

import msgspec

Strategy = Literal["AUTO", "DENSE_FIRST", "SPARSE_FIRST", "PARALLEL"]
Fusion = Literal["RECIPROCAL_RANK", "WEIGHTED_SUM", "MAX_SCORE"]
ListName = Literal["dense", "sparse", "graph", "recency"]


class Relation(msgspec.Struct, frozen=True, kw_only=True):
    """A fact of the knowledge graph, as a document states it. Times are ms since the epoch; None: not known, or still true."""

    subject: str
    relation: str
    object: str
    confidence: float = 1.0
    """0 to 1."""
    valid_from: int | None = None
    valid_to: int | None = None
    by: str = ""
    """The agent that read it in the document's text; empty where rules did, or whoever put it said so."""


class Extracted(msgspec.Struct, frozen=True, kw_only=True):
    """What agent ``by`` read in the first ``read`` of a document's ``characters``, or ``why`` (and ``code``) it did not."""

    id: str
    by: str
    relations: tuple[Relation, ...] = ()
    why: str = ""
    code: str = ""
    read: int = 0
    characters: int = 0


class Put(msgspec.Struct, frozen=True, kw_only=True):
    """A document as it is to be. Without a change to what is there, nothing is written.

    ``expected``: the version the writer saw (0: none may be there); None writes whatever is there.
    """

    id: str
    text: str = ""
    metadata: dict[str, Any] = {}
    vector: bytes = b""
    """Embedding as little-endian float32, or empty: the collection's embedder makes one."""
    embedder: str = ""
    """What made ``vector``, e.g. ``main/text-embedding-3-small``; vectors of different embedders are never compared."""
    relations: tuple[Relation, ...] = ()
    origin: str = ""
    """Who wrote it: ``run:<id>/<effect key>``, ``cli`` …"""
    expected: int | None = None


class Remove(msgspec.Struct, frozen=True, kw_only=True):
    """A document that is to be gone; removing what is not there writes nothing."""

    id: str
    origin: str = ""
    expected: int | None = None


Change = Put | Remove


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a document, as the log has it. ``n`` is its place in the log, ``version`` counts from 1 per document."""

    n: int
    id: str
    version: int
    parent: int = 0
    """The version that it replaced; 0 for the first."""
    deleted: bool = False
    text: str = ""
    metadata: dict[str, Any] = {}
    vector: bytes = b""
    embedder: str = ""
    relations: tuple[Relation, ...] = ()
    origin: str = ""
    at: int = 0
    """Written, ms since the epoch."""


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for. ``vector``: float32 as in ``Put``; ``filter``: see ``clew.context.filters``."""

    text: str = ""
    vector: bytes = b""
    filter: dict[str, Any] | None = None


class SearchConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How it is looked for. ``rerank_factor``: candidates of each list per result wanted."""

    k: int = 10
    strategy: Strategy = "AUTO"
    fusion: Fusion | None = None
    """None: WEIGHTED_SUM where the collection's own embedder makes the vectors, unless another ``rrf_k`` is named or the search is
    ``deterministic``; else RECIPROCAL_RANK."""
    rrf_k: int = 60
    dense_weight: float | None = None
    sparse_weight: float | None = None
    """Shares from 0 to 1; None: 0.5. Where neither is named, and the collection's own embedder has learned from a part of the
    documents, meaning has that part of its half, and words have the rest; not where the search is ``deterministic``."""
    graph_weight: float = 0.0
    """Above 0, the documents that the graph reaches from the query's entities are a third list."""
    rerank_factor: int = 10
    deterministic: bool = False


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """One result. A score or rank is None where that list did not have the document; ranks count from 1."""

    doc_id: str
    fused_score: float
    dense_score: float | None = None
    sparse_score: float | None = None
    dense_rank: int | None = None
    sparse_rank: int | None = None
    graph_score: float | None = None
    graph_rank: int | None = None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The hits, best first, and how they came about: the plan, and each list's share (``explain``)."""

    hits: tuple[Hit, ...]
    explain: dict[str, Any] = {}
