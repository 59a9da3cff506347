import asyncio
import subprocess
import sys
import threading

import pytest

from clew.core.errors import Failure
from clew.gate.ports.model import Answered, ModelAnswer, Text
from clew.models.adapters.client import AdapterClient
from clew.models.catalog import Provider
from clew.testing.provider import FakeProvider, Step

ANSWER = Answered(answer=ModelAnswer(parts=(Text("ok"),)))


class Fixed:
    """A connection that answers, after ``ready``, with what it was given."""

    def __init__(self) -> None:
        self.keys: list[str | None] = []
        self.ready = asyncio.Event()
        self.ready.set()
        self.closed = 0

    async def ask(self, model, request, emit, key):
        self.keys.append(key)
        await self.ready.wait()
        return ANSWER

    async def close(self):
        self.closed += 1


def test_no_library_is_loaded_before_it_is_needed():
    code = (
        "import sys, clew.models.adapters as a; from clew.models.catalog import Provider;"
        "a.client_of(Provider(id='p', type='anthropic'), None);"
        "print([m for m in ('pydantic_ai', 'httpx2', 'openai', 'anthropic', 'google.genai') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_the_connection_is_made_once_in_a_thread(ask_of, keys):
    made = []

    def connect():
        made.append(threading.current_thread())
        return Fixed()

    client = AdapterClient(Provider(id="p", type="openai", credential="key"), keys(), connect)
    await asyncio.gather(*(client.ask("m", ask_of()) for _ in range(5)))
    assert len(made) == 1
    assert made[0] is not threading.main_thread()
    await client.close()


async def test_close_closes_once_and_may_come_first(ask_of, keys):
    fixed = Fixed()
    client = AdapterClient(Provider(id="p", type="openai", credential="key"), keys(), lambda: fixed)
    await client.close()
    await client.ask("m", ask_of())
    await client.close()
    await client.close()
    assert fixed.closed == 1


async def test_a_key_that_was_changed_is_used_at_once(asker, keys):
    secrets = keys("first")
    async with FakeProvider(Step(text="x"), repeat=True) as fake:
        one = asker("anthropic", fake, secrets)
        await one.ask()
        secrets.key = "second"
        await one.ask()
        secrets.key = ""
        with pytest.raises(Failure) as failure:
            await one.ask()
    assert [seen.headers["x-api-key"] for seen in fake.seen] == ["first", "second"]
    assert failure.value.code == "no_credential"


@pytest.mark.parametrize("key", ["two words", "line\nend", "naïve", "tab\t"])
async def test_a_key_that_is_no_header_value_is_never_sent_or_shown(ask_of, keys, key):
    client = AdapterClient(Provider(id="p", type="openai", credential="mine"), keys(key), Fixed)
    with pytest.raises(Failure, match="'mine' cannot be sent") as failure:
        await client.ask("m", ask_of())
    assert failure.value.code == "no_credential"
    assert key not in str(failure.value)


@pytest.mark.parametrize("kind", ["openai", "azure", "anthropic", "gemini"])
async def test_a_service_that_asks_for_a_key_is_not_asked_without(ask_of, keys, kind):
    client = AdapterClient(Provider(id="p", type=kind), keys(), Fixed)
    with pytest.raises(Failure, match="has no credential") as failure:
        await client.ask("m", ask_of())
    assert failure.value.code == "no_credential"


async def test_a_local_server_needs_no_key(ask_of, keys):
    fixed = Fixed()
    for provider in (Provider(id="p", type="ollama"), Provider(id="p", type="openai", base_url="http://127.0.0.1:1")):
        assert await AdapterClient(provider, keys(), lambda: fixed).ask("m", ask_of()) == ANSWER
    assert fixed.keys == [None, None]


@pytest.mark.parametrize(
    ("asked", "seconds"), [(0.05, "0.05"), (900, "0.1"), (None, "0.1"), ("1", "0.1"), (True, "0.1")]
)
async def test_a_request_may_shorten_the_time_not_lengthen_it(ask_of, keys, asked, seconds):
    fixed = Fixed()
    fixed.ready.clear()
    client = AdapterClient(Provider(id="p", type="ollama", timeout_ms=100), keys(), lambda: fixed)
    with pytest.raises(Failure, match=f"within {seconds} s") as failure:
        await client.ask("m", ask_of(parameters={"timeout": asked}))
    assert failure.value.code == "provider_timeout"
