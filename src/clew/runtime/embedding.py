"""Vectors in runs: where a project names a provider's embedding model, the texts of a context effect are embedded before it, by an
effect of its own, which is recorded. Where that fails, the context effect goes on by words alone, and says why."""

from typing import Any, cast

import msgspec

from clew.core.errors import Failure
from clew.gate.effect import Effect, Outcome
from clew.gate.ports.embedding import (
    MOST_QUERY,
    EmbeddingAnswer,
    EmbeddingRequest,
    Handed,
    Purpose,
    clipped,
    unpacked,
)
from clew.manifest.compiled import Plan
from clew.runtime.memory import memory_of

BATCH = 64
SEARCH = "search_context"
"""The built-in tool that searches memory."""


class Embedding(msgspec.Struct, frozen=True, kw_only=True):
    """The embedding model of a project. ``network``: it is asked over one."""

    model: str
    dimensions: int | None = None
    batch: int = BATCH
    network: bool = True

    @property
    def name(self) -> str:
        """What its vectors are called: another name, and they are not compared."""
        return self.model if self.dimensions is None else f"{self.model}@{self.dimensions}"

    def request(self, texts: tuple[str, ...], purpose: Purpose) -> dict[str, Any]:
        """Of an ``embedding`` effect."""
        wanted = EmbeddingRequest(
            model=self.model, texts=tuple(map(clipped, texts)), dimensions=self.dimensions, purpose=purpose
        )
        return msgspec.to_builtins(wanted)


def embedding_of(plan: Plan) -> Embedding | None:
    """None: vectors are made where the documents are."""
    declared = memory_of(plan).embedding
    if declared is None or declared.model is None:
        return None
    provider = declared.model.partition("/")[0]
    offline = any(one["id"] == provider and one["type"] == "offline" for one in plan.sections.get("providers", ()))
    return Embedding(
        model=declared.model, dimensions=declared.dimensions, batch=declared.batch or BATCH, network=not offline
    )


def asked_before(plan: Plan, effect: Effect) -> tuple[Embedding, Effect] | None:
    """The ``embedding`` effect that comes before a context effect or a call of the search tool, with its model.

    None: no text of it is embedded here. Whether the request is what a driver takes, the driver checks.
    """
    if effect.kind != "context" and not _searches(plan, effect):
        return None
    embedding = embedding_of(plan)
    if embedding is None:
        return None
    found, purpose = _texts(effect)
    texts = tuple(text for text in found if isinstance(text, str) and text.strip())
    if not texts:
        return None
    before = Effect(
        key=f"{effect.key}/embedding", kind="embedding", name=embedding.model, request=embedding.request(texts, purpose),
        task=effect.task, node=effect.node, run=effect.run, agent=effect.agent, repeat_safe=True,
        needs=("network",) if embedding.network else (),
    )  # fmt: skip
    return embedding, before


def handed(embedding: Embedding, outcome: Outcome) -> Handed:
    """What the effect after it is told."""
    try:
        answer = msgspec.convert(outcome.value(), EmbeddingAnswer)
        return Handed(embedder=embedding.name, vectors=tuple(unpacked(vector) for vector in answer.vectors))
    except Failure as failure:
        return Handed(embedder=embedding.name, why=str(failure), code=failure.code)
    except (msgspec.ValidationError, ValueError) as error:
        return Handed(embedder=embedding.name, why=f"the recorded vectors cannot be read: {error}", code="bad_answer")


def _searches(plan: Plan, effect: Effect) -> bool:
    return effect.kind == "tool" and effect.name == SEARCH and plan.tools[SEARCH].type == "builtin"


def _texts(effect: Effect) -> tuple[tuple[Any, ...], Purpose]:
    request: Any = effect.request
    if effect.kind == "tool":
        given = cast("dict[str, Any]", request) if isinstance(request, dict) else {}  # a model may say anything
        return (given.get("query"),), "query"
    if effect.name == "put":
        return tuple(document.get("text") for document in request.get("documents", ())), "document"
    if effect.name == "assemble":
        query: Any = request.get("query") if request.get("policy") != "recency" and request.get("sources") else None
        return (query[:MOST_QUERY] if isinstance(query, str) else None,), "query"
    return (request.get("text") if effect.name == "search" else None,), "query"
