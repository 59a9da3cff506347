"""A pool at work: who did what is recorded, and decides who does it next."""

import pytest

from clew.core.errors import Failure, JournalError
from clew.gate.ports.model import ModelRequest
from clew.manifest.plan import load
from clew.service.engine import AsyncEngine
from clew.service.fitness import fitness
from clew.service.settings import MEMORY, Settings
from clew.testing import ManualClock, ScriptedModel, write_project

POOL = """
workflow:
  id: letters
  nodes:
    - {id: start, kind: deterministic, role: start}
    - {id: write, kind: agent, role: linear, agent: writers}
    - {id: done, kind: deterministic, role: exit}
  edges: [{from: start, to: write}, {from: write, to: done}]
providers: [{id: main, type: openai_compatible, base_url: "http://127.0.0.1:1/v1", prices: {input: 1, output: 1}}]
agents:
  - {id: good, model: main/good}
  - {id: bad, model: main/bad}
  - {id: writers, pool: [good, bad]}
"""


class Client:
    """A provider whose model ``bad`` never answers."""

    def __init__(self, scripted):
        self._scripted = scripted

    async def ask(self, model: str, request: ModelRequest, emit=None):
        if model == "bad":
            raise Failure("no", code="invalid_request")
        return await self._scripted.ask(model, request, emit)

    async def close(self):
        await self._scripted.close()


@pytest.fixture
async def pool(tmp_path):
    directory = write_project(tmp_path / "letters", POOL)
    one = AsyncEngine(
        load(directory), directory, Settings(state=MEMORY), clock=ManualClock(auto=True),
        models=Client(ScriptedModel(*["a letter"] * 100)),
    )  # fmt: skip
    yield one
    await one.close()


def chosen(result):
    (event,) = [r.event for r in result.history if getattr(r.event.fact, "kind", "") == "selection"]
    return event.payload["output"]


async def test_a_pool_learns_who_does_the_work(pool):
    results = [await pool.run(f"letter {n}") for n in range(30)]
    picks = [chosen(result) for result in results]
    names = [pick["agent"] for pick in picks]
    assert {"good", "bad"} == set(names)
    assert names[15:].count("good") > 12
    for result, name in zip(results, names, strict=True):
        assert result.status == ("success" if name == "good" else "failure")
    last = picks[-1]["scores"]
    assert (last["good"]["success"], last["bad"]["success"]) == (1, 0)
    assert last["good"]["bodies"] + last["bad"]["bodies"] == 29
    assert last["good"]["cost"] not in ("", "0")
    good, bad = sorted(await fitness(pool.workspace), key=lambda one: -one.ok)
    assert (good.workflow, good.agent, good.model, good.deployment) == ("letters", "good", "main/good", "main/good")
    assert (good.ok, good.failed, bad.ok, bad.failed) == (names.count("good"), 0, 0, names.count("bad"))
    assert good.cost == last["good"]["cost"]
    assert good.tokens > 0
    assert await fitness(pool.workspace, "letters", "good") == [good]
    assert await fitness(pool.workspace, "other") == []


async def test_replay_and_a_later_choice_keep_what_was_chosen(pool):
    first = await pool.run("a letter")
    for n in range(10):
        await pool.run(f"letter {n}")
    assert (await pool.replay(first.run_id)).verdict == "identical"


async def test_other_tenants_are_not_told(pool):
    await pool.run("a letter")
    pool.workspace.settings = Settings(state=MEMORY, tenant="acme")
    assert await fitness(pool.workspace) == []


async def test_a_choice_that_was_recorded_is_kept_when_the_run_goes_on(pool, crash):
    """The process dies between the choice and the first answer; by then the record speaks for another agent."""
    for n in range(8):
        with crash(pool, lambda fact: getattr(fact, "kind", "") == "model"), pytest.raises(JournalError):
            await pool.run(f"letter {n}")
        (row, *_) = await pool.runs()
        records = await pool.workspace.journal.read(row.run)
        (choice,) = [r.event.payload["output"] for r in records if getattr(r.event.fact, "kind", "") == "selection"]
        await pool.run(f"another {n}")
        (result,) = await pool.resume(row.run)
        assert chosen(result) == choice
        assert result.status == ("success" if choice["agent"] == "good" else "failure")
