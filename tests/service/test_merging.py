"""A merge by an agent as a run: what it is planned by, and which memory it reaches."""

import pytest

from clew.context.store import ContextStore
from clew.core.errors import NotFound, UsageError
from clew.gate.ports.context import Put
from clew.manifest.build import plan_digest
from clew.service import runs
from clew.service.merging import plan_for, request_for
from clew.testing import ScriptedModel

SECTIONS = {
    "providers": [{"id": "p", "type": "openai", "base_url": "http://localhost/v1"}],
    "agents": [{"id": "clerk", "model": "p/m", "limits": {"time": "7s"}}, {"id": "either", "pool": ["clerk"]}],
}
GIVEN = {"id": "d", "text": "theirs\n", "base": 1, "agent": "clerk"}


@pytest.fixture
def made(solo, tmp_path):
    return solo("def a(input, ctx):\n    return input\n", sections=SECTIONS)


def test_a_workflow_of_one_node_in_the_projects_own_name(made):
    plan = plan_for(made.plan, "clerk")
    assert [node.id for node in plan.graph.nodes] == ["start", "merge", "done"]
    assert (plan.workflow, plan.nodes["merge"].timeout_ms, plan.handlers) == ("project", 7_000, {})
    assert plan.digest == plan_digest(plan) != made.plan.digest


@pytest.mark.parametrize(
    ("agent", "said"),
    [("clrek", r"'clrek' with a model \(did you mean 'clerk'\? there are: clerk\)"), ("either", "there are: clerk")],
)
def test_an_agent_with_a_model(made, agent, said):
    with pytest.raises(NotFound, match=said) as caught:
        plan_for(made.plan, agent)
    assert caught.value.code == "unknown_agent"


@pytest.mark.parametrize(
    ("scope", "kind", "session"),
    [("project", "project", ""), ("project:project", "project", ""), ("global", "global", ""), ("session:s 1", "session", "s 1")],
)  # fmt: skip
def test_the_scope_as_a_run_names_it(made, scope, kind, session):
    request = request_for(made.plan, scope, GIVEN)
    assert (request.input, request.session) == (GIVEN | {"scope": kind}, session)


@pytest.mark.parametrize("scope", ["project:other", "task:r1", "huh"])
def test_what_no_run_of_the_project_reaches(made, scope):
    with pytest.raises(UsageError, match=r"scope|cannot merge in"):
        request_for(made.plan, scope, GIVEN)


@pytest.mark.parametrize("scope", ["global", "session:s"])
async def test_it_runs(made, scope):
    made._models = ScriptedModel({"conflicts": [{"number": 1, "text": "both", "why": "fair"}]})
    store: ContextStore = made.workspace.memories.store(made.plan, made.settings.tenant)
    made.workspace.memories.store = lambda *_: store
    with store.using(scope, create=True) as collection:
        collection.write([Put(id="d", text="base\n")])
        collection.write([Put(id="d", text="ours\n")])
        request = request_for(made.plan, scope, GIVEN)
        host = await runs.start(made.workspace, plan_for(made.plan, "clerk"), made.directory, request)
        await host.ended.wait()
        assert collection.get("d").text == "both\n"
    result = await made.result(host.run)
    assert (result.output["version"], result.output["by"]) == (3, "clerk")
    assert (await made.replay(host.run, handlers=True)).verdict == "identical"
