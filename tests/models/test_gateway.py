import asyncio
import importlib.util
import json
import logging
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from clew.core.errors import Failure
from clew.gate.door import Door
from clew.gate.effect import Effect
from clew.gate.ports.model import FAULTS, Answered, Message, ModelAnswer, ModelRequest, RateLimit, Text, Usage
from clew.models import price as module
from clew.models.catalog import Catalog, Choice, Logical, Prices, Provider, Rule
from clew.models.chain import BACKOFF_MS, PATIENCE_MS, ROUNDS
from clew.models.gateway import Gateway
from clew.models.price import Pricer
from clew.testing import ManualClock, MemoryRecord
from clew.testing.clock import settle

AGAIN = [code for code, again in FAULTS.items() if again]
NEVER = [code for code, again in FAULTS.items() if not again]


class Client:
    """Answers by script: a fault's code, a Failure or another exception, words, or an ``Answered``; the last for ever."""

    def __init__(self, *script) -> None:
        self.script = list(script)
        self.asked: list[tuple[str, ModelRequest]] = []
        self.closed = False

    async def ask(self, model, request, emit=None):
        self.asked.append((model, request))
        said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if callable(said):
            said = await said()
        if emit is not None:
            emit("text", said if isinstance(said, str) else "…")
        if isinstance(said, Exception):
            raise said
        if said in FAULTS:
            raise Failure(f"it was {said}", code=said)
        return said if isinstance(said, Answered) else answered(said)

    async def close(self) -> None:
        self.closed = True


class Stage:
    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.listening = False

    def wanted(self, run) -> bool:
        return self.listening

    def send(self, chunk) -> None:
        self.heard.append((chunk.kind, chunk.text))


class World:
    """A gateway over providers a, b, c with scripted clients, on a clock that runs by itself."""

    def __init__(self, *models: Logical, auto: bool = True, failures: int = 3, **clients: Client) -> None:
        self.clock = ManualClock(auto=auto)
        self.clients, self.stage = clients, Stage()
        prices = Prices(input="1", output="2")
        self.providers = {
            name: Provider(id=name, type="openai_compatible", prices=prices, failures=failures) for name in clients
        }
        self.models = {model.name: model for model in models}
        self.models.setdefault("any", Logical(name="any", use=tuple(Choice(f"{name}/m") for name in clients)))
        self.made: list[str] = []
        self.gateway = Gateway(
            Catalog(self.providers, self.models), self._make, clock=self.clock, streams=self.stage, price=Pricer()
        )

    def _make(self, provider: Provider) -> Client:
        self.made.append(provider.id)
        return self.clients[provider.id]

    async def ask(self, model: str = "any", key: str = "t/n#1/1", **fields):
        return await self.gateway.perform(effect(model, key, **fields))

    def counts(self) -> dict[str, int]:
        return {name: len(client.asked) for name, client in self.clients.items()}


def effect(model: str = "any", key: str = "t/n#1/1", *, text: str = "hi", **fields) -> Effect:
    request = ModelRequest(model=model, messages=(Message("user", (Text(text),)),), **fields)
    return Effect(
        key=key, kind="model", name=model, request=msgspec.to_builtins(request), task="t", node="n", run="r", repeat_safe=True
    )  # fmt: skip


def answered(text: str = "yes", limit: RateLimit | None = None) -> Answered:
    usage = Usage(input_tokens=1000, output_tokens=500, reasoning_tokens=100)
    return Answered(answer=ModelAnswer(parts=(Text(text),), model="m-1"), usage=usage, limit=limit)


def tried(outcome) -> list[tuple[str, str]]:
    return [(entry["deployment"], entry["code"]) for entry in outcome.notes["gateway"]["tries"]]


# -- an answer -------------------------------------------------------------------------------------------------


async def test_an_answer_with_what_it_cost_and_why():
    world = World(a=Client("yes"), b=Client("no"))
    outcome = await world.ask(parameters={"temperature": 0})
    assert outcome.status == "ok"
    assert outcome.output == {"parts": [{"type": "text", "content": "yes"}], "model": "m-1"}
    assert outcome.usage == {
        "input_tokens": 1000, "output_tokens": 500, "cache_read_tokens": 0, "cache_write_tokens": 0, "reasoning_tokens": 100,
    }  # fmt: skip
    assert Decimal(outcome.cost) == Decimal("0.002")
    assert (outcome.by, outcome.tries) == ("a/m", 1)
    assert outcome.notes == {
        "gateway": {
            "model": "any",
            "why": ["any: a/m is declared first"],
            "tries": [{"deployment": "a/m", "code": "ok", "ms": 0}],
            "chosen": "a/m",
            "price": {"cost": outcome.cost, "source": "declared"},
        }
    }
    [(model, request)] = world.clients["a"].asked
    assert (model, request.model, request.parameters) == ("m", "any", {"temperature": 0})
    json.dumps(msgspec.to_builtins(outcome))


async def test_a_rule_notes_complexity_and_kind():
    rules = Logical(name="auto", route=(Rule(use="b/l", complexity="complex"), Rule(use="a/s")))
    world = World(rules, a=Client("yes"), b=Client("no"))
    notes = (await world.ask("auto", text="Prove that 2 is prime")).notes["gateway"]
    assert (notes["complexity"], notes["kind"], notes["chosen"]) == ("complex", "math", "b/l")
    assert notes["why"] == ["auto: rule 1 (complexity complex) chose b/l"]


async def test_a_client_is_made_once_and_closed():
    world = World(a=Client("yes"), b=Client("no"))
    for n in range(3):
        await world.ask(key=f"k{n}")
    await world.ask("b/other")
    await world.gateway.close()
    await world.gateway.close()
    assert world.made == ["a", "b"]
    assert all(client.closed for client in world.clients.values())


async def test_through_the_door_the_recorded_outcome_is_the_same():
    world = World(a=Client("provider_error"), b=Client("yes"))
    record = MemoryRecord()
    outcome = await Door(record, (), {"model": world.gateway}).perform(effect())
    again = await Door(record, (), {}).perform(effect())
    assert again == outcome
    assert (again.by, again.tries, again.cost) == ("b/m", 2, "0.002")
    assert again.notes["gateway"]["chosen"] == "b/m"


# -- other tries -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", FAULTS)
async def test_each_fault_goes_on_to_the_next_deployment(code):
    world = World(a=Client(code), b=Client("yes"))
    outcome = await world.ask()
    assert (outcome.by, outcome.tries) == ("b/m", 2)
    assert tried(outcome) == [("a/m", code), ("b/m", "ok")]


@pytest.mark.parametrize("code", AGAIN)
async def test_a_passing_fault_is_tried_again_after_a_wait(code):
    world = World(a=Client(code, code, "yes"))
    began = world.clock.now()
    outcome = await world.ask()
    assert outcome.status == "ok"
    assert tried(outcome) == [("a/m", code), ("a/m", code), ("a/m", "ok")]
    waits = [entry.get("waited_ms", 0) for entry in outcome.notes["gateway"]["tries"]]
    assert waits[0] == 0
    assert BACKOFF_MS / 2 <= waits[1] <= 2 * BACKOFF_MS
    assert BACKOFF_MS <= waits[2] <= 4 * BACKOFF_MS
    assert world.clock.now() - began == sum(waits)


async def test_waits_are_the_calls_own_and_always_the_same():
    async def waits(key: str) -> list[int]:
        world = World(a=Client("provider_error", "provider_error", "yes"))
        tries = (await world.ask(key=key)).notes["gateway"]["tries"]
        return [entry.get("waited_ms", 0) for entry in tries]

    assert await waits("x") == await waits("x")
    assert len({tuple(await waits(f"k{n}")) for n in range(8)}) == 8


@pytest.mark.parametrize("code", NEVER)
async def test_a_lasting_fault_is_not_asked_again_and_keeps_its_code(code):
    hint = Failure("it is so", code=code, details={"field": "x"}, hint="mend it")
    world = World(a=Client(hint))
    outcome = await world.ask()
    assert outcome.status == "error"
    assert outcome.error["code"] == code
    assert outcome.error["message"] == "it is so (mend it)"
    assert outcome.error["details"]["field"] == "x"
    assert outcome.error["details"]["tries"] == [{"deployment": "a/m", "code": code, "ms": 0}]
    assert (outcome.tries, outcome.by, outcome.cost) == (1, "", "")


async def test_where_nobody_answers_every_try_is_named():
    world = World(a=Client("unauthorised"), b=Client("provider_error"), c=Client("context_too_long"), failures=9)
    outcome = await world.ask()
    assert outcome.error["code"] == "model_unavailable"
    order = [("a/m", "unauthorised"), ("b/m", "provider_error"), ("c/m", "context_too_long")]
    assert tried(outcome) == order + [("b/m", "provider_error")] * (ROUNDS - 1)
    assert outcome.error["details"]["tries"] == outcome.notes["gateway"]["tries"]
    assert outcome.tries == 5
    assert "chosen" not in outcome.notes["gateway"]
    message = outcome.error["message"]
    assert message.startswith("no answer from model 'any' after 5 tries: ")
    for part in ("a/m: unauthorised (it was unauthorised)", "b/m: provider_error", "c/m: context_too_long"):
        assert part in message


async def test_agreement_on_a_passing_fault_is_unavailable_all_the_same():
    outcome = await World(a=Client("provider_timeout"), failures=9).ask()
    assert outcome.error["code"] == "model_unavailable"


async def test_a_long_message_of_a_provider_is_cut():
    outcome = await World(
        a=Client(Failure("x" * 10_000, code="provider_error")), b=Client("unauthorised"), failures=9
    ).ask()
    assert len(outcome.error["message"]) < 1000


async def test_a_bug_of_a_client_costs_only_its_own_answer():
    world = World(a=Client(ZeroDivisionError("oops")), b=Client("yes"))
    assert tried(await world.ask()) == [("a/m", "adapter_error"), ("b/m", "ok")]
    outcome = await World(a=Client(ZeroDivisionError("oops"))).ask()
    assert outcome.error["code"] == "adapter_error"
    assert "ZeroDivisionError: oops" in outcome.error["message"]


async def test_a_client_that_cannot_be_made_is_a_try_too():
    world = World(a=Client("yes"), b=Client("yes"))
    make = world.gateway._make

    def refuse(provider):
        if provider.id == "a":
            raise Failure("no key", code="no_credential")
        return make(provider)

    world.gateway._make = refuse
    assert tried(await world.ask()) == [("a/m", "no_credential"), ("b/m", "ok")]


async def test_the_requests_own_fallbacks_come_last():
    world = World(a=Client("unauthorised"), b=Client("provider_error"), c=Client("yes"), failures=9)
    assert tried(await world.ask("a/x", fallbacks=("b/y", "c/z"))) == [
        ("a/x", "unauthorised"), ("b/y", "provider_error"), ("c/z", "ok"),
    ]  # fmt: skip


# -- nobody to ask ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_", [None, 7, {}, {"model": "any", "messages": [{"role": "user", "content": "hi"}]}])
async def test_what_is_no_request_is_refused(request_):
    world = World(a=Client("yes"))
    broken = msgspec.structs.replace(effect(), request=request_)
    with pytest.raises(Failure, match="no model request") as caught:
        await world.gateway.perform(broken)
    assert caught.value.code == "invalid_request"


async def test_unknown_models_and_circles_are_refused():
    world = World(Logical(name="x", use=(Choice("x"),)), a=Client("yes"))
    for model, code in (("smart", "unknown_model"), ("x", "model_cycle")):
        with pytest.raises(Failure) as caught:
            await world.ask(model)
        assert caught.value.code == code


# -- health ----------------------------------------------------------------------------------------------------


async def test_a_deployment_that_cools_down_is_passed_over():
    world = World(a=Client("provider_error"), b=Client("yes"))
    for n in range(3):
        await world.ask(key=f"k{n}")
    outcome = await world.ask(key="k3")
    assert world.counts() == {"a": 3, "b": 4}
    assert outcome.notes["gateway"]["passed_over"] == {"a/m": "cooling_down"}
    world.clock.advance(30_000)
    world.clients["a"].script = ["yes"]
    assert (await world.ask(key="k4")).by == "a/m", "half open: a probe"
    assert (await world.ask(key="k5")).by == "a/m", "closed"


async def test_one_probe_at_a_time():
    world = World(a=Client("provider_error"), b=Client("yes"), auto=False)
    for n in range(3):
        await world.ask(key=f"k{n}")
    world.clock.advance(30_000)
    hold = asyncio.Event()

    async def held() -> str:
        await hold.wait()
        return "yes"

    world.clients["a"].script = [held]
    work = [asyncio.ensure_future(world.ask(key=f"p{n}")) for n in range(20)]
    await settle()
    assert world.counts() == {"a": 4, "b": 22}
    hold.set()
    by = [outcome.by for outcome in await asyncio.gather(*work)]
    assert by == ["a/m"] + ["b/m"] * 19


async def test_a_cancelled_probe_leaves_its_place():
    world = World(a=Client("provider_error"), b=Client("yes"), auto=False)
    for n in range(3):
        await world.ask(key=f"k{n}")
    world.clock.advance(30_000)
    world.clients["a"].script = [asyncio.Event().wait, "yes"]
    probe = asyncio.ensure_future(world.ask(key="probe"))
    await settle()
    assert (await world.ask(key="k4")).by == "b/m"
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    assert (await world.ask(key="k5")).by == "a/m"


async def test_a_last_resort_is_not_waited_for_in_full():
    world = World(a=Client("provider_error", "provider_error", "provider_error", "yes"))
    outcome = await world.ask()
    assert outcome.error["code"] == "model_unavailable"
    began = world.clock.now()
    outcome = await world.ask(key="next")
    assert outcome.status == "ok"
    assert outcome.notes["gateway"]["passed_over"] == {"a/m": "cooling_down"}
    assert 0 < outcome.notes["gateway"]["tries"][0]["waited_ms"] == world.clock.now() - began < 2000


async def test_retry_after_is_heeded_and_others_asked_meanwhile():
    limited = Failure("slow down", code="rate_limited", details={"retry_after_ms": 5000})
    world = World(a=Client(limited, "yes"), b=Client("no"))
    assert tried(await world.ask()) == [("a/m", "rate_limited"), ("b/m", "ok")]
    outcome = await world.ask(key="second")
    assert (outcome.by, outcome.notes["gateway"]["passed_over"]) == ("b/m", {"a/m": "rate_limited"})
    world.clock.advance(5000)
    assert (await world.ask(key="third")).by == "a/m"


@pytest.mark.parametrize("names", ["a", "ab"])
async def test_all_tries_together_are_within_their_time(names):
    world = World(**{name: Client("rate_limited") for name in names})

    async def slow():
        await world.clock.passes(4000)
        return "provider_timeout"

    for client in world.clients.values():
        client.script = [slow]
    began = world.clock.now()
    outcome = await world.ask(parameters={"within": 6, "timeout": 5})
    assert outcome.error["code"] == "model_unavailable"
    assert 6000 <= world.clock.now() - began < 10_000, "the clients here do not heed what they are told"
    told = [request.parameters["timeout"] for client in world.clients.values() for _, request in client.asked]
    assert (max(told), len(told)) == (5, 2)
    assert min(told) <= 2
    for odd in (True, "6", 0, -1, float("inf")):
        world = World(a=Client("yes"))
        await world.ask(parameters={"within": odd})
        assert "timeout" not in world.clients["a"].asked[0][1].parameters


async def test_nobody_waits_beyond_the_time_of_all_tries():
    limited = Failure("slow down", code="rate_limited", details={"retry_after_ms": 20_000})
    world = World(a=Client(limited))
    began = world.clock.now()
    assert (await world.ask(parameters={"within": 15})).error["code"] == "model_unavailable"
    assert world.clock.now() == began


async def test_the_soonest_ready_is_waited_for():
    def limited(ms: int) -> Failure:
        return Failure("slow down", code="rate_limited", details={"retry_after_ms": ms})

    world = World(a=Client(limited(20_000), "late"), b=Client(limited(4000), "yes"))
    outcome = await world.ask()
    assert (outcome.by, outcome.notes["gateway"]["tries"][-1]["waited_ms"]) == ("b/m", 4000)


async def test_nothing_is_sent_where_the_provider_said_none_is_left():
    spent = answered("yes", RateLimit(remaining_requests=0, reset_requests_ms=9000))
    world = World(a=Client(spent, "again"), b=Client("no"))
    assert [(await world.ask(key=f"k{n}")).by for n in range(3)] == ["a/m", "b/m", "b/m"]
    world.clock.advance(9000)
    assert (await world.ask(key="later")).by == "a/m"


async def test_patience_ends_at_once_where_waiting_is_in_vain():
    limited = Failure("quota", code="rate_limited", details={"retry_after_ms": PATIENCE_MS + 1})
    world = World(a=Client(limited))
    began = world.clock.now()
    outcome = await world.ask()
    assert (outcome.error["code"], outcome.tries, world.clock.now()) == ("model_unavailable", 1, began)
    assert "the next try would be 60.001 s away" in outcome.error["message"]
    untried = await world.ask(key="second")
    assert (untried.error["code"], untried.tries) == ("model_unavailable", 0)
    assert "after 0 tries: a/m: rate limited" in untried.error["message"]


async def test_all_waiting_together_is_bounded():
    limited = Failure("slow down", code="rate_limited", details={"retry_after_ms": 25_000})
    world = World(a=Client(limited), b=Client(limited))
    began = world.clock.now()
    outcome = await world.ask()
    assert outcome.error["code"] == "model_unavailable"
    assert world.clock.now() - began <= PATIENCE_MS
    assert outcome.tries <= 2 * ROUNDS


# -- streams, cancelling, prices -------------------------------------------------------------------------------


async def test_words_of_a_failed_try_are_taken_back():
    world = World(a=Client("bad_answer"), b=Client("yes"))
    world.stage.listening = True
    await world.ask()
    assert world.stage.heard == [("reset", ""), ("text", "bad_answer"), ("reset", ""), ("text", "yes"), ("end", "")]


async def test_a_failed_call_leaves_no_words():
    world = World(a=Client("invalid_request"))
    world.stage.listening = True
    await world.ask()
    assert world.stage.heard == [("reset", ""), ("text", "invalid_request"), ("reset", ""), ("end", "")]


@pytest.mark.parametrize("script", [[asyncio.Event().wait], ["provider_error"]], ids=["asking", "waiting"])
async def test_cancelling_ends_the_call_wherever_it_is(script):
    world = World(a=Client(*script), auto=False)
    world.stage.listening = True
    call = asyncio.ensure_future(world.ask())
    await settle()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert world.clock.pending == []
    assert world.stage.heard[0] == ("reset", "")
    assert world.stage.heard[-1] == ("end", "")


async def test_an_unknown_price_is_said_once_in_the_log_and_each_time_in_the_notes(caplog, monkeypatch):
    monkeypatch.setattr(module, "_warned", set())
    world = World(a=Client("yes"))
    world.providers["a"] = msgspec.structs.replace(world.providers["a"], prices=None)
    with caplog.at_level(logging.WARNING, "clew.models"):
        outcomes = [await world.ask(key=f"k{n}") for n in range(3)]
    assert [outcome.cost for outcome in outcomes] == ["", "", ""]
    assert all("is not known" in outcome.notes["gateway"]["price"]["warning"] for outcome in outcomes)
    assert len(caplog.records) == 1


async def test_balance_looks_up_prices_once():
    balanced = Logical(name="even", use=(Choice("a/m"), Choice("b/m"), Choice("c/m")), strategy="balance")
    world = World(balanced, a=Client("provider_error"), b=Client("provider_error"), c=Client("yes"))
    world.providers["b"] = msgspec.structs.replace(world.providers["b"], prices=Prices(input="9", output="9"))
    for n in range(30):
        outcome = await world.ask("even", key=f"k{n}")
        assert outcome.by == "c/m"
        order = [name for name, _ in tried(outcome)]
        assert order[1:] != ["b/m", "a/m"], "the dear one is the last resort"
        world.clock.advance(60_000)
    assert set(world.gateway._prices) == {"a/m", "b/m", "c/m"}


# -- many ------------------------------------------------------------------------------------------------------


def bench():
    path = Path(__file__).parents[2] / "bench" / "gateway.py"
    spec = importlib.util.spec_from_file_location("bench_gateway", path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.mark.parametrize("strategy", ["fallback", "balance"])
async def test_a_storm_of_faults_loses_nothing(strategy):
    report = await bench().storm(requests=10_000, concurrency=100, seed=7, strategy=strategy)
    assert report["lost"] == report["misplaced"] == 0
    assert report["success"] >= 0.999
    assert report["tries_made"] == report["tries_noted"]
    assert report["added_ms"]["p99"] < 5000


async def test_any_number_at_once():
    report = await bench().storm(requests=5000, concurrency=5000, seed=3)
    assert (report["lost"], report["misplaced"]) == (0, 0)
    assert report["success"] >= 0.999


async def test_a_fault_in_the_price_list_loses_no_answer():
    def broken(*_):
        raise OverflowError("year 318857 is out of range")

    world = World(a=Client(answered()))
    gateway = Gateway(
        Catalog(world.providers, world.models), world._make, clock=world.clock, streams=world.stage, price=broken
    )
    outcome = await gateway.perform(effect())
    assert (outcome.status, outcome.cost) == ("ok", "")
    assert "OverflowError" in outcome.notes["gateway"]["price"]["warning"]
