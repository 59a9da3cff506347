import msgspec
import pytest

from clew.core.errors import Failure
from clew.gate.ports.embedding import EmbeddingRequest, packed
from clew.gate.ports.model import Usage
from clew.models.adapters import embedder_of, embedding
from clew.testing.provider import FakeProvider, Step
from clew.testing.provider.embeddings import made


def vectors(embedded):
    return [memoryview(vector).cast("f").tolist() for vector in embedded.vectors]


@pytest.fixture
async def embed(provider, keys):
    made_ = []

    async def ask(fake, kind="chat", texts=("a b", "c"), secrets=None, **fields):
        asked = {name: fields.pop(name) for name in ("dimensions", "purpose") if name in fields}
        client = embedder_of(provider(kind, fake.url, **fields), secrets or keys())
        made_.append(client)
        return await client.embed("small", EmbeddingRequest(model="house/small", texts=texts, **asked))

    yield ask
    for client in made_:
        await client.close()


async def test_vectors_are_those_of_the_texts_whatever_their_order(embed):
    async with FakeProvider(Step(shuffled=True)) as fake:
        found = await embed(fake, dimensions=4)
    assert vectors(found) == [list(made("a b", 4)), list(made("c", 4))]
    assert (found.model, found.usage) == ("small", Usage(input_tokens=10))
    assert fake.seen[0].body == {"model": "small", "input": ["a b", "c"], "encoding_format": "base64", "dimensions": 4}


async def test_lists_of_numbers_are_taken_too(embed):
    body = {"data": [{"embedding": [1, 0.5]}, {"embedding": [0, 2]}]}
    async with FakeProvider(Step(body=body)) as fake:
        found = await embed(fake)
    assert vectors(found) == [[1.0, 0.5], [0.0, 2.0]]
    assert (found.model, found.usage) == ("", Usage())


@pytest.mark.parametrize(
    ("kind", "fields", "path", "header"),
    [
        ("chat", {}, "/v1/embeddings", ("authorization", "Bearer {}")),
        ("chat", {"type": "ollama", "base_url": ""}, "/v1/embeddings", ("authorization", "Bearer {}")),
        ("chat", {"type": "ollama", "base_url": "/x/"}, "/x/embeddings", ("authorization", "Bearer {}")),
        ("chat", {"type": "openai_compatible", "base_url": "/api/"}, "/api/embeddings", ("authorization", "Bearer {}")),
        ("chat", {"type": "azure", "base_url": "/openai/v1/"}, "/openai/v1/embeddings", ("api-key", "{}")),
        (
            "chat",
            {"type": "azure", "base_url": "", "api_version": "2024-10-21"},
            "/openai/deployments/small/embeddings?api-version=2024-10-21",
            ("api-key", "{}"),
        ),
        ("gemini", {}, "/v1beta/models/small:batchEmbedContents", ("x-goog-api-key", "{}")),
    ],
)
async def test_addresses(embed, keys, kind, fields, path, header):
    async with FakeProvider(Step()) as fake:
        if "base_url" in fields:
            fields = fields | {"base_url": fake.url + fields["base_url"]}
        found = await embed(fake, kind, **fields)
    assert len(found.vectors) == 2
    assert fake.seen[0].path == path
    assert fake.seen[0].headers[header[0]] == header[1].format(keys().key)


async def test_gemini_is_told_what_a_text_is_for(embed, provider, keys):
    async with FakeProvider(Step(), repeat=True) as fake:
        await embed(fake, "gemini", texts=("a",), purpose="query", dimensions=3)
        found = await embed(fake, "gemini", texts=("a",))
        client = embedder_of(provider("gemini", fake.url), keys())
        for purpose in ("query", "document"):
            await client.embed("gemini-embedding-2", EmbeddingRequest(model="g/m", texts=("a",), purpose=purpose))
        await client.close()
    asked = [seen.body["requests"][0] for seen in fake.seen]
    assert asked[0]["taskType"] == "RETRIEVAL_QUERY"
    assert asked[0]["outputDimensionality"] == 3
    assert asked[1]["taskType"] == "RETRIEVAL_DOCUMENT"
    assert [one["content"]["parts"][0]["text"] for one in asked[2:]] == [
        "task: search result | query: a", "title: none | text: a",
    ]  # fmt: skip
    assert found.usage == Usage()


OPENAI = "chat"
NAN = packed(b"\0\0\xc0\x7f")


@pytest.mark.parametrize(
    ("step", "code", "words"),
    [
        (Step(status=429, headers={"Retry-After": "7"}), "rate_limited", "429"),
        (Step(status=429, body={"error": {"code": "insufficient_quota", "message": "pay"}}), "unauthorised", "pay"),
        (Step(status=401), "unauthorised", "401"),
        (Step(status=500), "provider_error", "500"),
        (Step(status=503, body="<html>"), "provider_error", "503"),
        (Step(status=504), "provider_timeout", "504"),
        (Step(status=302, headers={"Location": "http://127.0.0.1:1/"}), "provider_error", "302"),
        (Step(status=400, body={"error": {"message": "maximum context length is 8192"}}), "context_too_long", "8192"),
        (Step(status=404, body=[]), "invalid_request", "404"),
        (Step(body="{no"), "bad_answer", "cannot be read"),
        (Step(body={"data": [{"embedding": "AAAA"}]}), "bad_answer", "cannot be read"),
        (Step(body={"data": [{"embedding": "?"}]}), "bad_answer", "cannot be read"),
        (Step(body={"data": [{"embedding": [1e300]}]}), "bad_answer", "cannot be read"),
        (Step(body={"data": [{"embedding": [1], "index": 1}]}), "bad_answer", "cannot be read"),
        (Step(body={"data": [{"embedding": NAN}, {"embedding": NAN}]}), "bad_answer", "a number that is none"),
        (Step(body={"data": []}), "bad_answer", "0 vectors for 2 texts"),
        (Step(vectors=((1.0, 2.0),)), "bad_answer", "1 vectors for 2 texts"),
        (Step(vectors=((1.0, 2.0), (1.0,))), "bad_answer", "different lengths: 1, 2"),
        (Step(vectors=((), ())), "bad_answer", "different lengths"),
        (Step(cut=20), "bad_answer", "cannot be read"),
        (Step(cut=20, reset=True), "bad_answer", "connection"),
        (Step(reset=True), "provider_unreachable", "connection"),
    ],
)
async def test_faults(embed, step, code, words):
    async with FakeProvider(step) as fake:
        with pytest.raises(Failure, match=words) as failure:
            await embed(fake)
    assert failure.value.code == code
    if step.headers.get("Retry-After"):
        assert failure.value.details["retry_after_ms"] == 7000


async def test_as_many_dimensions_as_were_asked_for(embed):
    async with FakeProvider(Step(vectors=((1.0,), (2.0,)))) as fake:
        with pytest.raises(Failure, match="vectors of 1 dimensions, and 4 were asked for"):
            await embed(fake, dimensions=4)


async def test_an_answer_without_end_is_not_read_to_its_end(embed, monkeypatch):
    monkeypatch.setattr(embedding, "MOST_BYTES", 100)
    async with FakeProvider(Step(body="x" * 1000)) as fake:
        with pytest.raises(Failure, match="cannot be read"):
            await embed(fake)


async def test_time_and_keys(embed, keys):
    async with FakeProvider(Step(hang=True)) as fake:
        with pytest.raises(Failure, match=r"no answer from small within 0\.05 s") as failure:
            await embed(fake, timeout_ms=50)
    assert failure.value.code == "provider_timeout"
    async with FakeProvider() as fake:
        with pytest.raises(Failure) as failure:
            await embed(fake, secrets=keys(""))
    assert failure.value.code == "no_credential"


@pytest.mark.parametrize(
    ("kind", "fields"), [("chat", {"type": "openai_compatible", "base_url": None}), ("anthropic", {})]
)
async def test_who_has_none(embed, kind, fields):
    async with FakeProvider() as fake:
        with pytest.raises(Failure) as failure:
            await embed(fake, kind, **fields)
    assert failure.value.code == ("no_adapter" if kind == "anthropic" else "invalid_request")


async def test_what_a_server_repeats_of_the_key_is_masked(embed, keys):
    async with FakeProvider(Step(status=400, body={"error": {"message": f"bad key {keys().key}"}})) as fake:
        with pytest.raises(Failure) as failure:
            await embed(fake)
    assert keys().key not in str(failure.value)
    assert msgspec.json.encode(failure.value.details) == b'{"status":400}'
