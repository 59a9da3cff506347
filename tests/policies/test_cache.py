"""The response cache: what is answered from the journal, and above all what is not."""

import msgspec
import pytest

from clew.core.events import Event, Principal, RunStarted
from clew.gate.door import Door
from clew.gate.effect import Effect, Outcome
from clew.gate.ports.answers import Recorded
from clew.gate.ports.journal import Append
from clew.policies.cache import Cache
from clew.stores.answers import JournalAnswers
from clew.stores.memory.journal import MemoryJournal
from clew.stores.projections import shipped
from clew.stores.sqlite.journal import SqliteJournal
from clew.testing import MemoryRecord, ScriptedDriver

MODELS = {"fast": frozenset({"main/small", "house/qwen3"})}
ANSWER = {"parts": [{"type": "text", "content": "hello"}], "model": "small-1"}
USAGE = {"input_tokens": 5, "output_tokens": 1}


def ask(key="0/a#1/t1", **fields):
    task, _, node = key.split("#")[0].partition("/")
    request = {"model": "fast", "messages": [], "parameters": {"temperature": 0}}
    said = {"kind": "model", "name": "fast", "request": request, "task": task, "node": node, "repeat_safe": True}
    return Effect(key=key, **{**said, **fields})


class Kept:
    """The port, by hand."""

    def __init__(self, *found, outputs=None):
        self.found, self.outputs, self.asked = found, outputs or {}, []

    async def candidates(self, tenant, digest):
        self.asked.append((tenant, digest))
        return list(self.found)

    async def output(self, recorded):
        return self.outputs.get(recorded.seq, ANSWER)


def kept_at(seq=7, **fields):
    return Recorded(**{"run": "before", "seq": seq, "key": "0/a#1/t1", "by": "main/small", "plan": "p", **fields})


async def always(plan, deployment):
    return True


async def passed(cache, effect, run="now"):
    """Outcome, whether the driver was asked, and the recorded event."""
    record, driver = (
        MemoryRecord(interceptors=(cache,)),
        ScriptedDriver(Outcome(output="performed", cost="1", usage=USAGE)),
    )
    record.run = run
    outcome = await Door(record, (cache,), {effect.kind: driver}).perform(effect)
    return outcome, bool(driver.seen), record.events[-1]


async def test_a_repeated_request_is_answered_from_the_journal():
    kept = Kept(kept_at())
    outcome, asked, event = await passed(Cache(kept, MODELS, always), ask())
    assert not asked
    assert (outcome.output, outcome.cost, outcome.usage, outcome.by, outcome.tries) == (
        ANSWER,
        "0",
        None,
        "main/small",
        0,
    )
    assert event.payload["notes"] == {"cache": {"run": "before", "seq": 7}}
    assert kept.asked == [("local", ask().digest)]


async def test_a_cut_off_answer_is_passed_over_for_an_older_whole_one():
    kept = Kept(kept_at(9), kept_at(8), kept_at(7), outputs={9: {**ANSWER, "finish": "length"}, 8: None})
    _, asked, event = await passed(Cache(kept, MODELS, always), ask())
    assert not asked
    assert event.payload["notes"]["cache"]["seq"] == 7


@pytest.mark.parametrize(
    "output",
    [
        None,  # erased
        "text",
        {"parts": []},
        {"parts": [{"type": "strange"}]},
        *({**ANSWER, "finish": finish} for finish in ("length", "content_filter", "error")),
    ],
    ids=str,
)
async def test_what_is_no_whole_answer_is_not_reused(output):
    assert (await passed(Cache(Kept(kept_at(), outputs={7: output}), MODELS, always), ask()))[1]


async def test_tool_calls_are_reused():
    answer = {"parts": [{"type": "tool_call", "id": "1", "name": "t"}], "finish": "tool_call"}
    outcome, asked, _ = await passed(Cache(Kept(kept_at(), outputs={7: answer}), MODELS, always), ask())
    assert (outcome.output, asked) == (answer, False)


@pytest.mark.parametrize(
    "effect",
    [ask(name="strong"), ask(kind="tool"), ask(name="main/small")],
    ids=["not cached", "a tool", "by deployment"],
)
async def test_others_are_not_even_looked_up(effect):
    kept = Kept(kept_at())
    assert (await passed(Cache(kept, MODELS, always), effect))[1]
    assert kept.asked == []


async def test_a_deployment_that_the_model_has_no_more_does_not_answer():
    assert (await passed(Cache(Kept(kept_at(by="main/retired")), MODELS, always), ask()))[1]


async def test_a_service_that_became_another_does_not_answer():
    seen = []

    async def other(plan, deployment):
        seen.append((plan, deployment))
        return False

    assert (await passed(Cache(Kept(kept_at()), MODELS, other), ask()))[1]
    assert seen == [("p", "main/small")]


@pytest.mark.parametrize(
    ("place", "asked"),
    [
        ({"run": "now", "key": "0/a#1/t1"}, True),  # the attempt before: a retry is to try otherwise
        ({"run": "now", "key": "0/a#2/t0"}, False),
        ({"run": "now", "key": "0/b#1/t1"}, False),
        ({"run": "now", "key": "0.1/a#1/t1"}, False),
        ({"run": "before", "key": "0/a#1/t1"}, False),
    ],
    ids=str,
)
async def test_an_earlier_attempt_of_the_same_node_is_no_source(place, asked):
    assert (await passed(Cache(Kept(kept_at(**place)), MODELS, always), ask("0/a#2/t1")))[1] is asked


async def test_a_recorded_answer_is_replayed_without_the_cache():
    record, kept = MemoryRecord(), Kept(kept_at())
    first = await Door(record, (Cache(kept, MODELS, always),), {}).perform(ask())
    again = await Door(record, (Cache(Kept(), {}, always),), {"model": ScriptedDriver()}).perform(ask())
    assert again == first


@pytest.fixture(params=["memory", "sqlite"])
async def journal(request, tmp_path):
    made = MemoryJournal(projections=shipped())
    if request.param == "sqlite":
        made = SqliteJournal.open(tmp_path / "journal.db", projections=shipped())
    yield made
    await made.close()


class Run:
    """A run whose effects pass a door with the cache, each journaled."""

    def __init__(self, journal, run, tenant="local"):
        self.journal, self.run = journal, run
        self.principal = Principal(tenant=tenant)
        self.record = MemoryRecord()
        self.record.run, self.record.principal = run, self.principal
        self.driver = ScriptedDriver(*[Outcome(output=ANSWER, cost="0.5", usage=USAGE, by="main/small")] * 9)

    async def perform(self, key="0/a#1/t1", **fields):
        door = Door(self.record, (Cache(JournalAnswers(self.journal), MODELS, always),), {"model": self.driver})
        before = len(self.record.events)
        outcome = await door.perform(ask(key, **fields))
        started = Event(
            RunStarted(run=self.run, workflow="w", plan="p", start="s", principal=self.principal), {"input": 1}, 1
        )
        events = self.record.events[before:] if before else [started, *self.record.events]
        expected = before + 1 if before else 0
        await self.journal.append(Append(run=self.run, expected=expected, events=events, epoch=1, state="running"))
        return outcome


async def test_across_runs_and_journals(journal):
    first, second, stranger = Run(journal, "r1"), Run(journal, "r2"), Run(journal, "r3", tenant="other")
    performed = await first.perform()
    reused = await second.perform("0/b#1/t4")
    assert (reused.output, reused.by) == (performed.output, performed.by)
    assert reused.notes == {"cache": {"run": "r1", "seq": 2}}
    assert second.driver.seen == []
    assert (await stranger.perform()).notes == {}, "nobody answers another tenant"
    assert (await second.perform("0/b#1/t5", request={"model": "fast", "messages": ["other"]})).notes == {}
    assert (await second.perform("0/b#1/t6")).notes["cache"]["run"] == "r1", "what was reused is no source"
    total = {}
    for row in await journal.rows("costs"):
        total[row["run"]] = total.get(row["run"], 0) + row["cost"]
    assert total == {"r1": 5 * 10**11, "r2": 5 * 10**11, "r3": 5 * 10**11}


async def test_an_erased_answer_is_asked_for_again(journal):
    first, second = Run(journal, "r1"), Run(journal, "r2")
    await first.perform()
    await journal.release("r1")
    await journal.erase("r1")
    assert (await second.perform()).notes == {}
    assert len(second.driver.seen) == 1


async def test_what_is_recorded_has_the_form_of_any_outcome(journal):
    await Run(journal, "r1").perform()
    await Run(journal, "r2").perform()
    (record,) = await journal.read("r2", 1, 2)
    fact = msgspec.to_builtins(record.event.fact)
    assert (fact["cost"], fact["by"], fact["tries"], fact.get("usage")) == ("0", "main/small", 0, None)
    assert await journal.verify() == []
