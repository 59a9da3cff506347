"""Gemini's batchEmbedContents."""

from typing import Any

from clew.testing.provider.embeddings import DIMS, made
from clew.testing.provider.gemini import error
from clew.testing.provider.script import Seen, Step

__all__ = ["answer", "error"]


def answer(step: Step, seen: Seen) -> Any:
    requests: list[dict[str, Any]] = seen.asks("requests") or []
    texts = ["".join(part["text"] for part in one["content"]["parts"]) for one in requests]
    dims = requests[0].get("outputDimensionality") if requests else None
    vectors = step.vectors or [made(text, dims or DIMS) for text in texts]
    return {"embeddings": [{"values": list(vector)} for vector in vectors]}
