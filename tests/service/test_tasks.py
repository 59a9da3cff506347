"""Tasks in envelopes: what runs them, what answers them, and that work under one key is done once (W12)."""

import asyncio
import logging

import msgspec
import pytest

from clew.core.envelopes import AgentError, AgentResult, Delta, Doc, NewTask, ResultPayload, task_of, write
from clew.core.errors import Conflict, JournalError, UsageError
from clew.core.events import NodeCompleted, RunStarted
from clew.gate.ports.journal import RunFilter
from clew.runtime.host import Debugger
from clew.service import queue, runs, tasks
from clew.service.tasks import hand_on, payload_of, perform

ECHO = """
    import world
    def a(input, ctx):
        world.did.append(input)
        if input == "fail":
            raise RuntimeError("as told")
        return input
"""


def task(payload=None, agent="project", **constraints):
    return task_of({"id": "t1", "agent": agent, "payload": payload, "constraints": constraints})


def as_somebody(engine, **who):
    engine.workspace.settings = msgspec.structs.replace(engine.workspace.settings, **who)


async def ask(engine, *args, on_begun=None, **constraints):
    found = await perform(engine.workspace, engine.plan, engine.directory, task(*args, **constraints), on_begun)
    write(found)  # it can be
    return found


# -- agents ------------------------------------------------------------------------------------------------------------


async def test_the_workflow_answers_by_its_name(solo, world):
    begun = []
    found = await ask(solo(ECHO), {"n": 1}, on_begun=begun.append)
    assert isinstance(found, AgentResult)
    assert (found.id, found.parent_id, found.agent) == (begun[0], "t1", "project")
    assert found.payload == ResultPayload(delta=Delta(summary='{"n":1}'))
    assert found.metrics.tokens_used == 0


# -- answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "payload"),
    [
        (None, ResultPayload()),
        ("text", ResultPayload(delta=Delta(summary="text"))),
        ([1, 2], ResultPayload(delta=Delta(summary="[1,2]"))),
        ({"b": 1, "a": 2}, ResultPayload(delta=Delta(summary='{"a":2,"b":1}'))),
        ({"diff": "-a", "summary": "s", "x": 1}, ResultPayload(delta=Delta(diff="-a", summary="s"))),
        ({"diff": "-a", "x": 1}, ResultPayload(delta=Delta(diff="-a", summary='{"x":1}'))),
        ({"doc": {"path": "a.py", "content": "1"}}, ResultPayload(delta=Delta(doc=Doc(path="a.py", content="1")))),
        ({"delta": {"diff": "d"}, "artifacts": [{"kind": "k"}]}, ResultPayload(delta=Delta(diff="d"), artifacts=[{"kind": "k"}])),
        ({"newTasks": [{"agent": "x"}]}, ResultPayload(new_tasks=[NewTask(agent="x")])),
        ({"new_tasks": [{"agent": "x", "payload": 1}]}, ResultPayload(new_tasks=[NewTask(agent="x", payload=1)])),
        ({"delta": 3}, ResultPayload(delta=Delta(summary='{"delta":3}'))),
    ],
)  # fmt: skip
def test_outputs_become_payloads(output, payload):
    assert payload_of(output) == payload


async def test_a_failed_run_is_an_error(solo, world):
    found = await ask(solo(ECHO), "fail")
    assert isinstance(found, AgentError)
    assert (found.error.code, found.error.message) == ("error", "RuntimeError: as told")


async def test_time_over_is_an_error(solo):
    found = await ask(solo("async def a(input, ctx):\n    await ctx.sleep(60)\n"), timeoutMs=500)
    assert found.error.code == "deadline_exceeded"


async def test_a_cancelled_run_is_an_error(solo, world):
    world.engine = engine = solo("""
        import world
        async def a(input, ctx):
            await world.engine.cancel(ctx.run_id, "no more")
    """)
    assert (await ask(engine)).error.code == "cancelled"


async def test_a_run_that_asks_is_waited_for_later(solo):
    engine = solo("async def a(input, ctx):\n    return await ctx.ask('how many?', {'type': 'integer'})\n")
    first = await ask(engine, idempotencyKey="k")
    assert first.error.code == "waiting"
    assert first.error.details["asks"][0]["node"] == "a"
    assert (await ask(engine, idempotencyKey="k")).error.code == "waiting"
    await engine.approve(first.id, 3)
    second = await ask(engine, idempotencyKey="k")
    assert (second.id, second.payload.delta.summary) == (first.id, "3")


async def test_chance_is_seeded_unless_the_task_says_otherwise(solo, world):
    engine = solo(ECHO)
    seeds = []
    for deterministic in (True, False, False):
        run = (await ask(engine, deterministic=deterministic)).id
        origin = (await engine.workspace.journal.read(run, 0, 1))[0].event.fact
        assert isinstance(origin, RunStarted)
        seeds.append(origin.seed)
    assert seeds[0] == 0
    assert len(set(seeds)) == 3


# -- once --------------------------------------------------------------------------------------------------------------


async def test_the_same_key_gives_the_first_result(solo, world):
    engine = solo(ECHO)
    first, second = await ask(engine, 1, idempotencyKey="k"), await ask(engine, 1, idempotencyKey="k")
    assert first == second
    assert world.did == [1]
    await ask(engine, 1)
    assert world.did == [1, 1]


async def test_other_work_under_the_same_key_is_a_conflict(solo, world):
    engine = solo(ECHO)
    await ask(engine, 1, idempotencyKey="k")
    with pytest.raises(Conflict, match="another input"):
        await ask(engine, 2, idempotencyKey="k")
    with pytest.raises(Conflict, match="another agent"):
        await ask(engine, 1, "TestExec", idempotencyKey="k")


async def test_keys_are_of_a_tenant(solo, world):
    engine = solo(ECHO)
    await ask(engine, 1, idempotencyKey="k")
    as_somebody(engine, tenant="other")
    await ask(engine, 2, idempotencyKey="k")
    assert world.did == [1, 2]


async def test_several_at_once_are_one(solo, world):
    engine = solo(ECHO)
    found = await asyncio.gather(*(ask(engine, 1, idempotencyKey="k") for _ in range(4)))
    assert len({one.id for one in found}) == 1
    assert world.did == [1]


async def test_whoever_comes_second_between_two_processes_joins_the_first(solo, world, monkeypatch):
    engine = solo(ECHO)
    first = await ask(engine, 1, idempotencyKey="k")
    start, calls = runs.start, []

    async def late(*args):
        calls.append(args)
        if len(calls) == 1:
            raise Conflict("another run of this tenant has the same idempotency key", code="idempotency")
        return await start(*args)

    monkeypatch.setattr(runs, "start", late)
    assert (await ask(engine, 1, idempotencyKey="k")).id == first.id


async def test_one_in_the_queue_is_done_now(solo, world):
    engine = solo(ECHO)
    request = runs.RunRequest(input=1, idempotency="k")
    run = await runs.enqueue(engine.workspace, engine.plan, engine.directory, request)
    assert (await ask(engine, 1, idempotencyKey="k")).id == run
    assert await engine.run_queued() == []


async def test_one_whose_process_died_goes_on(solo, world, crash):
    engine = solo("""
        import world
        async def a(input, ctx):
            await ctx.effect("once", lambda: world.did.append(input))
            await ctx.effect("twice", lambda: world.did.append("then"))
    """)
    with (
        crash(
            engine, lambda fact: getattr(fact, "key", "").endswith("twice.0") or getattr(fact, "name", "") == "twice"
        ),
        pytest.raises(Exception, match="no space"),
    ):
        await ask(engine, 1, idempotencyKey="k")
    found = await ask(engine, 1, idempotencyKey="k")
    assert isinstance(found, AgentResult), found
    assert world.did.count(1) == 1


async def test_one_whose_source_changed_meanwhile_does_not_go_on_by_itself(solo, world, crash):
    engine = solo(ECHO)
    with crash(engine, lambda fact: isinstance(fact, NodeCompleted)), pytest.raises(JournalError):
        await ask(engine, 1, idempotencyKey="k")
    (engine.directory / "handlers.py").write_text("def a(input, ctx):\n    return 2\n")
    with pytest.raises(Conflict) as caught:
        await ask(engine, 1, idempotencyKey="k")
    assert caught.value.code == "source_changed"


async def test_one_that_another_process_takes_first_is_waited_for(solo, world, monkeypatch):
    engine = solo(ECHO)
    request = runs.RunRequest(input=1, idempotency="k")
    await runs.enqueue(engine.workspace, engine.plan, engine.directory, request)
    resume, tries = runs.resume, []

    async def late(*args):
        tries.append(args)
        if len(tries) == 1:
            raise Conflict("driven by process 7", code="driven")
        return await resume(*args)

    monkeypatch.setattr(runs, "resume", late)
    assert isinstance(await ask(engine, 1, idempotencyKey="k"), AgentResult)


async def test_one_that_another_process_drives_is_waited_for_and_no_longer_than_told(solo, clock, monkeypatch):
    engine = solo("async def a(input, ctx):\n    await ctx.sleep(10)\n    return 'done'\n")
    run = (await engine.start(request=runs.RunRequest(idempotency="k"))).run_id
    monkeypatch.setattr(engine.workspace.scheduler, "hosts", {})
    row = engine.workspace.journal.row

    async def driven(name):
        return msgspec.structs.replace(await row(name), owner="1-0000000000000000")

    monkeypatch.setattr(engine.workspace.journal, "row", driven)
    early = await ask(engine, idempotencyKey="k", timeoutMs=300)
    assert (early.error.code, early.error.details) == ("timeout", {"run": run, "asks": []})
    late = await ask(engine, idempotencyKey="k")
    assert late.payload.delta.summary == "done"


async def test_a_paused_run_says_so(solo):
    engine = solo("async def a(input, ctx):\n    return 1\n")
    request = runs.RunRequest(idempotency="k")
    handle = await engine.start(request=request, debugger=Debugger(step=True))
    await engine.settle(handle.run_id)
    found = await perform(engine.workspace, engine.plan, engine.directory, task(idempotencyKey="k"))
    assert (found.error.code, found.error.details["asks"]) == ("waiting", [])


# -- new tasks ---------------------------------------------------------------------------------------------------------

SPAWNS = """
    import world
    def a(input, ctx):
        world.did.append(input)
        if input == "parent":
            return {"newTasks": [{"agent": "project", "payload": "one"}, {"agent": "nobody"}, {"agent": "project"}]}
        return {"newTasks": [{"agent": "project", "payload": input}]} if input == "again" else input
"""


async def test_new_tasks_are_queued_once_with_their_parent(solo, world, caplog):
    engine = solo(SPAWNS)
    with caplog.at_level(logging.ERROR):
        found = await ask(engine, "parent", idempotencyKey="k")
        await ask(engine, "parent", idempotencyKey="k")
    assert [new.agent for new in found.payload.new_tasks] == ["project", "nobody", "project"]
    rows = await engine.runs(RunFilter(states=("queued",)))
    assert [row.parent for row in rows] == ["", ""]
    notes = [tasks.task_note(await engine.workspace.journal.read(row.run)) for row in rows]
    assert notes[::-1] == [
        {"id": f"t1.{n}", "parentId": "t1", "agent": "project", "depth": 1} for n in (1, 3)
    ]  # fmt: skip
    assert world.did == ["parent"]
    assert [result.output for result in await engine.run_queued()] == ["one", None]
    assert world.did == ["parent", "one", None]


async def test_what_cannot_be_a_task_is_said_once_and_noted(solo, world, caplog):
    engine = solo(SPAWNS)
    with caplog.at_level(logging.WARNING, "clew.tasks"):
        run = (await ask(engine, "parent")).id
        await hand_on(engine.workspace, run)
    assert caplog.text.count("new task t1.2 is not queued: the project knows no agent 'nobody'") == 1
    notes = [r.event.payload for r in await engine.workspace.journal.read(run) if tasks.is_note(r, tasks.REFUSED)]
    assert [(note["task"], note["code"]) for note in notes] == [("t1.2", "unknown_agent")]
    assert await engine.verify() == []


async def test_what_a_full_queue_refuses_is_queued_later(solo, world, caplog):
    caplog.set_level(logging.ERROR)
    engine = solo(SPAWNS, sections={"scheduler": {"max_queue_size": 1}})
    await ask(engine, "parent")
    for _ in range(3):
        await queue.drive(engine.workspace)
    assert world.did == ["parent", "one", None]


async def test_tasks_that_beget_tasks_come_to_an_end(solo, world, monkeypatch, caplog):
    monkeypatch.setattr(tasks, "DEEPEST", 3)
    engine = solo(SPAWNS)
    caplog.set_level(logging.ERROR)
    await ask(engine, "again")
    for _ in range(9):
        await engine.run_queued()  # what drives the queue hands on, whichever way it is called
    assert world.did == ["again"] * 4


async def test_new_tasks_act_for_whoever_asked(solo, world):
    engine = solo(SPAWNS)
    as_somebody(engine, tenant="theirs", user="somebody")
    run = (await ask(engine, "again")).id
    as_somebody(engine, tenant="ours")
    (row,) = await engine.runs(RunFilter(states=("queued",)))
    assert (row.tenant, row.user) == ("theirs", "somebody")
    await hand_on(engine.workspace, run)
    assert len(await engine.runs(RunFilter(states=("queued",)))) == 1


async def test_what_a_process_died_before_queueing_is_queued_by_the_next(solo, world, monkeypatch):
    engine = solo(SPAWNS)

    async def die(*_):
        raise UsageError("killed here")

    with monkeypatch.context() as m:
        m.setattr(tasks, "hand_on", die)
        with pytest.raises(UsageError, match="killed"):
            await ask(engine, "again")
    assert await engine.runs(RunFilter(states=("queued",))) == []
    assert len(await queue.drive(engine.workspace)) == 1


async def test_only_tasks_have_new_tasks(solo, world):
    engine = solo(SPAWNS)
    run = (await engine.run("parent")).run_id
    await hand_on(engine.workspace, run)
    assert await engine.runs(RunFilter(states=("queued",))) == []
    task_run = (await ask(engine, "parent")).id
    events = await engine.workspace.journal.read(task_run)
    fork = await engine.fork(task_run, max(r.seq for r in events if isinstance(r.event.fact, NodeCompleted)))
    assert fork.status == "success"
    assert tasks.task_note(await engine.workspace.journal.read(fork.run_id)) is None
