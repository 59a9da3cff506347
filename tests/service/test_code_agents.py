"""The code agents as tasks of an engine, and as what ships: names, schemas, plans."""

from pathlib import Path

import pytest

from clew.agents.code import registry
from clew.core.envelopes import AgentTask
from clew.core.errors import Failure, NotFound
from clew.core.events import EffectFinished
from clew.gate.ports.journal import RunFilter
from clew.gate.schema import Validator
from clew.manifest.plan import load
from clew.runtime.handlers import Handlers
from clew.service import code_agents, tasks
from clew.service.agents import CODE_AGENTS
from clew.service.engine import open_project
from clew.service.reasoning import turns
from clew.testing import ScriptedModel

ROUND = Path(__file__).parents[2] / "examples" / "debug-loop" / "round"
EXAMPLE = Path(__file__).parents[2] / "examples" / "debug-loop"


@pytest.fixture
def repo(tmp_path):
    top = tmp_path / "repo"
    top.mkdir()
    (top / "sums.py").write_text("def total(values):\n    return sum(values) + 1\n")
    (top / "test_sums.py").write_text("from sums import total\n\n\ndef test_total():\n    assert total([1]) == 1\n")
    return top


@pytest.fixture
def answer():
    async def perform(agent, **payload):
        async with open_project(EXAMPLE, ":memory:") as engine:
            task = AgentTask(id="t1", agent=agent, payload=payload)
            return await tasks.perform(engine.workspace, load(EXAMPLE), EXAMPLE, task)

    return perform


def test_schemas_of_payloads():
    for agent in registry.AGENTS.values():
        Validator(agent.schema())
    with pytest.raises(NotFound, match="CodeGen"):
        registry.agent("Coder")


@pytest.mark.parametrize("name", CODE_AGENTS)
async def test_handlers(name):
    handler, _ = Handlers(EXAMPLE).get(CODE_AGENTS[name])
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


# -- with a model ------------------------------------------------------------------------------------------------------


async def test_what_a_model_looks_at_is_on_record(repo):
    """Tool calls are effects of the gate: journaled, shown, replayed without anybody being asked again."""
    call = ScriptedModel.call
    model = ScriptedModel(
        [call("search_files", query="sum(", pattern="*.py"), call("read_file", path="../elsewhere.py")],
        call("read_file", path="sums.py", lines=2),
        {"diagnosis": "one too many", "target": "sums.py", "instructions": "take one away"},
    )
    payload = {"repo": str(repo), "model": "coder", "errorLog": "assert 2 == 1", "patch": False, "handOn": True}
    async with open_project(ROUND, ":memory:", models=model) as engine:
        task = AgentTask(id="t1", agent="Debug", payload=payload)
        told = await tasks.perform(engine.workspace, engine.plan, engine.directory, task)
        assert told.type == "AgentResult", told
        (queued,) = await engine.runs(RunFilter(states=("queued",)))
        assert queued.workflow == "CodeGen"
        assert (await engine.replay(told.id, handlers=True)).verdict == "identical"
        facts = [r.event.fact for r in await engine.workspace.journal.read(told.id)]
        view = await engine.inspect(told.id)
    assert len(model.seen) == 3
    made = [(f.kind, f.name, f.agent, f.status) for f in facts if isinstance(f, EffectFinished) and f.agent]
    assert sorted(made) == sorted(
        [("model", "coder", "Debug", "ok")] * 3
        + [
            ("tool", "search_files", "Debug", "ok"),
            ("tool", "read_file", "Debug", "error"),
            ("tool", "read_file", "Debug", "ok"),
        ]
    )
    steps = [step for node in view.nodes for turn in turns(node) for step in turn.steps]
    assert [(s.kind, s.name, s.failed) for s in steps if s.kind == "observation"] == [
        ("observation", "search_files", False),
        ("observation", "read_file", True),
        ("observation", "read_file", False),
    ]


async def test_without_a_project_there_are_no_models(answer, repo):
    told = await answer("DesignReview", repo=str(repo), model="coder")
    assert (told.type, told.error.code) == ("AgentError", "no_models")


async def test_another_failure_of_a_model_is_told_as_it_is(repo):
    async with open_project(ROUND, ":memory:", models=ScriptedModel(ScriptedModel.refusal("no"))) as engine:
        task = AgentTask(id="t1", agent="DesignReview", payload={"repo": str(repo), "model": "coder"})
        told = await tasks.perform(engine.workspace, engine.plan, engine.directory, task)
    assert (told.type, told.error.code) == ("AgentError", "refused")
