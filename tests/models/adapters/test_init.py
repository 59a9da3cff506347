import sys

import pytest

from clew.core.errors import Failure
from clew.models import adapters
from clew.models.catalog import Provider


async def test_offline_needs_no_key(ask_of, keys):
    client = adapters.client_of(Provider(id="off", type="offline"), keys(""))
    answered = await client.ask("any", ask_of("hello"))
    assert answered.answer.model == "offline/any"
    await client.close()


@pytest.mark.parametrize(("kind", "extra"), [("openai", "openai"), ("anthropic", "anthropic"), ("gemini", "gemini")])
async def test_a_library_that_is_missing_is_named_with_its_extra(monkeypatch, ask_of, keys, kind, extra):
    where, _ = adapters.ADAPTERS[kind]
    monkeypatch.delitem(sys.modules, where.partition(":")[0], raising=False)
    for library in ("openai", "anthropic", "pydantic_ai.models.google"):
        monkeypatch.setitem(sys.modules, library, None)
    client = adapters.client_of(Provider(id="house", type=kind, credential="key"), keys())
    with pytest.raises(Failure, match=rf"pip install 'clew\[{extra}\]'") as failure:
        await client.ask("m", ask_of())
    assert failure.value.code == "no_adapter"
    await client.close()


def test_every_type_but_offline_has_an_adapter():
    assert set(adapters.ADAPTERS) | {"offline"} == set(Provider.__annotations__["type"].__args__)
