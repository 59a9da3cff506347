"""SIGKILL between a question for a summary and what becomes of it: nothing that was answered is asked twice, nothing is lost."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from pathlib import Path
from typing import Any

import pytest

from clew.context.turns import DIGEST
from clew.service.context import opened
from clew.service.settings import Settings
from clew.testing import FakeProvider, write_project
from clew.testing.provider import Step

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

MANIFEST = """\
workflow:
  id: demo
  nodes:
    - {{id: start, kind: deterministic, role: start}}
    - {{id: talk, kind: agent, role: linear, agent: talker, context: chat}}
    - {{id: done, kind: deterministic, role: exit}}
  edges: [{{from: start, to: talk}}, {{from: talk, to: done}}]
providers: [{{id: p, type: openai_compatible, base_url: "{url}/v1", prices: {{input: 2, output: 4}}}}]
agents: [{{id: talker, model: p/m}}, {{id: clerk, model: p/s}}]
memory:
  context_profiles: [{{id: chat, sources: [{{store: session}}]}}]
  conversation: {{keep_turns: 0, summarise_after: 0, agent: clerk}}
"""


async def clew(state: Path, *command: Any) -> asyncio.subprocess.Process:
    told = [sys.executable, "-m", "clew.cli", *map(str, command), "--state", str(state), "--json"]
    return await create_subprocess_exec(*told, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=state.parent)


async def test_between_the_question_and_what_becomes_of_it(tmp_path: Path) -> None:
    """The first answer is no summary; with the second question the process dies."""
    project, state = tmp_path / "project", tmp_path / "state"
    said = Step(text=json.dumps({"points": ["Ann runs the plant."]}))
    async with FakeProvider(Step(text="Hello Ann."), Step(text="Well."), Step(hang=True), said) as fake:
        write_project(project, MANIFEST.format(url=fake.url))
        run = await clew(state, "run", project, "--session", "s", "--input", '"I run the plant."')
        async with asyncio.timeout(60):
            while len(fake.seen) < 3 and run.returncode is None:
                await asyncio.sleep(0.02)
        run.kill()
        await run.communicate()
        with opened(Settings(state=str(state)), "session:s") as scoped:
            assert "by" not in scoped.collection.get(DIGEST).metadata
        again = await clew(state, "resume")
        async with asyncio.timeout(60):
            out, err = await again.communicate()
        assert again.returncode == 0, err
        assert b"Hello Ann." in out
        assert [one.body["model"] for one in fake.seen] == ["m", "s", "s", "s"]
        assert fake.seen[2].body == fake.seen[3].body, "with what was answered before"
    with opened(Settings(state=str(state)), "session:s") as scoped:
        digest = scoped.collection.get(DIGEST)
    assert (digest.text, digest.metadata["by"], digest.metadata["turns"]) == ("Ann runs the plant.", "clerk", 2)
