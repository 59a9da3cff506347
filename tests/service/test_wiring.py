"""The composition root: what it puts together, and what it refuses to."""

import msgspec
import pytest

from clew.core.errors import NotFound, UsageError
from clew.manifest.compiled import ToolPlan
from clew.policies import ORDER
from clew.service.settings import Settings
from clew.service.wiring import Workspace, open_journal, start_of
from clew.testing import ManualClock

CREDENTIALS = {
    "providers": [{"id": "main", "type": "openai", "credential": "key"}],
    "provider_credentials": [
        {"id": "key", "provider": "main", "auth": {"type": "api_key", "source": "env", "env_var": "TEST_SECRET_KEY"}}
    ],
}  # fmt: skip
ECHO = "async def a(input, ctx):\n    return input\n"


async def test_interceptors_stand_in_the_fixed_order(solo):
    engine = solo(ECHO)
    world = await engine.workspace.world(engine.plan, engine.directory)
    assert tuple(i.name for i in world.interceptors) == ORDER


async def test_a_secret_of_the_manifests_is_removed_from_what_comes_back(solo, monkeypatch):
    monkeypatch.setenv("TEST_SECRET_KEY", "sesame-open")
    engine = solo(
        "import os\nasync def a(input, ctx):\n    return await ctx.effect('leak', lambda: os.environ['TEST_SECRET_KEY'])\n",
        sections=CREDENTIALS,
    )
    result = await engine.run()
    assert result.output == "[redacted]"
    assert "sesame-open" not in str(result.history)


def test_starts(project, engine):
    nodes = [{"id": "s", "role": "start", "default": True}, {"id": "t", "role": "start"}, {"id": "x", "role": "exit"}]
    plan = engine(project(nodes, "s>x t>x")).plan
    assert (start_of(plan, None), start_of(plan, "t")) == ("s", "t")
    with pytest.raises(UsageError, match="'x' is no start of 'project'; its starts are s, t"):
        start_of(plan, "x")


def test_a_state_directory_is_made_only_when_asked_for(tmp_path):
    settings = Settings(state=str(tmp_path / "none"))
    with pytest.raises(NotFound, match="no runs are kept in"):
        open_journal(settings, ManualClock(), create=False)
    assert not (tmp_path / "none").exists()


async def test_runs_survive_on_disk(tmp_path, solo):
    state = str(tmp_path / "state")
    engine = solo(ECHO)
    settings = Settings(state=state)
    first = Workspace(settings)
    world = await first.world(engine.plan, engine.directory)
    assert await first.recorded_plan(world.project.address) == engine.plan
    await first.close()
    second = Workspace(settings, create=False)
    assert (await second.recorded_world(world.project.address, engine.directory)).project.plan == engine.plan
    await second.close()


async def test_a_tool_of_a_server_starts_nothing_before_it_is_called(solo):
    engine = solo(ECHO)
    plan = msgspec.structs.replace(
        engine.plan, tools={"it.add": ToolPlan(type="mcp", server={"command": ["/none"]}, name="add")}
    )
    world = await engine.workspace.world(plan, engine.directory)
    spec = world.project.tools["it.add"]
    assert (spec.repeat_safe, spec.mutates, spec.permissions.network, spec.permissions.shell) == (
        False,
        True,
        True,
        True,
    )


async def test_builtin_and_handler_tools(solo):
    tools = {"tools": [{"id": "list_files", "type": "builtin"}, {"id": "own", "handler": "handlers:own"}]}
    engine = solo(ECHO + "def own(args, context):\n    return 'mine'\n", sections=tools, tools=["list_files", "own"])
    world = await engine.workspace.world(engine.plan, engine.directory)
    assert set(world.project.tools) == {"list_files", "own"}
    assert set(world.drivers) == {"tool", "context"}
