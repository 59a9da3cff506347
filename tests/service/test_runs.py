"""Start, idempotency, modes, resume, find (W12-W14, R2, R3)."""

import asyncio
import shutil

import pytest

from clew.cli.terminal import money
from clew.core import events as ev
from clew.core.errors import Conflict, NotFound, UsageError
from clew.runtime.host import Debugger
from clew.service import runs
from clew.service.engine import open_project
from clew.service.runs import RunRequest
from clew.testing import ScriptedModel, write_project

ECHO = "import world\nasync def a(input, ctx):\n    world.did.append(input)\n    return input\n"


# -- idempotency -----------------------------------------------------------------------------------------------------


async def test_the_same_key_never_does_the_work_twice(solo, world):
    engine = solo(ECHO)
    request = RunRequest(input=1, idempotency="k")
    first = await (await engine.start(request=request)).result()
    second = await (await engine.start(request=request)).result()
    assert (first.run_id, first.output) == (second.run_id, second.output)
    assert world.did == [1]


async def test_a_run_in_progress_is_waited_for(solo, world):
    world.go, world.entered = asyncio.Event(), asyncio.Event()
    engine = solo(
        "import world\nasync def a(input, ctx):\n    world.entered.set()\n    await world.go.wait()\n    return 5\n"
    )
    request = RunRequest(idempotency="k")
    await engine.start(request=request)
    await world.entered.wait()
    second = asyncio.create_task((await engine.start(request=request)).result())
    await asyncio.sleep(0)
    assert not second.done()
    world.go.set()
    assert (await second).output == 5
    assert len(await engine.runs()) == 1


async def test_another_payload_under_the_same_key_is_a_conflict(solo, world):
    engine = solo(ECHO)
    await (await engine.start(request=RunRequest(input=1, idempotency="k"))).result()
    with pytest.raises(Conflict, match="used with another input"):
        await engine.start(request=RunRequest(input=2, idempotency="k"))


async def test_a_key_queued_before_is_the_same_work(solo, world):
    engine = solo(ECHO)
    request = RunRequest(input=1, idempotency="k")
    first = await runs.enqueue(engine.workspace, engine.plan, engine.directory, request)
    assert await runs.enqueue(engine.workspace, engine.plan, engine.directory, request) == first


async def test_two_that_start_at_once_under_one_key_are_one(solo, world):
    engine = solo(ECHO)
    request = RunRequest(input=1, idempotency="k")
    handles = await asyncio.gather(*(engine.start(request=request) for _ in range(4)), return_exceptions=True)
    assert not [h for h in handles if isinstance(h, BaseException)]
    assert len({h.run_id for h in handles}) == 1
    await handles[0].result()
    assert world.did == [1]


# -- modes, starts ---------------------------------------------------------------------------------------------------


async def test_a_mode_is_recorded_and_takes_away(solo, world):
    engine = solo(
        "import world\nasync def a(input, ctx):\n    return await ctx.effect('w', lambda: world.did.append(1))\n"
    )
    result = await engine.run(mode="dry_run")
    assert result.error["code"] == "denied"
    assert world.did == []
    assert result.history[0].event.fact.mode == "dry_run"


async def test_an_unknown_mode(solo):
    with pytest.raises(UsageError, match="no mode 'fast'; modes are implement"):
        await solo(ECHO).run(mode="fast")


async def test_a_start_by_name(project, engine):
    nodes = [{"id": "s", "role": "start", "default": True}, {"id": "t", "role": "start"}, {"id": "x", "role": "exit"}]
    one = engine(project(nodes, "s>x t>x"))
    result = await one.run(start="t")
    assert result.history[0].event.fact.start == "t"
    assert (await one.run()).history[0].event.fact.start == "s"


async def test_overrides_session_and_deployment_are_recorded(solo, world):
    engine = solo(
        ECHO,
        sections={"deployment": {"environment": "test"}},
    )
    result = await (await engine.start(request=RunRequest(overrides={"model": "m"}, session="s1"))).result()
    first = result.history[0].event
    assert first.payload["overrides"] == {"model": "m"}
    assert first.payload["deployment"] == {"environment": "test"}
    assert first.fact.principal.session == "s1"


def test_ids_sort_by_time_and_differ():
    assert runs.new_id(1_000) < runs.new_id(2_000_000)
    assert runs.new_id(1_000) != runs.new_id(1_000)


# -- resume ----------------------------------------------------------------------------------------------------------

ASK = "async def a(input, ctx):\n    return await ctx.ask('?')\n"


async def test_a_run_goes_on_by_its_recorded_plan_with_changed_manifests(solo, project):
    engine = solo(ASK)
    run = (await engine.run()).run_id
    nodes = [{"id": "other", "role": "start"}, {"id": "x", "role": "exit"}]
    project(nodes, "other>x", ASK)
    assert (await engine.approve(run, 5)).output == 5


async def test_changed_source_needs_accept_and_is_noted(solo):
    engine = solo(ASK)
    run = (await engine.run()).run_id
    path = engine.directory / "handlers.py"
    path.write_text(path.read_text() + "# changed\n")
    with pytest.raises(Conflict, match=r"source changed since it was started: handlers\.py") as caught:
        await engine.resume(run)
    assert caught.value.code == "source_changed"
    (result,) = await engine.resume(run, accept=True)
    notes = [r.event for r in result.history if isinstance(r.event.fact, ev.Noted)]
    assert [(n.fact.name, n.payload) for n in notes] == [("source_accepted", {"files": ["handlers.py"]})]


async def test_a_project_directory_that_is_gone(solo):
    engine = solo(ASK)
    run = (await engine.run()).run_id
    shutil.move(engine.directory, engine.directory.with_name("away"))
    with pytest.raises(NotFound, match="is gone"):
        await engine.resume(run)


async def test_resume_takes_all_that_nobody_drives(solo):
    engine = solo(ASK)
    names = [(await engine.run()).run_id for _ in range(3)]
    results = await engine.resume()
    assert [r.run_id for r in results] == names
    assert {r.state for r in results} == {"waiting"}


async def test_resuming_what_runs_here_gives_it_back(solo):
    engine = solo(ASK)
    handle = await engine.start()
    await handle.settled()
    host = engine.host(handle.run_id)
    assert await runs.resume(engine.workspace, handle.run_id) is host


async def test_a_paused_run_goes_on_with_resume(solo, world):
    engine = solo(ECHO)
    handle = await engine.start(7, debugger=Debugger(breakpoints=frozenset({"a"})))
    await handle.settled()
    await engine.workspace.scheduler.let_go(engine.host(handle.run_id))
    (result,) = await engine.resume(handle.run_id)
    assert result.output == 7


# -- telling ---------------------------------------------------------------------------------------------------------


async def test_a_run_that_another_process_drives_is_told_through_its_inbox(solo, monkeypatch):
    engine = solo(ASK)
    run = (await engine.run()).run_id

    async def driven(name):
        raise Conflict("driven by process 1", code="driven")

    monkeypatch.setattr(engine.workspace.journal, "claim", driven)
    result = await engine.approve(run, 5)
    assert result.state == "waiting"
    (message,) = await engine.workspace.journal.messages([run])
    assert (message.kind, message.key, message.body["value"]) == ("answer", "0/a#1/1", 5)


async def test_what_has_ended_is_told_nothing(solo, world):
    engine = solo(ECHO)
    run = (await engine.run()).run_id
    with pytest.raises(Conflict, match="has ended"):
        await engine.cancel(run)


async def test_cancelling_a_run_that_nobody_drives(solo):
    engine = solo(ASK)
    run = (await engine.run()).run_id
    result = await engine.cancel(run, "enough")
    assert (result.state, result.error["message"]) == ("cancelled", "enough")


async def test_a_remark_after_the_end(solo, world):
    engine = solo(ECHO)
    run = (await engine.run()).run_id
    await runs.note(engine.workspace, run, "reviewed", "ada", {"ok": True})
    last = (await engine.result(run)).history[-1].event
    assert (last.fact.name, last.fact.by, last.payload) == ("reviewed", "ada", {"ok": True})
    assert (await engine.result(run)).output is None
    assert await engine.verify(run) == []


# -- looking ---------------------------------------------------------------------------------------------------------


async def test_results_of_runs_that_wait_and_that_have_ended(solo):
    engine = solo(ASK)
    result = await engine.run()
    assert (result.state, result.status, result.output) == ("waiting", None, None)
    assert result.waiting[0].request["question"] == "?"
    result = await engine.approve(result.run_id, 5)
    assert (result.state, result.status, result.output, result.error) == ("completed", "success", 5, None)


async def test_a_run_is_found_by_the_beginning_of_its_id(solo, world, monkeypatch):
    ids = iter(["raa1", "rab2", "rb"])
    monkeypatch.setattr(runs, "new_id", lambda _: next(ids))
    engine = solo(ECHO)
    with pytest.raises(NotFound, match="no runs yet"):
        await engine.find()
    for i in range(3):
        await engine.run(i)
    assert await engine.find("rb") == "rb"
    assert await engine.find("raa") == "raa1"
    assert await engine.find() == "rb"
    with pytest.raises(UsageError, match="begins several runs"):
        await engine.find("ra")
    with pytest.raises(NotFound, match="no run zz"):
        await engine.find("zz")


async def test_questions_of_all_runs_oldest_first(solo):
    engine = solo(ASK)
    names = [(await engine.run()).run_id for _ in range(3)]
    assert sorted(w.run for w in await engine.waiting()) == sorted(names)
    assert [w.run for w in await engine.waiting(names[1])] == [names[1]]


async def test_calls_of_unknown_price_are_not_shown_as_nothing(tmp_path):
    project = {
        "workflow": {
            "id": "w",
            "nodes": [
                {"id": "s", "kind": "deterministic", "role": "start"},
                {"id": "a", "kind": "agent", "role": "linear", "agent": "one"},
                {"id": "e", "kind": "deterministic", "role": "exit"},
            ],
            "edges": [{"from": "s", "to": "a"}, {"from": "a", "to": "e"}],
        },
        "providers": [{"id": "house", "type": "openai_compatible", "base_url": "http://127.0.0.1:1/v1"}],
        "agents": [{"id": "one", "model": "house/unheard-of"}],
    }  # fmt: skip
    async with open_project(write_project(tmp_path, project), ":memory:", models=ScriptedModel("yes")) as engine:
        result = await engine.run("hi")
    assert (result.output, result.cost, result.unpriced) == ("yes", "0", 1)
    assert money(result.cost, result.unpriced) == "$0 + 1 call of unknown price"


@pytest.mark.parametrize(
    ("session", "said"), [("x" * 201, "found 201 characters"), ("a\nb", r"found 'a\\nb'"), ("\ud800", "printable")]
)
async def test_what_can_be_no_session_is_refused_before_anything_starts(solo, session, said):
    engine = solo("def a(input, ctx):\n    return 1\n")
    with pytest.raises(UsageError, match=said):
        await engine.start(request=RunRequest(session=session))
