"""Taking MCP tools in, and what runs do with them then: resumed and replayed without their server."""

import asyncio
import json
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from clew.core.errors import Failure, ManifestError, UsageError
from clew.manifest.plan import load
from clew.service.engine import AsyncEngine
from clew.service.pin import pin
from clew.service.settings import Settings
from clew.testing import write_project

SCRIPTED = Path(__file__).parents[1] / "tools" / "mcp" / "scripted.py"
WORKFLOW = """
workflow:
  id: mcp
  nodes:
    - {id: start, kind: deterministic, role: start}
    - {id: work, kind: deterministic, role: linear, handler: "handlers:work", tools: [it.echo, it.die, it.silent]}
    - {id: done, kind: deterministic, role: exit}
  edges: [{from: start, to: work}, {from: work, to: done}]
"""
HANDLERS = "async def work(input, ctx):\n    return await ctx.call(input['tool'], input.get('args') or {})\n"


def tools(mode="well", names="echo, die, silent", server=""):
    return f"- {{id: it, server: {{command: [{sys.executable}, -S, {SCRIPTED}, {mode}]{server}}}, tools: [{names}]}}\n"


@pytest.fixture
def project(tmp_path):
    made = write_project(tmp_path / "project", WORKFLOW, HANDLERS)
    (made / "tools.yaml").write_text(tools())
    return made


async def test_pinning_makes_a_project_whole(project):
    with pytest.raises(ManifestError, match="clew pin"):
        load(project)
    pinned = await pin(project)
    assert [(tool.id, tool.was) for tool in pinned.tools] == [
        (f"it.{name}", "new") for name in ("echo", "die", "silent")
    ]
    assert "structured" in pinned.further["it"]
    assert "echo" not in pinned.further["it"]
    assert load(project).tools["it.echo"].inputs["required"] == ["text"]
    before = (project / "mcp.lock").read_bytes()
    assert {tool.was for tool in (await pin(project / "clew.yaml")).tools} == {"same"}
    assert (project / "mcp.lock").read_bytes() == before


async def test_a_change_is_told(project):
    await pin(project)
    (project / "tools.yaml").write_text(tools("changed"))
    with pytest.raises(ManifestError, match="another server"):
        load(project)
    assert {tool.was for tool in (await pin(project)).tools} == {"changed"}


@pytest.mark.parametrize(
    ("entry", "error", "told"),
    [
        (tools(names="echo, die, silent, nothing"), UsageError, "does not offer 'nothing'; it offers ask, "),
        (tools("twice"), UsageError, "twice"),
        (tools("crash"), Failure, "cannot start"),
        ("- {id: it, handler: 'handlers:none'}", ManifestError, "none"),
    ],
)
async def test_what_cannot_be_pinned_writes_nothing(entry, error, told, project):
    (project / "tools.yaml").write_text(entry)
    with pytest.raises(error, match=told):
        await pin(project)
    assert not (project / "mcp.lock").exists()


async def test_without_such_tools_there_is_nothing_to_do(project):
    (project / "tools.yaml").write_text(
        "".join(f"- {{id: it.{name}, handler: 'handlers:work'}}\n" for name in ("echo", "die", "silent"))
    )
    assert (await pin(project)).tools == []


# -- what runs do with them ----------------------------------------------------------------------------------------------


@pytest.fixture
async def engine(project, tmp_path):
    """Engines of the pinned project, one after the other."""
    await pin(project)
    (project / "starts").unlink()

    @asynccontextmanager
    async def opened():
        async with AsyncEngine(load(project), project, Settings(state=str(tmp_path / "state"))) as one:
            yield one

    return opened


def starts(project):
    return len((project / "starts").read_text().split()) if (project / "starts").exists() else 0


async def test_a_run_calls_and_a_replay_does_not(engine, project):
    async with engine() as one:
        result = await one.run({"tool": "it.echo", "args": {"text": "hello"}})
        assert (result.status, result.output) == ("success", "hello")
    assert starts(project) == 1
    (project / "mcp.lock").unlink()  # a recorded run has its own plan
    async with AsyncEngine(one.plan, project, one.settings) as two:
        assert (await two.replay(result.run_id)).verdict == "identical"
    assert starts(project) == 1


async def test_arguments_are_checked_before_anything_is_started(engine, project):
    async with engine() as one:
        result = await one.run({"tool": "it.echo", "args": {"text": 3}})
    assert result.status == "failure"
    assert starts(project) == 0


async def test_a_careful_mode_starts_no_server(engine, project):
    async with engine() as one:
        assert (await one.run({"tool": "it.echo", "args": {"text": "x"}}, mode="safe_mode")).status == "failure"
    assert starts(project) == 0


async def test_the_credential_of_a_server_does_not_come_back(engine, project, monkeypatch):
    monkeypatch.setenv("TEST_MCP_TOKEN", "sesame-open-1234")
    auth = "auth: {type: api_key, source: env, env_var: TEST_MCP_TOKEN}"
    (project / "provider_credentials.yaml").write_text(f"- {{id: k, {auth}}}\n")
    (project / "tools.yaml").write_text(
        tools(names="echo, die, silent, environment", server=", credential: k, credential_env: K")
    )
    (project / "clew.yaml").write_text(WORKFLOW.replace("it.die", "it.environment"))
    await pin(project)
    async with engine() as one:
        result = await one.run({"tool": "it.environment"})
    assert result.output["env"]["K"] == "[redacted]"
    assert "sesame" not in str(result.history)


async def test_a_server_that_changed_since_is_not_called(engine, project):
    lock = json.loads((project / "mcp.lock").read_text())
    lock["tools"]["it.echo"]["pin"] = "0" * 64
    (project / "mcp.lock").write_text(json.dumps(lock))
    async with engine() as one:
        pass
    (project / "mcp.lock").write_text(json.dumps(lock))
    async with AsyncEngine(load(project), project, one.settings) as two:
        result = await two.run({"tool": "it.echo", "args": {"text": "x"}})
    assert result.error["code"] == "tool_changed"
    assert not (project / "calls").exists()


async def test_a_call_during_which_the_engine_was_killed_is_in_doubt_and_not_repeated(engine, project, tmp_path):
    command = [sys.executable, "-m", "clew.cli", "--state", str(tmp_path / "state")]
    value = json.dumps({"tool": "it.silent"})
    quiet = subprocess.DEVNULL
    with subprocess.Popen([*command, "run", str(project), "--input", value], stdout=quiet, stderr=quiet) as run:
        async with asyncio.timeout(20):
            while not (project / "silent").exists():
                await asyncio.sleep(0.02)
        run.kill()
    server = Path(f"/proc/{int((project / 'starts').read_text())}")
    async with asyncio.timeout(10):
        while server.exists():
            await asyncio.sleep(0.02)
    async with engine() as one:
        (result,) = await one.resume()
    assert result.error["code"] == "in_doubt"
    assert (project / "calls").read_text().split() == ["silent"]
