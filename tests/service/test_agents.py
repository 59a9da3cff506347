"""Which plan an agent's name stands for; agents that ship need no project, and cost nothing until one works."""

import subprocess
import sys

import pytest

from clew.agents.code import registry
from clew.core.envelopes import AgentResult, task_of
from clew.core.errors import ManifestError, NotFound
from clew.manifest.build import plan_digest
from clew.manifest.plan import check
from clew.service import tasks
from clew.service.agents import CODE_AGENTS, plan_for, project_for
from clew.testing import ScriptedModel, write_project


async def test_a_declared_agent_runs_alone(project, engine):
    nodes = [{"id": "start", "role": "start"}, {"id": "d", "role": "exit"}]
    sections = {
        "providers": [{"id": "p", "type": "openai", "base_url": "http://localhost/v1"}],
        "agents": [
            {"id": "writer", "model": "p/m", "instructions": "Write.", "limits": {"time": "7s"}},
            {"id": "either", "pool": ["writer"]},
        ],
    }
    made = engine(project(nodes, "start>d", **sections))
    made._models = ScriptedModel("written")
    alone = plan_for(made.plan, "writer")
    assert [node.id for node in alone.graph.nodes] == ["start", "work", "done"]
    assert (alone.workflow, alone.project, alone.nodes["work"].timeout_ms) == ("writer", "project", 7_000)
    assert alone.digest == plan_digest(alone) != made.plan.digest
    assert plan_for(made.plan, "either").nodes["work"].agent == "either"
    task = task_of({"id": "t1", "agent": "writer", "payload": "a poem"})
    found = await tasks.perform(made.workspace, made.plan, made.directory, task)
    assert isinstance(found, AgentResult), found
    assert found.payload.delta.summary == "written"
    assert found.metrics.tokens_used > 0


def test_what_ships_is_known_everywhere(solo):
    plan = solo("def a(input, ctx):\n    return input\n").plan
    assert set(CODE_AGENTS) == set(registry.AGENTS)
    for name, handler in CODE_AGENTS.items():
        alone = plan_for(plan, name)
        assert (alone.workflow, alone.nodes["work"].handler) == (name, handler)
        assert alone.digest == plan_digest(alone) != plan.digest
    with pytest.raises(
        NotFound, match=r"'Debgu'.*did you mean 'Debug'\? there are project, CodeGen, .*Planning"
    ) as caught:
        plan_for(plan, "Debgu")
    assert caught.value.code == "unknown_agent"


def test_what_ships_needs_no_project(tmp_path):
    plan, directory = project_for(tmp_path)
    assert directory == tmp_path
    assert plan_for(plan, "TestExec").workflow == "TestExec"
    with pytest.raises(NotFound, match=r"there is no project here, and no agent 'shop' \(there are CodeGen"):
        plan_for(plan, "shop")


def test_what_is_wrong_with_a_project_is_not_passed_over(tmp_path):
    with pytest.raises(ManifestError):
        project_for(tmp_path / "nowhere")
    (tmp_path / "models.yaml").write_text("coder: {use: [main/m]}\n")
    with pytest.raises(ManifestError):
        project_for(tmp_path)


def test_their_handlers_fit_into_manifests(tmp_path):
    for name, handler in CODE_AGENTS.items():
        node = {"kind": "deterministic"}
        nodes = [{**node, "id": "a", "role": "start"}, {**node, "id": "b", "role": "linear", "handler": handler}]
        nodes.append({**node, "id": "c", "role": "exit"})
        edges = [{"from": "a", "to": "b"}, {"from": "b", "to": "c"}]
        write_project(tmp_path, {"workflow": {"id": name, "nodes": nodes, "edges": edges}})
        assert [str(problem) for problem in check(tmp_path) if problem.severity == "error"] == []


def test_nothing_of_them_is_loaded_before_one_works():
    program = "import sys, clew.cli.commands.task, clew.cli.commands.queue\n"
    program += "print([m for m in sys.modules if m.startswith(('clew.agents.code', 'clew.service.code_agents'))])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
