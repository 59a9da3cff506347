"""The Python API: the async form and its blocking portal (design §10)."""

import asyncio

import pytest

import clew
from clew.core.errors import ManifestError, NotFound, UsageError
from clew.core.events import EffectFinished
from clew.gate.ports.journal import RunFilter
from clew.gate.ports.model import Answered, ModelAnswer, Text
from clew.gate.ports.stream import Chunk
from clew.service.engine import AsyncEngine, Engine, open_project, open_state
from clew.service.settings import MEMORY, Settings

DOUBLE = "async def a(input, ctx):\n    return input * 2\n"
ASK = "async def a(input, ctx):\n    return await ctx.ask('?')\n"


# -- results ---------------------------------------------------------------------------------------------------------


async def test_a_result_is_also_a_mapping(solo):
    result = await solo(DOUBLE).run(2)
    assert dict(result)["output"] == result["output"] == result.output == 4
    assert set(result) == {"output", "status", "run_id", "state", "error", "cost", "unpriced", "waiting", "history"}
    assert len(result) == 9
    assert repr(result) == f"RunResult(run_id={result.run_id!r}, state='completed', status='success', output=4)"


# -- handles ---------------------------------------------------------------------------------------------------------


async def test_events_come_as_they_become_durable_and_end_with_the_run(solo):
    engine = solo(DOUBLE)
    handle = await engine.start(2)
    names = [type(e.fact).__name__ async for e in handle.events()]
    assert (names[0], names[-1]) == ("RunStarted", "RunFinished")
    assert names == [type(r.event.fact).__name__ for r in (await handle.result()).history]
    assert [type(e.fact).__name__ async for e in handle.events(after=len(names) - 1)] == ["RunFinished"]


SAYING = {
    "providers": [{"id": "p", "type": "openai"}],
    "provider_credentials": [{"id": "k", "auth": {"source": "env", "env_var": "TEST_SECRET_KEY"}}],
}  # fmt: skip


class Speaker:
    """A model client that says its words one by one."""

    def __init__(self, *words):
        self.words = words

    async def ask(self, model, request, emit=None):
        for word in self.words if emit else ():
            emit("text", word)
            await asyncio.sleep(0)
        return Answered(answer=ModelAnswer(parts=(Text(content="".join(self.words)),)))

    async def close(self): ...


@pytest.fixture
async def saying(solo, monkeypatch):
    """``saying(*words)``: an engine whose node asks a model that says them; ``sesame-open`` is a credential."""
    monkeypatch.setenv("TEST_SECRET_KEY", "sesame-open")
    opened = []

    def make(*words):
        asks = "async def a(input, ctx):\n    return await ctx.model('p/m', [{'role': 'user', 'content': '?'}])\n"
        made = solo(asks, sections=SAYING)
        opened.append(AsyncEngine(made.plan, made.directory, Settings(state=MEMORY), models=Speaker(*words)))
        return opened[-1]

    yield make
    for one in opened:
        await one.close()


async def test_a_stream_has_what_models_say_between_the_events(saying):
    engine = saying("it ", "is ses", "ame-", "open ", "so")
    handle = await engine.start()
    items = [item async for item in handle.stream()]
    said = [i for i, item in enumerate(items) if isinstance(item, Chunk)]
    assert [items[i].kind for i in said] == ["reset", "text", "text", "text", "text", "end"]
    assert "".join(items[i].text for i in said) == "it is [redacted] so"
    events = [item for item in items if not isinstance(item, Chunk)]
    assert events == [r.event for r in (await handle.result()).history]
    answered = next(i for i, item in enumerate(items) if isinstance(getattr(item, "fact", None), EffectFinished))
    assert max(said) < answered
    assert not engine.workspace.streams.wanted(handle.run_id)
    assert [item async for item in handle.stream(after=len(events) - 1)] == events[-1:]


async def test_without_a_listener_nothing_is_streamed(saying):
    engine = saying("it ", "is")
    result = await engine.run()
    assert result.output == "it is"
    assert engine.workspace.streams._speeches == {}


async def test_a_handle_cancels(solo):
    engine = solo(ASK)
    handle = await engine.start()
    await handle.settled()
    await handle.cancel("enough")
    assert (await handle.result()).state == "cancelled"


async def test_a_result_waits_for_an_answer_however_late(solo):
    engine = solo(ASK)
    handle = await engine.start()
    waiting = asyncio.create_task(handle.result())
    assert (await handle.settled()).state == "waiting"
    await engine.approve(handle.run_id, 5)
    assert (await waiting).output == 5


async def test_the_handle_of_a_run_that_ended_answers_at_once(solo):
    engine = solo(DOUBLE)
    handle = await engine.start(2)
    await handle.result()
    assert (await handle.result()).output == 4
    assert (await handle.settled()).output == 4


async def test_a_live_host_by_its_run(solo):
    engine = solo(ASK)
    handle = await engine.start()
    await handle.settled()
    assert engine.host(handle.run_id).run == handle.run_id
    with pytest.raises(NotFound, match="is not driven here"):
        engine.host("other")


# -- opening and closing ---------------------------------------------------------------------------------------------


async def test_closing_gives_up_what_runs_and_another_engine_goes_on(solo, tmp_path, clock):
    state = str(tmp_path / "state")
    first = solo(ASK)
    async with AsyncEngine(first.plan, first.directory, Settings(state=state), clock=clock) as engine:
        run = (await engine.run()).run_id
    async with open_state(state) as engine:
        assert [w.run for w in await engine.waiting()] == [run]
        assert (await engine.approve(run, 5)).output == 5
        assert await engine.verify(run) == []
        with pytest.raises(UsageError, match="open it with a project"):
            await engine.run()


async def test_a_state_that_is_not_there(tmp_path):
    engine = open_state(tmp_path / "none")
    with pytest.raises(NotFound, match="no runs are kept"):
        await engine.runs()


def test_a_broken_project_is_refused_with_every_problem(tmp_path):
    (tmp_path / "clew.yaml").write_text("workflow: {id: w, nodes: [{id: a, kind: x, role: y}], edges: []}\n")
    with pytest.raises(ManifestError) as caught:
        open_project(tmp_path, MEMORY)
    assert len(caught.value.problems) >= 2


async def test_closing_an_engine_that_did_nothing(solo):
    engine = solo(DOUBLE)
    await engine.close()
    await engine.close()


async def test_verify_of_an_unknown_run(solo):
    with pytest.raises(NotFound):
        await solo(DOUBLE).verify("nobody")


# -- the blocking form -----------------------------------------------------------------------------------------------


@pytest.fixture
def blocking(project):
    nodes = [{"id": "s", "role": "start"}, {"id": "a", "role": "linear", "handler": "a"}, {"id": "x", "role": "exit"}]
    made = []

    def make(handlers):
        engine = clew.Engine.from_config_dir(project(nodes, "s>a>x", handlers), MEMORY)
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.close()


def test_the_blocking_form_has_the_same_names(blocking):
    engine = blocking(DOUBLE)
    result = engine.run(2)
    assert (result.output, result.status) == (4, "success")
    assert engine.replay(result.run_id).verdict == "identical"
    assert engine.verify() == []
    assert engine.inspect(result.run_id).output == 4
    assert [r.run for r in engine.runs(RunFilter())] == [result.run_id]
    assert engine.fork(result.run_id, 1, {"": 5}).output == 10


def test_the_queue_and_questions_of_the_blocking_form(blocking):
    engine = blocking(ASK)
    run = engine.enqueue(1)
    assert [r.state for r in engine.run_queued()] == ["waiting"]
    assert [r.state for r in engine.resume(run)] == ["waiting"]
    assert engine.approve(run, 7).output == 7
    assert engine.reject(engine.run().run_id).error["code"] == "rejected"
    assert engine.cancel(engine.run().run_id).state == "cancelled"


def test_it_is_a_context_manager(blocking):
    with blocking(DOUBLE) as engine:
        assert engine.run(1).output == 2


async def test_inside_a_loop_start_is_awaited_and_the_rest_refused(project):
    nodes = [{"id": "s", "role": "start"}, {"id": "x", "role": "exit"}]
    engine = Engine.from_config_dir(project(nodes, "s>x"), MEMORY)
    handle = await engine.start(5)
    assert (await handle.result()).output == 5
    with pytest.raises(UsageError, match=r"engine\.aio"):
        engine.run(5)
    await engine.aio.close()


def test_every_use_case_of_the_async_form_has_its_blocking_one():
    blocking = {n for n in vars(Engine) if not n.startswith("_")}
    use_cases = {"start", "run", "enqueue", "run_queued", "resume", "approve", "reject", "cancel", "replay", "fork", "verify",
                 "inspect", "runs", "close"}  # fmt: skip
    assert use_cases <= blocking
    assert use_cases <= set(vars(AsyncEngine))
