import pytest

from clew.testing.provider import FakeProvider, Step

ALL = {
    "temperature": 0,
    "top_p": 0.5,
    "top_k": 3,
    "seed": 7,
    "max_tokens": 50,
    "stop": "END",
    "timeout": 3,
    "parallel_tool_calls": False,
    "frequency_penalty": None,
}


async def sent(asker, kind, model, parameters, **fields):
    async with FakeProvider(Step(text="x")) as fake:
        one = asker(kind, fake)
        one.model = model
        await one.ask(parameters=parameters, **fields)
    return fake.seen[0].body


async def test_chat(asker):
    body = await sent(asker, "chat", "gpt-4o", ALL)
    assert body["temperature"] == 0
    assert body["top_p"] == 0.5
    assert body["seed"] == 7
    assert body["max_completion_tokens"] == 50
    assert body["stop"] == ["END"]
    assert body["parallel_tool_calls"] is False
    assert not {"top_k", "timeout", "frequency_penalty"} & set(body)


@pytest.mark.parametrize("kind", ["chat", "responses"])
@pytest.mark.parametrize("model", ["gpt-5", "o3", "gpt-5-mini"])
async def test_models_that_reason_take_no_temperature(asker, kind, model):
    body = await sent(asker, kind, model, ALL)
    assert not {"temperature", "top_p"} & set(body)


@pytest.mark.parametrize(
    ("parameters", "taken"),
    [
        ({}, True),
        ({"openai_reasoning_effort": "high"}, False),
        ({"thinking": "low"}, False),
        ({"thinking": False}, True),
    ],
)
async def test_a_model_that_may_reason_takes_a_temperature_while_it_does_not(asker, parameters, taken):
    body = await sent(asker, "responses", "gpt-5.2", {"temperature": 0} | parameters)
    assert ("temperature" in body) is taken


async def test_anthropic(asker):
    old = await sent(asker, "anthropic", "claude-haiku-4-5", ALL)
    assert (old["temperature"], old["top_k"], old["max_tokens"], old["stop_sequences"]) == (0, 3, 50, ["END"])
    new = await sent(asker, "anthropic", "claude-opus-4-8", ALL)
    for body in (old, new):
        assert not {"seed", "timeout"} & set(body)
    assert not {"temperature", "top_p", "top_k"} & set(new)


async def test_gemini(asker):
    body = await sent(asker, "gemini", "gemini-2.5-flash", ALL | {"own": 1})
    assert body["generationConfig"] == {
        "temperature": 0,
        "topP": 0.5,
        "topK": 3,
        "seed": 7,
        "maxOutputTokens": 50,
        "stopSequences": ["END"],
        "responseModalities": ["TEXT"],
    }
    assert "own" not in body


@pytest.mark.parametrize("kind", ["chat", "responses", "anthropic"])
async def test_a_providers_own_parameter_goes_into_the_body(asker, kind):
    one = {"chat": "gpt-4o", "responses": "gpt-4o", "anthropic": "claude-haiku-4-5"}[kind]
    body = await sent(asker, kind, one, {"max_tokens": 9, "own": {"a": 1}, "google_labels": {"x": "y"}})
    assert body["own"] == {"a": 1}
    assert "google_labels" not in body


@pytest.mark.parametrize("kind", ["chat", "responses", "anthropic", "gemini"])
async def test_a_choice_among_tools_needs_tools(asker, kind):
    one = {"chat": "gpt-4o", "responses": "gpt-4o", "anthropic": "claude-haiku-4-5", "gemini": "gemini-2.5-flash"}[kind]
    parameters = {"max_tokens": 9, "tool_choice": "required"}
    with_tools = await sent(asker, kind, one, parameters)
    assert "required" in str(with_tools["tool_choice"]) if "openai" in kind else True
    without = await sent(asker, kind, one, parameters, tools=())
    assert "tool_choice" not in without
