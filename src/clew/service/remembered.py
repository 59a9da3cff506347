"""What is answered of memory, as documents for people and scripts."""

from typing import Any

import msgspec

from clew.context.graph import walk
from clew.context.graph.facts import Fact
from clew.context.ingest.report import Passed
from clew.gate.ports.context import Version

_SHOWN = 2000
"""Characters of a document's text in a list."""


class Document(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A version of a document. ``at``: written, ms since the epoch; ``text`` is cut in lists."""

    id: str
    scope: str
    version: int
    parent_version: int
    place: int
    """In the collection's log."""
    deleted: bool
    text: str
    metadata: dict[str, Any]
    origin: str
    at: int


class SearchHit(msgspec.Struct, frozen=True, kw_only=True):
    """One result; a score or rank is null where that list did not have the document."""

    doc_id: str
    scope: str
    fused_score: float
    dense_score: float | None
    sparse_score: float | None
    dense_rank: int | None
    sparse_rank: int | None
    graph_score: float | None
    graph_rank: int | None
    text: str
    metadata: dict[str, Any]


class SearchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Best first. ``explain``: the plan, what each list found, the embedder, how many documents the filter allowed."""

    hits: list[SearchHit]
    explain: dict[str, Any]


class Embedded(msgspec.Struct, frozen=True, kw_only=True):
    """``documents``: given vectors by ``model``; ``missing``: still without one; ``refused``: ``{id, why}``; ``why``: it went no
    further. ``cost`` of ``tokens`` in US dollars, without ``unpriced`` requests, whose price is not known."""

    model: str
    documents: int = 0
    missing: int = 0
    refused: list[dict[str, str]] = []
    why: str = ""
    tokens: int = 0
    cost: str = "0"
    unpriced: int = 0


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """``files``: that have text; ``documents``: written anew; ``unchanged``: files that were there as they are; ``skipped``:
    ``{path, why}``; ``passed``: what was passed over by kind: the end of a name, ``link``, ``hidden``, ``folder``, ``no text`` …"""

    scope: str
    files: int
    documents: int
    removed: int
    unchanged: int
    skipped: list[dict[str, str]]
    passed: dict[str, Passed] = {}
    embedding: Embedded | None = None
    """The vectors that were made; null: not by a provider's model."""
    gone: int = 0
    """Documents that stayed though their files are gone."""
    unsure: int = 0
    """Documents of files in folders that cannot be read, or are empty."""
    forgotten: int = 0
    """Documents that retention removed, of these and of others."""


class MergeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """``merged`` false: nothing was written, ``conflicts`` say why, and ``text`` has markers where they are."""

    merged: bool
    version: int
    conflicts: list[dict[str, Any]]
    text: str
    settled: list[dict[str, Any]] = []
    """Conflicts that an agent settled, each with the ``text`` that stands there now and ``why``."""
    by: str = ""
    """The agent that was asked."""
    why: str = ""
    """Why it settled nothing."""
    run: str = ""
    """The run in which it was asked."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A label on a place of the log; ``at``: when it was set, ms since the epoch."""

    label: str
    place: int
    at: int


class GraphAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The facts that name an entity, or the walks from it, each ``{entities, facts, confidence}``."""

    facts: list[Fact]
    paths: list[walk.Path]
    closed: int = 0
    """Facts that named the entity, and are stated no more."""
    closed_at: int | None = None
    """When the last of them ceased to be stated."""


def document_of(version: Version, scope: str, *, whole: bool = False) -> Document:
    """``whole``: with all of its text."""
    return Document(
        id=version.id, scope=scope, version=version.version, parent_version=version.parent, place=version.n,
        deleted=version.deleted, text=version.text if whole else cut(version.text), metadata=version.metadata,
        origin=version.origin, at=version.at,
    )  # fmt: skip


def cut(text: str) -> str:
    """As much of a text as is shown in a list."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} [cut: {_SHOWN:,} of {len(text):,} characters]"
