import struct

import pytest

from clew.core.errors import Failure
from clew.gate.effect import Effect
from clew.gate.ports.embedding import Embedded, unpacked
from clew.gate.ports.model import Usage
from clew.models import price as module
from clew.models.catalog import Catalog, Prices, Provider
from clew.models.chain import ROUNDS
from clew.models.embedding import MOST_TEXTS, Embeddings
from clew.models.price import Pricer
from clew.testing import ManualClock

VECTOR = struct.pack("<2f", 0.25, -1)


class Client:
    """Answers by script: a Failure, or one vector a text; the last for ever."""

    def __init__(self, *script):
        self.script, self.asked, self.closed = list(script), [], False

    async def embed(self, model, request):
        self.asked.append((model, request.texts))
        said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(said, Exception):
            raise said
        return Embedded(vectors=(VECTOR,) * len(request.texts), model="small-1", usage=Usage(input_tokens=said))

    async def close(self):
        self.closed = True


def driver(client, prices=None):
    provider = Provider(id="p", type="openai_compatible", prices=prices)
    clock = ManualClock(auto=True)
    return Embeddings(Catalog({"p": provider}, {}), lambda _: client, clock=clock, price=Pricer())


def effect(request):
    return Effect(
        key="t/n#1/1/embedding", kind="embedding", name="p/small", request=request, task="t", node="n", run="r"
    )


async def test_what_is_recorded():
    client = Client(2000)
    embeddings = driver(client, Prices(input="0.02"))
    outcome = await embeddings.perform(effect({"model": "p/small", "texts": ["a", "b"]}))
    assert outcome.output == {"vectors": ["AACAPgAAgL8="] * 2, "dims": 2, "model": "small-1"}
    assert unpacked(outcome.output["vectors"][0]) == VECTOR
    assert (outcome.cost, outcome.by, outcome.usage["input_tokens"]) == ("0.00004", "p/small", 2000)
    assert outcome.notes["gateway"]["price"]["source"] == "declared"
    await embeddings.close()
    assert client.closed


async def test_a_price_that_is_not_known_is_not_zero(monkeypatch, caplog):
    monkeypatch.setattr(module, "_warned", set())
    embeddings = driver(Client(5))
    for _ in range(2):
        outcome = await embeddings.perform(effect({"model": "p/small", "texts": ["a"]}))
    assert outcome.cost == ""
    assert "prices" in outcome.notes["gateway"]["price"]["warning"]
    assert len(caplog.records) == 1


async def test_asked_again_as_models_are():
    limited = Failure("slow down", code="rate_limited", details={"retry_after_ms": 4000})
    client = Client(limited, Failure("oh", code="provider_error"), 5)
    outcome = await driver(client).perform(effect({"model": "p/small", "texts": ["a"]}))
    assert [entry["code"] for entry in outcome.notes["gateway"]["tries"]] == ["rate_limited", "provider_error", "ok"]
    assert outcome.notes["gateway"]["tries"][1]["waited_ms"] >= 4000
    assert outcome.tries == 3


async def test_a_failure_says_what_was_tried():
    client = Client(Failure("down", code="provider_error"))
    outcome = await driver(client).perform(effect({"model": "p/small", "texts": ["a"]}))
    assert outcome.error["code"] == "model_unavailable"
    assert "embedding model 'p/small' after 3 tries" in outcome.error["message"]
    assert len(client.asked) == ROUNDS
    refused = Client(Failure("no", code="unauthorised"))
    outcome = await driver(refused).perform(effect({"model": "p/small", "texts": ["a"]}))
    assert outcome.error["code"] == "unauthorised"
    assert len(refused.asked) == 1


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"model": "p/small"}, "invalid_request"),
        ({"model": "p/small", "texts": []}, "invalid_request"),
        ({"model": "p/small", "texts": [" "]}, "invalid_request"),
        ({"model": "p/small", "texts": ["a"] * (MOST_TEXTS + 1)}, "invalid_request"),
        ({"model": "q/small", "texts": ["a"]}, "unknown_model"),
        ({"model": "small", "texts": ["a"]}, "unknown_model"),
    ],
)
async def test_what_cannot_be_asked(request_, code):
    client = Client(1)
    with pytest.raises(Failure) as failure:
        await driver(client).perform(effect(request_))
    assert failure.value.code == code
    assert client.asked == []
