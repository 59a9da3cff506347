"""What is particular to asking in order; the gateway's tests show the rest of it with models."""

import pytest

from clew.core.errors import Failure
from clew.gate.ports.embedding import Embedded
from clew.models.catalog import Catalog, Provider
from clew.models.chain import ROUNDS, Call, Chain
from clew.testing import ManualClock

CATALOG = Catalog({name: Provider(id=name, type="openai_compatible") for name in "ab"}, {})
ANSWER = Embedded(vectors=())


def call():
    return Call("r:t/n#1/1", "model 'any'", ("a/m", "b/m"))


async def test_the_first_that_answers():
    one, chain = call(), Chain(CATALOG, ManualClock(auto=True))

    async def ask(name):
        if name == "a/m":
            raise Failure("down", code="provider_error")
        return ANSWER

    assert await chain.first(one, ask) is ANSWER
    assert [(entry["deployment"], entry["code"]) for entry in one.tries] == [("a/m", "provider_error"), ("b/m", "ok")]


async def test_nobody_answers():
    one, asked = call(), []

    async def ask(name):
        asked.append(name)
        raise ValueError("a bug") if name == "b/m" else Failure("down", code="provider_timeout")

    assert await Chain(CATALOG, ManualClock(auto=True)).first(one, ask) is None
    assert (asked.count("a/m"), asked.count("b/m")) == (ROUNDS, 1)
    failure = one.failure()
    assert failure.code == "model_unavailable"
    assert "b/m: adapter_error" in str(failure)
    assert one.waited > 0


async def test_what_cancels_it_leaves_the_deployment_as_it_was():
    chain = Chain(CATALOG, ManualClock(auto=True))

    async def cancelled(name):
        raise KeyboardInterrupt

    async def answered(name):
        return ANSWER

    with pytest.raises(KeyboardInterrupt):
        await chain.first(call(), cancelled)
    assert await chain.first(call(), answered) is ANSWER
