"""What counts for an agent, and what does not."""

import pytest

from clew.core.events import EffectFinished, NodeCompleted, NodeFailed, NodeStopped, Noted, Principal, RunStarted
from clew.gate.ports.journal import Append
from clew.stores.fitness import NOT_THE_AGENTS, Tally, body_of
from clew.stores.memory.journal import MemoryJournal
from clew.stores.projections import shipped


def call(n=1, kind="model", *, body="0/write#1", agent="a", **fields):
    task, _, rest = body.partition("/")
    name = fields.pop("name", "fast" if kind == "model" else "search")
    return EffectFinished(
        key=f"{body}/t{n}",
        kind=kind,
        name=name,
        digest="d",
        task=task,
        node=rest.partition("#")[0],
        agent=agent,
        **fields,
    )


DONE = NodeCompleted(task="0", node="write", attempt=1)


@pytest.fixture
async def rows(story, journal):
    """``await rows(*facts)``: the projection of a run of these facts."""

    async def go(*facts, run="r1"):
        await journal.append(story.start(run))
        await journal.append(story.facts(1, *facts, run=run))
        return await journal.rows("fitness", {"run": run})

    return go


async def test_a_body_is_one_row_with_what_it_took(rows):
    usage = {"input_tokens": 100, "output_tokens": 10, "reasoning_tokens": 4}
    (row,) = await rows(
        call(1, by="main/big", ms=30, cost="0.02", usage=usage),
        call(2, "tool", ms=5, by="somebody"),
        call(3, by="house/small", ms=20, cost="0.003", usage=usage),
        DONE,
    )
    assert row["key"] == "0/write#1"
    assert (row["workflow"], row["tenant"], row["agent"]) == ("w", "local", "a")
    assert (row["model"], row["deployment"], row["state"], row["code"]) == ("fast", "house/small", "ok", "")
    assert (row["ms"], row["cost"], row["tokens"], row["unpriced"]) == (55, 23_000_000_000, 220, 0)


async def test_a_price_that_nobody_knows_is_not_nothing(rows):
    (row,) = await rows(call(usage={"input_tokens": 9}), DONE)
    assert (row["cost"], row["unpriced"]) == (0, 1)
    (free,) = await rows(call(usage={"input_tokens": 9}, cost="0"), DONE, run="r2")
    assert free["unpriced"] == 0


async def test_failed_calls_count_what_they_took_and_the_body_ends_as_it_ends(rows):
    (row,) = await rows(call(1, status="error", ms=900), call(2, ms=10), DONE)
    assert (row["state"], row["ms"]) == ("ok", 910)


@pytest.mark.parametrize(
    ("fact", "state"),
    [
        (DONE, "ok"),
        (NodeFailed(task="0", node="write", attempt=1, code="invalid_output"), "failed"),
        (NodeFailed(task="0", node="write", attempt=1, code="timeout"), "failed"),
        (NodeFailed(task="0", node="write", attempt=1, code="limit_cost"), "failed"),
        (NodeFailed(task="0", node="write", attempt=1, code="provider_unreachable"), "failed"),
        (NodeStopped(task="0", node="write", attempt=1), "void"),
        *((NodeFailed(task="0", node="write", attempt=1, code=code), "void") for code in sorted(NOT_THE_AGENTS)),
    ],
)
async def test_how_a_body_ended(rows, fact, state):
    (row,) = await rows(call(), fact)
    assert row["state"] == state


async def test_other_attempts_tasks_and_bodies_without_an_agent_are_apart(rows):
    found = await rows(
        call(agent=""),
        NodeCompleted(task="0", node="plain", attempt=1),
        call(body="0/write#1"),
        NodeFailed(task="0", node="write", attempt=1, code="invalid_output"),
        call(body="0/write#2"),
        call(body="0.1/write#1"),
        call(1, "human", agent="a", body="0.2/write#1"),
        call(1, "selection", agent="pool", body="0.3/write#1"),
        NodeCompleted(task="0", node="write", attempt=2),
    )
    assert {row["key"]: row["state"] for row in found} == {
        "0/write#1": "failed",
        "0/write#2": "ok",
        "0.1/write#1": "open",
    }


async def test_agents_that_a_handler_asks_share_its_end(rows):
    found = await rows(call(1, agent="a"), call(2, agent="b"), call(3, agent="a"), DONE)
    assert {row["agent"]: row["state"] for row in found} == {"a": "ok", "b": "ok"}


async def test_what_a_fork_copied_counts_for_its_parent_only(rows):
    second = call(body="0/edit#1", ms=7)
    (row,) = await rows(call(1, ms=5), DONE, call(body="0/edit#1", ms=4), Noted(name="forked"), second)
    assert (row["key"], row["ms"], row["state"]) == ("0/edit#1", 7, "open")
    assert len(await rows(call(), DONE, Noted(name="promoted"), run="r2")) == 1


async def test_it_survives_erasure(story, journal):
    await journal.append(story.start("r1"))
    await journal.append(story.facts(1, (call(ms=3), {"output": "secret"}), (DONE, {"secret": 1})))
    before = await journal.rows("fitness")
    await journal.append(story.finish(3))
    assert await journal.erase("r1") > 0
    assert await journal.rows("fitness") == before
    assert before[0]["state"] == "ok"


async def test_the_memory_journal_keeps_it_too(story, clock):
    journal = MemoryJournal(projections=shipped(), clock=clock)
    origin = RunStarted(run="r1", workflow="other", plan="p", start="s", principal=Principal(tenant="acme"))
    first = story.start()
    await journal.append(
        Append(run="r1", expected=0, events=[first.events[0].__class__(origin, None, 1)], epoch=1, state="running")
    )
    await journal.append(story.facts(1, call(), DONE))
    (row,) = await journal.rows("fitness", {"tenant": "acme", "workflow": "other"})
    assert row["state"] == "ok"
    await journal.close()


def test_a_tally_counts_what_ended():
    tally = Tally()
    for state in ("open", "void", "ok", "ok", "failed"):
        tally.add({"state": state, "ms": 10, "cost": 5, "unpriced": 1, "tokens": 2, "used": 7})
    assert (tally.ok, tally.failed, tally.bodies) == (2, 1, 3)
    assert (tally.ms, tally.cost, tally.unpriced, tally.tokens, tally.used) == (30, 15, 3, 6, 7)


@pytest.mark.parametrize("body", ["0/a#1", "0.2~join/a-b#12", "0/a/b#3"])
def test_body_of(body):
    task, _, rest = body.partition("/")
    node = rest.rpartition("#")[0]
    fact = EffectFinished(key=f"{body}/t3.c0", kind="tool", name="x", digest="", task=task, node=node)
    assert body_of(fact) == body


async def test_nonsense_of_a_provider_does_not_break_the_projection(rows):
    (row,) = await rows(call(usage={"input_tokens": 2**70, "output_tokens": -5}, cost="0.1"), DONE)
    assert (row["tokens"], row["unpriced"]) == (10**12, 0)
