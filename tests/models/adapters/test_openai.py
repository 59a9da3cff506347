import pytest

from clew.core.errors import Failure
from clew.testing.provider import FakeProvider, Step


@pytest.mark.parametrize(
    ("fields", "path", "header"),
    [
        (
            {"type": "azure", "base_url": "{}", "api_version": "2024-10-21", "config": {}},
            "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21",
            ("api-key", "{}"),
        ),
        (
            {"type": "azure", "base_url": "{}", "api_version": "2025-04-01-preview", "config": {"api": "responses"}},
            "/openai/responses?api-version=2025-04-01-preview",
            ("api-key", "{}"),
        ),
        (
            {"type": "azure", "base_url": "{}/openai/v1/", "config": {}},
            "/openai/v1/chat/completions",
            ("api-key", "{}"),
        ),
        ({"type": "ollama", "base_url": "{}", "config": {}}, "/v1/chat/completions", ("authorization", "Bearer {}")),
        ({"type": "ollama", "base_url": "{}/v1", "config": {}}, "/v1/chat/completions", ("authorization", "Bearer {}")),
        (
            {"type": "openai_compatible", "base_url": "{}/api", "config": {}},
            "/api/chat/completions",
            ("authorization", "Bearer {}"),
        ),
        (
            {"type": "openai_compatible", "base_url": "{}/v1", "config": {"api": "responses"}},
            "/v1/responses",
            ("authorization", "Bearer {}"),
        ),
        ({"type": "openai", "base_url": "{}/v1", "config": {}}, "/v1/responses", ("authorization", "Bearer {}")),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_addresses(asker, keys, fields, path, header, streamed):
    async with FakeProvider(Step(text="hello")) as fake:
        one = asker("chat", fake, **{**fields, "base_url": fields["base_url"].format(fake.url)})
        answered = await one.ask(streamed=streamed)
    assert answered.answer.text == "hello"
    (seen,) = fake.seen
    assert seen.path == path
    name, value = header
    assert seen.headers[name] == value.format(keys().key)


@pytest.mark.parametrize("kind", ["azure", "openai_compatible"])
async def test_an_address_is_needed(asker, kind):
    async with FakeProvider() as fake:
        one = asker("chat", fake, type=kind, base_url=None, credential="key", config={})
        with pytest.raises(Failure, match="base_url") as failure:
            await one.ask()
    assert failure.value.code == "invalid_request"


async def test_a_local_model_streams_reasoning_without_a_key(asker):
    async with FakeProvider(Step(reasoning="hm", text="hello")) as fake:
        one = asker("chat", fake, type="ollama", base_url=fake.url, credential=None, config={})
        one.model = "qwen3"
        await one.ask(streamed=True)
    assert one.said("reasoning") == "hm"
    assert "authorization" not in fake.seen[0].headers


async def test_a_stream_of_a_compatible_server_may_lack_usage(asker):
    async with FakeProvider(Step(text="x", chunk=1, cut=3), Step(text="x", chunk=1, cut=3)) as fake:
        house = asker("chat", fake, type="openai_compatible", config={})
        assert (await house.ask(streamed=True)).answer.text == "x"
        with pytest.raises(Failure, match="before its end"):
            await asker("chat", fake).ask(streamed=True)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_a_question_that_azure_filters_is_an_answer(asker, streamed, api):
    body = {
        "error": {
            "code": "content_filter",
            "message": "filtered",
            "innererror": {"code": "ResponsibleAIPolicyViolation"},
        }
    }
    async with FakeProvider(Step(status=400, body=body)) as fake:
        one = asker("chat", fake, type="azure", base_url=fake.url, api_version="2024-10-21", config={"api": api})
        answered = await one.ask(streamed=streamed)
    assert answered.answer.finish == "content_filter"
    assert answered.answer.parts == ()
