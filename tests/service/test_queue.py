"""The queue as a whole: how it stands, dead letters, a full queue (W13)."""

import msgspec
import pytest

from clew.core.errors import Conflict, NotFound
from clew.core.events import NodeCompleted
from clew.gate.ports.journal import RunFilter
from clew.service import runs, tasks
from clew.service.queue import Standing, drive, letters, requeue, standing
from clew.service.runs import RunRequest

FAILS = """
    import world
    def a(input, ctx):
        world.did.append(input)
        if input in world.bad:
            raise RuntimeError(f"bad {input}")
        return input
"""


@pytest.fixture
def failing(solo, world):
    world.bad = {"bad"}
    return solo(FAILS)


async def test_what_failed_is_a_dead_letter_until_it_is_queued_again(failing, world):
    runs_of = {name: await failing.enqueue(name) for name in ("good", "bad", "fine")}
    await drive(failing.workspace)
    (letter,) = await letters(failing.workspace)
    assert letter.row.run == runs_of["bad"]
    assert letter.error["message"] == "RuntimeError: bad bad"
    assert (await standing(failing.workspace)).dead == 1
    world.bad = set()
    again = await requeue(failing.workspace, letter.row.run)
    assert await letters(failing.workspace) == []
    with pytest.raises(Conflict, match=f"again already, as {again}"):
        await requeue(failing.workspace, letter.row.run)
    assert await drive(failing.workspace) == [again]
    assert world.did == ["good", "bad", "fine", "bad"]
    assert (await standing(failing.workspace)).dead == 0


async def test_a_letter_may_fail_and_be_queued_again_and_again(failing):
    run = await failing.enqueue("bad")
    for _ in range(3):
        await drive(failing.workspace)
        (letter,) = await letters(failing.workspace)
        assert letter.row.run == run
        run = await requeue(failing.workspace, run)


async def test_it_is_done_by_the_project_as_it_is_now_as_it_was_asked_for(failing, world, clock):
    request = RunRequest(
        input="bad", timeout_ms=5_000, mode="review", idempotency="k", task={"id": "t", "parentId": None, "agent": "project"}
    )  # fmt: skip
    run = await runs.enqueue(failing.workspace, failing.plan, failing.directory, request)
    await drive(failing.workspace)
    await clock.passes(1_000)
    again = await requeue(failing.workspace, run)
    origin = (await failing.workspace.journal.read(again, 0, 1))[0].event
    assert (origin.fact.mode, origin.fact.deadline - origin.at) == ("review", 5_000)
    assert tasks.task_note(await failing.workspace.journal.read(again)) == request.task
    assert await tasks.latest(failing.workspace, run) == again
    world.bad = set()
    task = tasks.envelopes.task_of({"agent": "project", "payload": "bad", "constraints": {"idempotencyKey": "k"}})
    answer = await tasks.perform(failing.workspace, failing.plan, failing.directory, task)
    assert answer.id == again


async def test_what_is_no_dead_letter_is_not_queued_again(failing, clock):
    direct = (await failing.run("bad")).run_id
    good = await failing.enqueue("good")
    forked = (await failing.fork(direct, 1)).run_id
    await drive(failing.workspace)
    assert await letters(failing.workspace) == []
    for run in (direct, good, forked):
        with pytest.raises(Conflict, match="is no dead letter"):
            await requeue(failing.workspace, run)
    with pytest.raises(NotFound):
        await requeue(failing.workspace, "nothing")


async def test_a_fork_of_a_letter_is_none(failing):
    run = await failing.enqueue("bad")
    await drive(failing.workspace)
    events = await failing.workspace.journal.read(run)
    at = next(r.seq for r in events if isinstance(r.event.fact, NodeCompleted))
    await failing.fork(run, at)
    assert [letter.row.run for letter in await letters(failing.workspace)] == [run]


async def test_an_erased_letter_stays_and_says_why_it_cannot_go(failing):
    run = await failing.enqueue("bad")
    await drive(failing.workspace)
    await failing.workspace.journal.erase(run)
    (letter,) = await letters(failing.workspace)
    assert letter.error == {}
    with pytest.raises(Conflict, match="erased"):
        await requeue(failing.workspace, run)


async def test_over_its_deadline_it_is_a_letter_after_one_attempt(solo, world, clock):
    engine = solo(
        "import world\nasync def a(input, ctx):\n    world.did.append(input)\n    await ctx.sleep(60)\n",
        retry={"max_attempts": 5},
    )
    await runs.enqueue(engine.workspace, engine.plan, engine.directory, RunRequest(input=1, timeout_ms=1_000))
    await drive(engine.workspace)
    (letter,) = await letters(engine.workspace)
    assert letter.error["code"] == "deadline_exceeded"
    assert world.did == [1]


async def test_a_full_queue_refuses_and_the_run_at_its_head_says_so_once(solo):
    engine = solo("def a(input, ctx):\n    return input\n", sections={"scheduler": {"max_queue_size": 2}})
    head, other = [await engine.enqueue(n) for n in range(2)]
    for _ in range(3):
        with pytest.raises(Conflict, match=r"the queue is full \(2 runs\)") as caught:
            await engine.enqueue(3)
        assert caught.value.code == "queue_full"
    events = await engine.workspace.journal.read(head)
    notes = [r.event for r in events if tasks.is_note(r, runs.QUEUE_FULL)]
    assert [note.payload for note in notes] == [{"limit": 2, "workflow": "project"}]
    assert not [r for r in await engine.workspace.journal.read(other) if tasks.is_note(r, runs.QUEUE_FULL)]
    assert await drive(engine.workspace) == [head, other]
    assert await engine.verify() == []


async def test_a_full_queue_refuses_also_while_its_head_is_being_taken(solo, monkeypatch):
    engine = solo("def a(input, ctx):\n    return input\n", sections={"scheduler": {"max_queue_size": 1}})
    await engine.enqueue(1)

    async def taken(run):
        raise Conflict(f"run {run} is driven", code="driven")

    monkeypatch.setattr(engine.workspace.journal, "claim", taken)
    with pytest.raises(Conflict, match="full"):
        await engine.enqueue(2)


async def test_a_refused_letter_stays_a_letter(solo, world):
    world.bad = {"bad"}
    engine = solo(FAILS, sections={"scheduler": {"max_queue_size": 1}})
    run = await engine.enqueue("bad")
    await drive(engine.workspace)
    await engine.enqueue("other")
    with pytest.raises(Conflict, match="full"):
        await requeue(engine.workspace, run)
    assert [letter.row.run for letter in await letters(engine.workspace)] == [run]


async def test_how_it_stands(solo, world, clock):
    world.bad = {"bad"}
    engine = solo("""
        import world
        async def a(input, ctx):
            if input == "asks":
                await ctx.ask("?", {})
            if input == "bad":
                raise RuntimeError
    """)
    nothing = Standing(queued=0, running=0, interrupted=0, waiting=0, dead=0, workers=0)
    assert await standing(engine.workspace) == nothing
    await engine.run("asks")
    await engine.enqueue("bad")
    await drive(engine.workspace)
    await engine.enqueue("later")
    assert await standing(engine.workspace) == msgspec.structs.replace(nothing, queued=1, waiting=1, dead=1)
    assert len(await engine.runs(RunFilter(states=("failed",)))) == 1


async def test_over_its_budget_it_is_a_letter_after_one_attempt(solo, world):
    world.engine = engine = solo(
        """
        import world
        async def a(input, ctx):
            world.did.append(input)
            await world.engine.workspace.scheduler.hosts[ctx.run_id].stop("budget_exhausted", "it is spent")
        """,
        retry={"max_attempts": 5},
    )
    await engine.enqueue(1)
    await drive(engine.workspace)
    (letter,) = await letters(engine.workspace)
    assert (letter.error["code"], world.did) == ("budget_exhausted", [1])
