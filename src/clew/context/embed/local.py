"""A local model from a folder: static embeddings, where a text is the mean of its tokens' vectors.

They are what Model2Vec distils from a sentence transformer (S. Tulkens, T. van Dongen, "Model2Vec: Fast State-of-the-Art Static
Embeddings", 2024): ``tokenizer.json`` and ``model.safetensors`` with ``embeddings`` (tokens × dimensions), and maybe ``weights``
and ``mapping`` of tokens. Sentence Transformers' ``StaticEmbedding`` has the same with ``embedding.weight``. Needs the extra
``local-embeddings`` (tokenizers); nothing that stands in the folder is run.
"""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from clew.context.damage import Damaged
from clew.context.embed.port import Vectors, unit
from clew.context.embed.tensors import tensors
from clew.core.errors import UsageError
from clew.gate.ports.embedding import clipped

_MOST = {"tokenizer.json": 64 * 1024 * 1024, "model.safetensors": 2 * 1024 * 1024 * 1024}
_MOST_DIMS = 65_536
UNAVAILABLE = "context_unavailable"
_NAMES = ("embeddings", "embedding.weight")
_HINT = "it takes tokenizer.json and model.safetensors of a static embedding model, as Model2Vec makes them"


class _Model(msgspec.Struct):
    unk_token: str | None = None
    unk_id: int | None = None


class _Settings(msgspec.Struct):
    model: _Model


class LocalModel:
    """``load`` it. Its name holds a digest of its files: another model, or another version, has another."""

    def __init__(self, name: str, tokenizer: Tokenizer, unknown: int, table: "Table") -> None:
        self.name, self._tokenizer, self._unknown, self._table = name, tokenizer, unknown, table
        self.dims = int(table.vectors.shape[1])

    @classmethod
    def load(cls, folder: Path) -> "LocalModel":
        """Raises UsageError for what is no such folder."""
        try:
            text, weights = _read(folder / "tokenizer.json"), _read(folder / "model.safetensors")
            tokenizer, unknown = _tokenizer(text)
            table = Table(tensors(weights))
        except (Damaged, OSError, ValueError) as error:
            raise UsageError(
                f"memory.embedding: {folder} holds no model: {error}", code=UNAVAILABLE, hint=_HINT
            ) from None
        name = "".join(sign for sign in folder.resolve().name if sign.isprintable())[:60]
        print_of = blake2b(blake2b(text).digest() + blake2b(weights).digest()).hexdigest()[:12]
        return cls(f"local:{name}:{print_of}", tokenizer, unknown, table)

    def embed(self, texts: Sequence[str]) -> Vectors:
        found = np.zeros((len(texts), self.dims), dtype=np.float32)
        for vector, text in zip(found, texts, strict=True):
            plain = clipped(text).encode("utf-8", "replace").decode()
            ids = np.array(self._tokenizer.encode(plain, add_special_tokens=False).ids, dtype=np.int64)
            vector[:] = self._table.mean(ids[ids != self._unknown])
        return unit(found)


class Table:
    """The vectors of tokens, with what weighs them and where they stand. Raises Damaged."""

    def __init__(self, given: dict[str, NDArray[Any]]) -> None:
        vectors = next((given[name] for name in _NAMES if name in given), None)
        if vectors is None or vectors.ndim != 2 or not 0 < vectors.shape[1] <= _MOST_DIMS or not len(vectors):
            raise Damaged(f"model.safetensors has no table of vectors ({' or '.join(_NAMES)})")
        self.vectors = vectors
        self._places, self._weights = given.get("mapping"), given.get("weights")
        places = self._places
        if places is not None and not _within(places, len(vectors)):
            raise Damaged("model.safetensors: its mapping leads out of the table")
        self._tokens = len(vectors) if places is None else len(places)
        if self._weights is not None and self._weights.shape != (self._tokens,):
            raise Damaged("model.safetensors: it has not one weight a token")

    def mean(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        """Zeros for no token, and where the numbers are none. Tokens that the table does not have are passed over."""
        tokens = tokens[tokens < self._tokens]
        nothing = np.zeros(self.vectors.shape[1], dtype=np.float32)
        if not len(tokens):
            return nothing
        with np.errstate(over="ignore", invalid="ignore"):
            rows = self.vectors[tokens if self._places is None else self._places[tokens]].astype(np.float32)
            if self._weights is not None:
                rows *= self._weights[tokens, None].astype(np.float32)
            mean = rows.mean(axis=0)
        return mean if np.isfinite(mean).all() else nothing


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise Damaged(f"there is no {path.name}")
    if path.stat().st_size > _MOST[path.name]:
        raise Damaged(f"{path.name} has more than {_MOST[path.name]:,} bytes")
    return path.read_bytes()


def _within(places: NDArray[Any], rows: int) -> bool:
    if places.ndim != 1 or places.dtype.kind != "i" or not len(places):
        return False
    return int(places.min()) >= 0 and int(places.max()) < rows


def _tokenizer(text: bytes) -> tuple[Tokenizer, int]:
    """With the token of what it does not know; -1: there is none. Raises Damaged."""
    try:
        tokenizer = Tokenizer.from_buffer(text)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        model = msgspec.json.decode(text, type=_Settings).model
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the library panics with one that is no Exception
        raise Damaged(f"tokenizer.json cannot be read: {str(error)[:200]}") from None
    unknown = model.unk_id if model.unk_token is None else tokenizer.token_to_id(model.unk_token)
    return tokenizer, -1 if unknown is None else unknown
