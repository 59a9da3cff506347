"""The projection of costs: exact sums, what is not known said so, nonsense kept from overflowing."""

import random
from decimal import Decimal

import pytest

from clew.core.events import EffectFinished, Event
from clew.gate.ports.journal import Append
from clew.gate.ports.model import Usage
from clew.models.catalog import Provider
from clew.models.price import Pricer
from clew.stores.costs import DAY_MS, MOST_TOKENS, Costs
from clew.stores.memory.journal import MemoryJournal
from clew.stores.money import from_pico

NOW = 1_768_500_000_000


@pytest.fixture(params=["memory", "sqlite"])
async def journal(request, opened, clock):
    if request.param == "sqlite":
        yield opened(projections=[Costs()])
        return
    journal = MemoryJournal(projections=[Costs()], clock=clock)
    yield journal
    await journal.close()


def call(n, at=NOW, **fields):
    said = {"kind": "model", "name": "fast", "digest": "d", "task": "0", "node": "a", "agent": "writer", "by": "main/x"}
    return Event(EffectFinished(key=f"0/a#1/t{n}", **{**said, **fields}), {"output": 1}, at)


async def add(journal, story, *events):
    await journal.append(story.start())
    await journal.append(Append(run="r1", expected=1, events=events, epoch=1, state="running"))
    return await journal.rows("costs")


USAGE = {"input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 4, "cache_write_tokens": 2, "reasoning_tokens": 3}


async def test_calls_of_one_group_are_added_up(journal, story):
    rows = await add(journal, story, *(call(n, cost="0.25", usage=USAGE) for n in range(3)))
    assert rows == [
        {
            "run": "r1", "day": NOW // DAY_MS, "node": "a", "agent": "writer", "kind": "model", "name": "fast", "by": "main/x",
            "calls": 3, "reused": 0, "unpriced": 0, "cost": 750_000_000_000,
            "input_tokens": 30, "output_tokens": 15, "cache_read_tokens": 12, "cache_write_tokens": 6, "reasoning_tokens": 9,
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [{"node": "b"}, {"agent": ""}, {"name": "strong"}, {"by": "main/y"}, {"kind": "tool"}, {"at": NOW + DAY_MS}],
    ids=str,
)
async def test_groups_are_kept_apart(journal, story, other):
    rows = await add(journal, story, call(1, cost="1"), call(2, **{"cost": "2", **other}))
    assert [row["cost"] for row in rows] == [10**12, 2 * 10**12]


async def test_an_unknown_price_is_counted_and_not_summed(journal, story):
    (row,) = await add(journal, story, call(1, usage=USAGE), call(2, usage={}), call(3, cost="0.5", usage=USAGE))
    assert (row["calls"], row["unpriced"], row["cost"], row["input_tokens"]) == (3, 2, 5 * 10**11, 20)


async def test_an_answer_from_the_cache_is_a_call_that_cost_nothing(journal, story):
    (row,) = await add(journal, story, call(1, cost="0.5", usage=USAGE), call(2, cost="0", tries=0))
    assert (row["calls"], row["reused"], row["unpriced"], row["cost"]) == (2, 1, 0, 5 * 10**11)


async def test_what_costs_and_uses_nothing_is_not_listed(journal, story):
    assert await add(journal, story, call(1), call(2, kind="tool")) == []


async def test_costs_outlive_the_erasure_of_payloads(journal, story):
    before = await add(journal, story, call(1, cost="0.5", usage=USAGE))
    await journal.append(story.finish(2))
    assert await journal.erase("r1") > 0
    assert await journal.rows("costs") == before


async def test_nonsense_about_tokens_is_bounded(journal, story):
    wild = {"input_tokens": 10**30, "output_tokens": -5, "strange": 7}
    (row,) = await add(journal, story, *(call(n, usage=wild) for n in range(3)))
    assert (row["input_tokens"], row["output_tokens"]) == (3 * MOST_TOKENS, 0)


@pytest.mark.parametrize(
    "provider",
    [
        (Provider(id="main", type="openai"), "gpt-5-mini"),
        (Provider(id="c", type="anthropic"), "claude-haiku-4-5"),
        (
            Provider(id="or", type="openai_compatible", base_url="https://openrouter.ai/api/v1"),
            "google/gemini-2.5-flash",
        ),
    ],
    ids=lambda p: p[1],
)
async def test_ten_thousand_calls_sum_exactly(journal, story, provider):
    """Priced, journaled and summed as integers: equal to the sum of exact decimals.

    One list price of a cache write has 16 decimals: each call is then rounded to the picodollar, at most half of one off."""
    chance, pricer, exact, events = random.Random(11), Pricer(), Decimal(0), []
    for n in range(10_000):
        parts = [chance.randint(0, 3_000) for _ in range(3)]
        usage = Usage(
            input_tokens=sum(parts) + 1,
            output_tokens=chance.randint(0, 900),
            cache_read_tokens=parts[0],
            cache_write_tokens=parts[1],
        )
        cost = pricer(*provider, usage, NOW).cost
        exact += Decimal(cost)
        events.append(call(n, cost=cost, usage={"input_tokens": usage.input_tokens}))
    (row,) = await add(journal, story, *events)
    summed = Decimal(from_pico(row["cost"]))
    assert row["calls"] == 10_000
    if provider[0].id == "or":
        assert abs(summed - exact) <= 10_000 * Decimal("5e-13")
    else:
        assert summed == exact
    assert (await journal.row("r1")).cost == from_pico(row["cost"]), "the run list says the same"
