"""Costs by every dimension, over runs, days and child runs."""

from decimal import Decimal

import pytest

from clew.core.errors import UsageError
from clew.core.events import EffectFinished, Event, Principal, RunStarted
from clew.gate.ports.journal import Append
from clew.service import costs as service
from clew.service.costs import costs
from clew.stores.memory.journal import MemoryJournal
from clew.stores.projections import shipped

DAY = 86_400_000
NOON = 20_468 * DAY + DAY // 2  # 2026-01-15
USAGE = {
    "input_tokens": 100,
    "output_tokens": 20,
    "cache_read_tokens": 40,
    "cache_write_tokens": 8,
    "reasoning_tokens": 5,
}


@pytest.fixture
async def journal():
    made = MemoryJournal(projections=shipped())
    yield made
    await made.close()


def call(key="0/a#1/t1", at=NOON, **fields):
    node = key.partition("/")[2].partition("#")[0]
    said = {
        "kind": "model",
        "name": "fast",
        "digest": "d",
        "task": "0",
        "node": node,
        "agent": "writer",
        "by": "main/x",
    }
    return Event(EffectFinished(key=key, **{**said, "usage": USAGE, "cost": "0.5", **fields}), {"output": 1}, at)


@pytest.fixture
def keep(journal):
    async def keep(run, *events, workflow="w", parent="", **principal):
        origin = RunStarted(
            run=run, workflow=workflow, plan="p", start="s", parent=parent, principal=Principal(**principal)
        )
        first = Event(origin, {"input": 1}, events[0].at if events else NOON)
        await journal.append(Append(run=run, expected=0, events=[first, *events], epoch=1, state="running"))

    return keep


@pytest.fixture
async def story(keep):
    await keep("r1", call(), call("0/b#1/t1", agent="reader", cost="0.25", by="main/y"), user="ada", session="s1")
    await keep("r1.0", call(cost="0.125"), parent="r1:0/c#1/0", workflow="inner", user="ada")
    await keep("r10", call(at=NOON + DAY, cost="1"), tenant="other", user="bob")
    await keep("r3")


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("run", {"r1": "0.75", "r1.0": "0.125", "r10": "1"}),
        ("workflow", {"w": "1.75", "inner": "0.125"}),
        ("node", {"a": "1.625", "b": "0.25"}),
        ("agent", {"writer": "1.625", "reader": "0.25"}),
        ("model", {"main/x": "1.625", "main/y": "0.25"}),
        ("user", {"ada": "0.875", "bob": "1"}),
        ("tenant", {"local": "0.875", "other": "1"}),
        ("session", {"s1": "0.75", "": "1.125"}),
        ("day", {"2026-01-15": "0.875", "2026-01-16": "1"}),
    ],
)
async def test_by_one_dimension(journal, story, by, expected):
    report = await costs(journal, [by])
    assert {line.group[by]: line.cost for line in report.lines} == expected
    assert report.total.cost == "1.875"
    assert sum(Decimal(line.cost) for line in report.lines) == Decimal("1.875")
    assert report.total.calls == 4
    order = [line.group[by] if by == "day" else -Decimal(line.cost) for line in report.lines]
    assert order == sorted(order)


async def test_by_several(journal, story):
    report = await costs(journal, ["day", "model"])
    assert [(line.group, line.calls) for line in report.lines] == [
        ({"day": "2026-01-15", "model": "main/x"}, 2),
        ({"day": "2026-01-15", "model": "main/y"}, 1),
        ({"day": "2026-01-16", "model": "main/x"}, 1),
    ]


async def test_tokens(journal, story):
    total = (await costs(journal, ["model"])).total
    found = (
        total.input_tokens,
        total.output_tokens,
        total.cache_read_tokens,
        total.cache_write_tokens,
        total.reasoning_tokens,
    )
    assert found == (400, 80, 160, 32, 20)


async def test_a_run_with_its_child_runs_and_no_other(journal, story):
    report = await costs(journal, ["run"], run="r1")
    assert [line.group["run"] for line in report.lines] == ["r1", "r1.0"]
    assert (report.run, report.total.cost) == ("r1", "0.875")


async def test_since_counts_whole_days(journal, story):
    report = await costs(journal, ["run"], since=NOON + DAY + 5)
    assert (report.since, [line.group["run"] for line in report.lines]) == ("2026-01-16", ["r10"])
    assert (await costs(journal, ["run"], since=NOON + 2 * DAY)).lines == []


async def test_a_run_over_midnight_is_split(journal, keep):
    await keep("r1", call(), call("0/a#1/t2", at=NOON + DAY))
    assert (await costs(journal, ["day"], since=NOON + DAY)).total.calls == 1


async def test_what_is_not_known_is_named(journal, keep):
    await keep(
        "r1", call(cost="", by="house/q"), call("0/a#1/t2", cost="", by="house/q"), call("0/a#1/t3", cost="", by="")
    )
    await keep("r2", call("0/a#1/t4", cost="", kind="tool", name="paid", by=""), call("0/a#1/t5"))
    report = await costs(journal, ["model"])
    assert report.unpriced == {"house/q": 2, "fast": 1, "tool paid": 1}
    assert (report.total.unpriced, report.total.cost) == (4, "0.5")


async def test_nothing(journal, keep):
    report = await costs(journal, ["model"])
    assert (report.lines, report.total.cost, report.total.calls, report.unpriced) == ([], "0", 0, {})


async def test_more_runs_than_a_page(journal, keep, monkeypatch):
    monkeypatch.setattr(service, "_PAGE", 3)
    for n in range(8):
        await keep(f"r{n}", call())
    assert (await costs(journal, ["run"])).total.calls == 8


async def test_a_sum_is_never_cut_off_in_silence(journal, story, monkeypatch):
    monkeypatch.setattr(service, "MAX_ROWS", 2)
    with pytest.raises(UsageError, match="r1 has more than 2 groups"):
        await costs(journal, ["run"], run="r1")


async def test_erasure_leaves_the_bill(journal, keep):
    await keep("r1", call(), user="ada", session="s1")
    await journal.release("r1")
    await journal.erase("r1")
    (line,) = (await costs(journal, ["session", "user", "model"])).lines
    assert (line.group, line.cost) == ({"session": "s1", "user": "ada", "model": "main/x"}, "0.5")
