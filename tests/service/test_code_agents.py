"""The code agents as tasks of an engine, and as what ships: names, schemas, plans."""

from pathlib import Path

import pytest

from clew.agents.code import registry
from clew.core.envelopes import AgentTask
from clew.core.errors import Failure, NotFound
from clew.gate.schema import Validator
from clew.manifest.plan import load
from clew.runtime.handlers import Handlers
from clew.service import code_agents, tasks
from clew.service.engine import open_project

EXAMPLE = Path(__file__).parents[2] / "examples" / "debug-loop"


@pytest.fixture
def repo(tmp_path):
    top = tmp_path / "repo"
    top.mkdir()
    (top / "sums.py").write_text("def total(values):\n    return sum(values) + 1\n")
    (top / "test_sums.py").write_text("from sums import total\n\n\ndef test_total():\n    assert total([1]) == 1\n")
    return top


@pytest.fixture
def answer(monkeypatch):
    monkeypatch.setattr(tasks, "AGENTS", {**tasks.AGENTS, **code_agents.PLANS})

    async def perform(agent, **payload):
        async with open_project(EXAMPLE, ":memory:") as engine:
            task = AgentTask(id="t1", agent=agent, payload=payload)
            return await tasks.perform(engine.workspace, load(EXAMPLE), EXAMPLE, task)

    return perform


def test_what_ships():
    assert set(code_agents.PLANS) == set(code_agents.HANDLERS) == set(registry.AGENTS)
    for agent in registry.AGENTS.values():
        Validator(agent.schema())
    with pytest.raises(NotFound, match="CodeGen"):
        registry.agent("Coder")
    assert code_agents.PLANS["Debug"](load(EXAMPLE)).digest != load(EXAMPLE).digest


@pytest.mark.parametrize("name", code_agents.HANDLERS)
async def test_handlers(name):
    handler, _ = Handlers(EXAMPLE).get(code_agents.HANDLERS[name])
    with pytest.raises(Failure) as failed:
        await handler({"repo": 7}, None)
    assert failed.value.code == "invalid_payload"


@pytest.mark.parametrize(
    ("result", "summary"),
    [
        ({"summary": "said"}, "said"),
        ({"diagnosis": {"summary": "why"}}, "why"),
        ({"counts": {"passed": 2, "failed": 1}}, "2 passed, 1 failed"),
        ({}, "X is done"),
    ],
)
def test_what_is_no_delta(result, summary):
    told = code_agents.answered({"agent": "X", **result}, None)
    assert told == {"delta": {"summary": summary}, "artifacts": [{"agent": "X", **result}], "newTasks": []}


@pytest.mark.sandbox
async def test_a_delta(answer, repo):
    told = await answer(
        "CodeGen", repo=str(repo), action="modify", target="sums.py", content="def total(v):\n    return sum(v)\n"
    )
    assert told.type == "AgentResult", told
    assert told.payload.delta.doc.path == "sums.py"
    assert "+    return sum(v)" in told.payload.delta.diff
    assert told.payload.artifacts[0]["agent"] == "CodeGen"


@pytest.mark.sandbox
async def test_an_artifact(answer, repo):
    told = await answer("TestExec", repo=str(repo))
    (artifact,) = told.payload.artifacts
    assert (artifact["status"], artifact["rc"], artifact["ok"]) == ("OK", 1, False)
    assert told.payload.delta.summary == "1 failed"


@pytest.mark.sandbox
async def test_an_error(answer, repo):
    told = await answer("TestExec", repo=str(repo), mustPass=True)
    assert (told.type, told.error.code) == ("AgentError", "TestFailure")
    assert told.error.details["counts"] == {"failed": 1}


async def test_a_payload_that_is_wrong(answer, repo):
    told = await answer("CodeGen", repo=str(repo), action="burn", target="sums.py")
    assert (told.type, told.error.code) == ("AgentError", "invalid_payload")
