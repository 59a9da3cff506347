"""``clew costs``: the table, what it says of unknown prices, and its document."""

import asyncio
import time

import pytest

from clew.core.events import EffectFinished, Event, RunStarted
from clew.gate.ports.journal import Append
from clew.service.costs import CostReport
from clew.stores.projections import shipped
from clew.stores.sqlite.journal import SqliteJournal

USAGE = {"input_tokens": 12_000, "output_tokens": 2_000, "cache_read_tokens": 10_000, "reasoning_tokens": 1_500}


@pytest.fixture
def keep(tmp_path):
    """Writes a run with model calls into the state directory of the command."""

    def keep(run, *calls, days_ago=0):
        at = int(time.time() * 1000) - days_ago * 86_400_000
        events = [Event(RunStarted(run=run, workflow="w", plan="p", start="s"), {"input": 1}, at)]
        for n, fields in enumerate(calls):
            said = {"kind": "model", "name": "fast", "digest": "d", "task": "0", "node": "write", "by": "main/gpt-5"}
            fact = EffectFinished(key=f"0/write#1/t{n}", **{**said, "usage": USAGE, **fields})
            events.append(Event(fact, {"output": 1}, at))

        async def write():
            journal = SqliteJournal.open(tmp_path / "state" / "journal.db", projections=shipped())
            await journal.append(Append(run=run, expected=0, events=events, epoch=1, state="running"))
            await journal.close()

        asyncio.run(write())

    return keep


def test_the_table(cli, keep):
    keep("r1", {"cost": "0.31"}, {"cost": "0", "usage": None, "tries": 0})
    keep("r2", {"cost": "0.0000001", "by": "claude/haiku", "agent": "writer"})
    answer = cli("costs")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0].split() == ["model", "calls", "tokens", "in", "tokens", "out", "cost"]
    assert lines[1].split() == [
        "main/gpt-5", "2", "(1", "reused)", "12,000", "(10,000", "cached)", "2,000", "(1,500", "reasoning)", "$0.31",
    ]  # fmt: skip
    assert lines[2].startswith("claude/haiku")
    assert lines[3].startswith("total")
    assert "not known" not in answer.out


def test_an_unknown_price_is_said_and_how_to_mend_it(cli, keep):
    keep("r1", {"cost": "0.31"}, {"cost": "", "by": "house/qwen3"}, {"cost": "", "by": "house/qwen3"})
    out = cli("costs").out
    assert "2 calls of house/qwen3: the cost is not known and in no sum" in out
    assert "providers: [{id: house, …, prices: {input: …, output: …}}]" in out
    assert [line.split()[-1] for line in out.splitlines() if line.startswith("house/")] == ["?"]
    assert next(line for line in out.splitlines() if line.startswith("total")).endswith("$0.31 + ?")


def test_the_document(cli, keep):
    keep("r1", {"cost": "0.31"})
    keep("r1.0", {"cost": "", "by": "house/qwen3"})
    keep("r2", {"cost": "5"})
    report = cli("costs", "r1", "--json").document(CostReport)
    assert (report.run, report.by, report.since) == ("r1", ["node", "model"], "")
    assert [(line.group["model"], line.cost) for line in report.lines] == [("main/gpt-5", "0.31"), ("house/qwen3", "0")]
    assert report.unpriced == {"house/qwen3": 1}


def test_by_several_and_since(cli, keep):
    keep("old", {"cost": "5"}, days_ago=30)
    keep("new", {"cost": "0.25", "agent": "writer"})
    report = cli("costs", "--by", "day", "--by", "agent", "--since", "7d", "--json").document(CostReport)
    assert [line.group["agent"] for line in report.lines] == ["writer"]
    assert report.total.cost == "0.25"
    assert cli("costs", "--by", "run", "--since", "60d", "--json").json()["total"]["cost"] == "5.25"


def test_nothing_and_wrong_use(cli, plain):
    assert cli("costs").code == 2
    cli("run", plain)
    answer = cli("costs")
    assert (answer.code, answer.out) == (0, "")
    assert "cost anything" in answer.err
    wrong = cli("costs", "--since", "yesterday")
    assert (wrong.code, "a duration such as" in wrong.err) == (2, True)
    assert cli("costs", "nowhere").code == 2
    assert cli("costs", "--by", "mood").code == 2
