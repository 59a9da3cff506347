import logging
import re

import pytest

from clew.core.errors import Failure
from clew.models.adapters.wire import Exchange
from clew.testing.provider import FakeProvider, Step

KINDS = ("chat", "responses", "anthropic", "gemini")
ENVIRONMENT = {
    "OPENAI_API_KEY": "leaked",
    "OPENAI_ORG_ID": "leaked",
    "OPENAI_PROJECT_ID": "leaked",
    "OPENAI_BASE_URL": "http://127.0.0.1:1/leaked",
    "OPENAI_CUSTOM_HEADERS": "x-custom: leaked",
    "ANTHROPIC_API_KEY": "leaked",
    "ANTHROPIC_AUTH_TOKEN": "leaked",
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:1/leaked",
    "ANTHROPIC_CUSTOM_HEADERS": "x-custom: leaked",
    "GOOGLE_API_KEY": "leaked",
    "GEMINI_API_KEY": "leaked",
    "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:1/leaked",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "http_proxy": "http://127.0.0.1:1",
    "HTTPS_PROXY": "http://127.0.0.1:1",
    "ALL_PROXY": "http://127.0.0.1:1",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("credential", ["key", None])
async def test_nothing_is_taken_from_the_environment(asker, monkeypatch, kind, credential):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    async with FakeProvider(Step(text="x")) as fake:
        await asker(kind, fake, credential=credential).ask()
    (seen,) = fake.seen
    assert "leaked" not in str(seen.headers) + seen.path + seen.raw.decode()
    keys = [name for name in seen.headers if re.search("auth|key|org|project", name)]
    assert len(keys) == (1 if credential else 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("streamed", [False, True])
async def test_the_key_is_in_no_error_log_or_repr(asker, keys, caplog, kind, streamed):
    caplog.set_level(logging.DEBUG)
    key = keys().key
    echo = {"type": "error", "error": {"type": "authentication_error", "message": f"wrong key {key}", "code": key}}
    steps = [
        Step(status=401, body=echo),
        Step(status=500, body=f"<html>{key}</html>"),
        Step(body=f'{{"{key}": '),
        Step(text="x", cut=2, stream_error=f"broken by {key}"),
        Step(reset=True),
    ]
    async with FakeProvider(*steps) as fake:
        one = asker(kind, fake)
        shown = [repr(one.client), repr(vars(one.client))]
        for _ in steps:
            with pytest.raises(Failure) as failure:
                await one.ask(streamed=streamed)
            error = failure.value
            shown += [str(error), repr(error), repr(error.details), error.hint]
            assert error.__cause__ is None
            assert error.__suppress_context__
    assert key not in "".join(shown)
    assert key not in caplog.text
    assert all(key in str(seen.headers) for seen in fake.seen), "the key did go out"


def test_an_exchange_does_not_show_its_key():
    assert "hidden" not in repr(Exchange("hidden"))
