"""OpenAI's embeddings: base64 of little-endian float32, or lists of numbers, with the place of each."""

import struct
from base64 import b64encode
from hashlib import blake2b
from typing import Any

from clew.testing.provider.openai_chat import error
from clew.testing.provider.script import Seen, Step

__all__ = ["answer", "error", "made"]

DIMS = 8


def answer(step: Step, seen: Seen) -> Any:
    given = seen.asks("input")
    texts: list[str] = [given] if isinstance(given, str) else list(given or [])
    vectors = step.vectors or [made(text, seen.asks("dimensions") or DIMS) for text in texts]
    data = [
        {"object": "embedding", "index": place, "embedding": _written(vector, seen.asks("encoding_format"))}
        for place, vector in enumerate(vectors)
    ]
    tokens = step.usage.input_tokens
    return {
        "object": "list",
        "data": data[::-1] if step.shuffled else data,
        "model": seen.model(step),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def made(text: str, dims: int) -> tuple[float, ...]:
    """A vector of the text's words: texts that share words are near one another."""
    sums = [0.0] * dims
    for word in text.lower().split():
        drawn = int.from_bytes(blake2b(word.encode("utf-8", "replace"), digest_size=8).digest())
        for at in range(dims):
            sums[at] += 1 if drawn >> at % 64 & 1 else -1
    return tuple(sums)


def _written(vector: tuple[float, ...], encoding: Any) -> Any:
    if encoding != "base64":
        return list(vector)
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
