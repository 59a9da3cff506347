"""Choosing from a pool by what is recorded."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.core.errors import Failure
from clew.core.events import EffectFinished, Event, NodeCompleted, NodeFailed, Principal, RunStarted
from clew.gate.door import Door
from clew.gate.effect import Effect
from clew.gate.ports.journal import Append
from clew.stores.fitness import Tally
from clew.stores.selection import WINDOW, Selector, choose
from clew.testing import MemoryRecord


def effect(request, run="now", key="0/write#1/select"):
    return Effect(
        key=key, kind="selection", name="writers", request=request, task="0", node="write", run=run, repeat_safe=True
    )


def share(tallies, draws=300):
    """How often each agent is chosen over many keys."""
    chosen = [choose(tuple(tallies), tallies, f"r:{n}")["agent"] for n in range(draws)]
    return {agent: chosen.count(agent) / draws for agent in tallies}


def test_the_better_one_is_chosen_nearly_always_and_the_worse_one_never_quite_forgotten():
    shares = share({"good": Tally(ok=90, failed=10), "bad": Tally(ok=40, failed=60)})
    assert shares["good"] == 1
    young = share({"good": Tally(ok=4, failed=1), "bad": Tally(ok=2, failed=3)})
    assert 0.75 < young["good"] < 1


def test_one_of_which_nothing_is_known_is_tried():
    shares = share({"known": Tally(ok=60, failed=40), "new": Tally()})
    assert 0.2 < shares["new"] < 0.6


def test_choices_made_side_by_side_do_not_all_fall_on_one():
    shares = share({"a": Tally(), "b": Tally(), "c": Tally()}, 60)
    assert min(shares.values()) > 0.1


def test_cost_and_latency_decide_between_equals():
    equals = {
        "dear": Tally(ok=900, failed=100, cost=2_000, ms=1_000),
        "cheap": Tally(ok=900, failed=100, cost=1_000, ms=1_000),
    }
    assert share(equals)["cheap"] > 0.95
    times = {"slow": Tally(ok=900, failed=100, ms=2_000), "quick": Tally(ok=900, failed=100, ms=1_000)}
    assert share(times)["quick"] > 0.95


def test_success_outweighs_cost_and_latency():
    tallies = {
        "good": Tally(ok=950, failed=50, cost=9_000, ms=9_000),
        "bad": Tally(ok=600, failed=400, cost=1, ms=1),
    }
    assert share(tallies)["good"] == 1


def test_a_price_that_nobody_knows_is_not_cheap():
    tallies = {
        "dear": Tally(ok=900, failed=100, cost=2_000_000_000_000),
        "unpriced": Tally(ok=900, failed=100, cost=0, unpriced=3),
    }
    assert 0.3 < share(tallies)["dear"] < 0.7
    made = choose(("dear", "unpriced"), tallies, "k")
    assert "not every price is known" in made["why"]
    assert (made["scores"]["dear"]["cost"], made["scores"]["unpriced"]["cost"]) == ("0.002", "")


def test_what_is_said_of_each():
    made = choose(("a", "b"), {"a": Tally(ok=3, failed=1, cost=4_000_000_000, ms=40), "b": Tally()}, "r:k")
    assert made["scores"]["a"] | {"score": 0} == {
        "score": 0,
        "success": 0.75,
        "latency_ms": 10,
        "cost": "0.001",
        "bodies": 4,
    }
    assert made["scores"]["b"] | {"score": 0} == {
        "score": 0,
        "success": None,
        "latency_ms": 0,
        "cost": "0",
        "bodies": 0,
    }
    assert made["agent"] in made["why"]
    assert choose(("a",), {"a": Tally()}, "r:k")["why"].endswith("(nothing is recorded of it yet)")


TALLY = st.builds(
    Tally, ok=st.integers(0, 300), failed=st.integers(0, 300), cost=st.integers(0, 10**15), ms=st.integers(0, 10**9)
)


@given(st.lists(TALLY, min_size=1, max_size=6), st.text())
def test_a_choice_is_of_the_pool_has_the_highest_score_and_is_the_same_again(tallies, key):
    pool = tuple(f"a{n}" for n in range(len(tallies)))
    known = dict(zip(pool, tallies, strict=True))
    made = choose(pool, known, key)
    scores = {agent: entry["score"] for agent, entry in made["scores"].items()}
    assert scores[made["agent"]] == max(scores.values())
    assert all(0 <= score <= 1 for score in scores.values())
    assert choose(pool, known, key) == made
    assert msgspec.json.decode(msgspec.json.encode(made)) == made


# -- the driver ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def past(journal):
    """``await past("a", ok, failed)``: a run in which the agent ended so many bodies."""
    runs = iter(range(1000))

    async def go(agent, ok=0, failed=0, *, model="fast", tenant="local", workflow="w", late_ok=0, run=None):
        name = run or f"p{next(runs)}"
        origin = RunStarted(run=name, workflow=workflow, plan="p", start="s", principal=Principal(tenant=tenant))
        facts = [origin]
        for n, well in enumerate([True] * ok + [False] * failed + [True] * late_ok):
            task = f"0.{n}"
            facts.append(
                EffectFinished(
                    key=f"{task}/n#1/t1",
                    kind="model",
                    name=model,
                    digest="",
                    task=task,
                    node="n",
                    agent=agent,
                    by="m/x",
                )
            )
            ended = NodeCompleted if well else NodeFailed
            facts.append(ended(task=task, node="n", attempt=1, **({} if well else {"code": "invalid_output"})))
        events = [Event(fact, None, 1) for fact in facts]
        await journal.append(Append(run=name, expected=0, events=events, epoch=1, state="running"))

    return go


async def test_reads_this_workflow_this_tenant_and_this_model(journal, past):
    await past("now", run="now")
    await past("a", 3, 1)
    await past("a", 5, 0)
    await past("a", 7, 0, model="strong")
    await past("a", 9, 0, tenant="acme")
    await past("a", 11, 0, workflow="other")
    await past("b", 1, 1)
    selector = Selector(journal)
    made = await selector.perform(effect({"pool": ["a", "b"], "models": {"a": "fast"}}))
    assert (made["scores"]["a"]["bodies"], made["scores"]["b"]["bodies"]) == (9, 2)
    made = await selector.perform(effect({"pool": ["a", "b"]}))
    assert made["scores"]["a"]["bodies"] == 16


async def test_only_the_last_ones_count(journal, past):
    await past("now", run="now")
    await past("a", 0, 50, late_ok=WINDOW)
    made = await Selector(journal).perform(effect({"pool": ["a"]}))
    assert (made["scores"]["a"]["success"], made["scores"]["a"]["bodies"]) == (1, WINDOW)


@pytest.mark.parametrize("request_", [None, {}, {"pool": []}, {"pool": "a"}, {"pool": ["a"], "models": 1}])
async def test_refuses_what_names_no_pool(journal, request_):
    with pytest.raises(Failure) as caught:
        await Selector(journal).perform(effect(request_))
    assert caught.value.code == "invalid_request"


async def test_the_choice_is_recorded_and_kept(journal, past):
    await past("now", run="now")
    record = MemoryRecord()
    door = Door(record, (), {"selection": Selector(journal)})
    asked = effect({"pool": ["a", "b"]})
    first = (await door.perform(asked)).value()
    await past("b" if first["agent"] == "a" else "a", 500, 0)
    assert (await door.perform(asked)).value() == first
    (event,) = record.events
    assert (event.fact.kind, event.fact.name, event.payload["output"]) == ("selection", "writers", first)
