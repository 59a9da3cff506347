"""The index of answers and its reader, on both journals."""

import msgspec
import pytest

from clew.core.events import EffectFinished, Event, ForkOf, RunStarted
from clew.gate.ports.journal import Append
from clew.stores.answers import JournalAnswers
from clew.stores.memory.journal import MemoryJournal
from clew.stores.projections import shipped

USAGE = {"input_tokens": 5, "output_tokens": 1}


@pytest.fixture(params=["memory", "sqlite"])
async def journal(request, opened, clock):
    if request.param == "sqlite":
        yield opened()
        return
    journal = MemoryJournal(projections=shipped(), clock=clock)
    yield journal
    await journal.close()


def answered(story, key="0/a#1/t1", output="hello", **fields):
    said = {"kind": "model", "name": "fast", "by": "main/small", "usage": USAGE} | fields
    return story.done(key, {"request": {}, "output": output}, **said)


async def placed(journal, tenant="local", digest="d"):
    return [(found.run, found.seq) for found in await JournalAnswers(journal).candidates(tenant, digest)]


async def test_an_answer_is_found_by_its_request_and_read_from_the_journal(journal, story):
    await journal.append(story.start())
    await journal.append(story.facts(1, answered(story)))
    answers = JournalAnswers(journal)
    (found,) = await answers.candidates("local", "d")
    assert (found.run, found.seq, found.key, found.by, found.plan) == ("r1", 2, "0/a#1/t1", "main/small", "p")
    assert await answers.output(found) == "hello"
    assert await placed(journal, digest="other") == []


async def test_the_newest_stands_first(journal, story):
    await journal.append(story.start())
    await journal.append(story.facts(1, answered(story)))
    await journal.append(story.start("r2"))
    await journal.append(story.facts(1, answered(story, "0/b#1/0"), run="r2"))
    await journal.append(story.facts(2, answered(story, "0/a#2/t1")))
    assert (await placed(journal))[0] == ("r1", 3)
    assert len(await placed(journal)) == 3


async def test_tenants_do_not_see_each_other(journal, story):
    await journal.append(story.start(tenant="one"))
    await journal.append(story.facts(1, answered(story)))
    assert await placed(journal, "one") == [("r1", 2)]
    assert await placed(journal, "local") == []


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "tool"},
        {"status": "error"},
        {"status": "denied"},
        {"usage": None, "tries": 0, "cost": "0"},  # was itself answered from the cache
        {"usage": None},  # a fork took it over: somebody may have edited it
    ],
)
async def test_what_is_no_source(journal, story, fields):
    await journal.append(story.start())
    await journal.append(story.facts(1, answered(story, **fields)))
    assert await placed(journal) == []


async def test_erased_answers_are_gone(journal, story):
    await journal.append(story.start())
    await journal.append(story.facts(1, answered(story), answered(story, "0/a#1/t2", "second")))
    found = await JournalAnswers(journal).candidates("local", "d")
    await journal.append(story.finish(3))
    await journal.erase("r1", [2])
    assert await placed(journal) == [("r1", 3)]
    assert [await JournalAnswers(journal).output(one) for one in sorted(found, key=lambda f: f.seq)] == [None, "second"]
    await journal.erase("r1")
    assert await placed(journal) == []


async def test_the_answer_to_a_changed_request_is_not_given(journal, story):
    await journal.append(story.start())
    fact, payload = answered(story)
    await journal.append(story.facts(1, (fact, {**payload, "performed": {"changed": True}})))
    (found,) = await JournalAnswers(journal).candidates("local", "d")
    assert await JournalAnswers(journal).output(found) is None


async def test_a_missing_event_is_a_miss(journal, story):
    await journal.append(story.start())
    await journal.append(story.facts(1, answered(story)))
    (found,) = await JournalAnswers(journal).candidates("local", "d")
    assert await JournalAnswers(journal).output(msgspec.structs.replace(found, seq=9)) is None


async def test_a_forks_own_answers_count(journal, story):
    """What it took over has lost its usage (it was paid once); what it performs itself has one."""
    origin = RunStarted(run="f", workflow="w", plan="p2", start="s", fork_of=ForkOf("r1", 2, "h"))
    taken, own = answered(story, usage=None), answered(story, "0/a#1/t2")
    events = [Event(origin, {"input": 1}, 1), Event(*taken, 2), Event(*own, 3)]
    await journal.append(Append(run="f", expected=0, events=events, epoch=1, state="running"))
    (found,) = await JournalAnswers(journal).candidates("local", "d")
    assert (found.seq, found.plan) == (3, "p2")


def test_nothing_but_facts_is_kept():
    assert not any(
        "output" in column for one in shipped() if one.name == "answers" for column in str(one.tables).split()
    )
    assert EffectFinished in next(one for one in shipped() if one.name == "answers").facts


async def test_of_many_answers_the_last_ones_are_looked_at(journal, story):
    await journal.append(story.start())
    await journal.append(story.facts(1, *(answered(story, f"0/a#1/t{n}") for n in range(150))))
    found = await placed(journal)
    assert (len(found), {seq for _, seq in found}) == (100, set(range(52, 152)))
