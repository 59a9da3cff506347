"""Embeddings over HTTP: OpenAI's protocol (OpenAI, Azure, Ollama, compatible servers) and Gemini's batchEmbedContents.

Two requests of a few fields need none of the providers' libraries, which cost seconds to load, take an answer's order for that of
the texts, and turn every vector into a list of floats. Sources: the references of OpenAI, Azure and Gemini.
"""

import math
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import msgspec
from pydantic_ai.exceptions import (
    ModelAuthenticationError,
    ModelHTTPError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelServerError,
)

from clew.core.errors import Failure
from clew.gate.ports.embedding import Embedded, EmbeddingRequest, unpacked
from clew.gate.ports.model import Usage
from clew.models.adapters.faults import failure_of
from clew.models.adapters.limits import rate_limit
from clew.models.adapters.wire import CURRENT, Exchange, http_client
from clew.models.catalog import Provider

OPENAI = "https://api.openai.com/v1"
OLLAMA = "http://127.0.0.1:11434/v1"
GEMINI = "https://generativelanguage.googleapis.com"
MOST_BYTES = 256 * 1024 * 1024
"""Of an answer: 2048 vectors of 4096 numbers written out."""
QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
"""Codes that come with a 429 and are no matter of waiting."""
PREFIXED = "gemini-embedding-2"
"""Told by words before the text what it is for, where other models of the family have a field for it."""


class Read(NamedTuple):
    vectors: list[bytes]
    usage: Usage
    model: str


class Wire(NamedTuple):
    """How a provider is asked. ``url`` of a model, ``body`` of a request, ``read``: an answer to so many texts."""

    header: str
    prefix: str
    url: Callable[[str], str]
    body: Callable[[str, EmbeddingRequest], dict[str, Any]]
    read: Callable[[bytes], Read]


class EmbeddingConnection:
    """A provider's embedding models."""

    def __init__(self, provider: Provider, wire: Wire) -> None:
        self._provider, self._wire = provider.id, wire
        self._http = http_client(wire.header, wire.prefix, timeout_ms=provider.timeout_ms)

    async def embed(self, model: str, request: EmbeddingRequest, key: str | None) -> Embedded:
        """Raises Failure with a code of ``FAULTS``."""
        exchange = Exchange(key)
        token = CURRENT.set(exchange)
        try:
            read = self._wire.read(await self._posted(model, request))
            if wrong := _wrong(read.vectors, request):
                raise Failure(f"provider {self._provider}: {wrong}", code="bad_answer")
        except Failure:
            raise
        except Exception as error:
            raise failure_of(error, self._provider, exchange) from None
        finally:
            CURRENT.reset(token)
        return Embedded(
            vectors=tuple(read.vectors), model=read.model, usage=read.usage, limit=rate_limit(exchange.headers)
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def _posted(self, model: str, request: EmbeddingRequest) -> bytes:
        sent = msgspec.json.encode(self._wire.body(model, request))
        headers = {"content-type": "application/json", "accept": "application/json"}
        async with self._http.stream("POST", self._wire.url(model), content=sent, headers=headers) as response:
            answer = bytearray()
            async for piece in response.aiter_bytes():
                answer += piece
                if len(answer) > MOST_BYTES:
                    raise ValueError("the answer is too long")
        if response.status_code != 200:
            raise _refusal(response.status_code, model, bytes(answer))
        return bytes(answer)


def connect(provider: Provider) -> EmbeddingConnection:
    """Raises Failure(``invalid_request``) where the address is missing."""
    return EmbeddingConnection(provider, _gemini(provider) if provider.type == "gemini" else _openai(provider))


# -- OpenAI ----------------------------------------------------------------------------------------------------------


class _Item(msgspec.Struct):
    embedding: str | list[float]
    index: int | None = None


class _Tokens(msgspec.Struct):
    prompt_tokens: int = 0
    total_tokens: int = 0


class _List(msgspec.Struct):
    data: list[_Item]
    model: str = ""
    usage: _Tokens | None = None


_lists = msgspec.json.Decoder(_List)


def _openai(provider: Provider) -> Wire:
    azure = provider.type == "azure"
    base = provider.base_url or {"openai": OPENAI, "ollama": OLLAMA}.get(provider.type)
    if base is None:
        raise Failure(f"provider {provider.id}: {provider.type} needs a base_url", code="invalid_request")
    base = base.rstrip("/")
    if provider.type == "ollama" and urlsplit(base).path == "":
        base += "/v1"

    def url(model: str) -> str:
        if azure and provider.api_version is not None:
            place = quote(model, safe="")
            return f"{base}/openai/deployments/{place}/embeddings?api-version={quote(provider.api_version)}"
        return f"{base}/embeddings"

    header, prefix = ("api-key", "") if azure else ("authorization", "Bearer ")
    return Wire(header, prefix, url, _openai_body, _openai_read)


def _openai_body(model: str, request: EmbeddingRequest) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "input": request.texts, "encoding_format": "base64"}
    return body if request.dimensions is None else body | {"dimensions": request.dimensions}


def _openai_read(data: bytes) -> Read:
    found = _lists.decode(data)
    places = [at if item.index is None else item.index for at, item in enumerate(found.data)]
    if sorted(places) != list(range(len(places))):
        raise ValueError("the answer's places do not count from 0")
    vectors = [b""] * len(places)
    for place, item in zip(places, found.data, strict=True):
        vectors[place] = unpacked(item.embedding) if isinstance(item.embedding, str) else _floats(item.embedding)
    used = found.usage or _Tokens()
    return Read(vectors, Usage(input_tokens=used.prompt_tokens or used.total_tokens), found.model)


# -- Gemini ----------------------------------------------------------------------------------------------------------


class _Values(msgspec.Struct):
    values: list[float]


class _Metadata(msgspec.Struct, rename="camel"):
    prompt_token_count: int = 0


class _Batch(msgspec.Struct, rename="camel"):
    embeddings: list[_Values]
    usage_metadata: _Metadata | None = None


_batches = msgspec.json.Decoder(_Batch)


def _gemini(provider: Provider) -> Wire:
    base = (provider.base_url or GEMINI).rstrip("/")

    def url(model: str) -> str:
        return f"{base}/v1beta/models/{quote(model, safe='')}:batchEmbedContents"

    return Wire("x-goog-api-key", "", url, _gemini_body, _gemini_read)


def _gemini_body(model: str, request: EmbeddingRequest) -> dict[str, Any]:
    query = request.purpose == "query"
    common: dict[str, Any] = {"model": f"models/{model}"}
    before = ""
    if model == PREFIXED:
        before = "task: search result | query: " if query else "title: none | text: "
    else:
        common["taskType"] = "RETRIEVAL_QUERY" if query else "RETRIEVAL_DOCUMENT"
    if request.dimensions is not None:
        common["outputDimensionality"] = request.dimensions
    return {"requests": [common | {"content": {"parts": [{"text": before + text}]}} for text in request.texts]}


def _gemini_read(data: bytes) -> Read:
    found = _batches.decode(data)
    used = found.usage_metadata or _Metadata()
    return Read([_floats(one.values) for one in found.embeddings], Usage(input_tokens=used.prompt_token_count), "")


# -- both ------------------------------------------------------------------------------------------------------------


def _floats(numbers: list[float]) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


def _wrong(vectors: list[bytes], request: EmbeddingRequest) -> str:
    """What is wrong unless there is one vector a text, all of the length that was asked for, and finite."""
    lengths = sorted({len(vector) // 4 for vector in vectors})
    if len(vectors) != len(request.texts):
        return f"{len(vectors)} vectors for {len(request.texts)} texts"
    if len(lengths) != 1 or not lengths[0]:
        return f"vectors of different lengths: {', '.join(map(str, lengths))}"
    if request.dimensions not in (None, lengths[0]):
        return f"vectors of {lengths[0]} dimensions, and {request.dimensions} were asked for"
    if not all(all(map(math.isfinite, struct.unpack(f"<{lengths[0]}f", vector))) for vector in vectors):
        return "a vector with a number that is none"
    return ""


class _Code(msgspec.Struct):
    code: str | int | None = None


class _Told(msgspec.Struct):
    error: _Code


def _refusal(status: int, model: str, answer: bytes) -> ModelHTTPError:
    body: Any = None
    code: str | int | None = None
    with suppress(msgspec.DecodeError, RecursionError):
        body = msgspec.json.decode(answer)
        code = msgspec.convert(body, _Told).error.code
    category = ModelServerError if status >= 500 else None
    if status in (401, 403):
        category = ModelAuthenticationError
    elif status == 402 or (status == 429 and code in QUOTA):
        category = ModelQuotaExceededError
    elif status == 429:
        category = ModelRateLimitError
    return ModelHTTPError.for_category(category, status_code=status, model_name=model, body=body)
