"""SIGKILL between what an agent read in a document and the put of it: it is asked once, and paid once."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from trials import HERE

from clew.service.context import opened
from clew.service.settings import Settings
from clew.testing import FakeProvider, one_node, write_project
from clew.testing.provider import Step

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

TEXT = "As for Search-Core, it was Ann Lee who took it over in May 2021."
READ = {
    "entities": [{"name": "Ann Lee"}, {"name": "Search-Core"}],
    "relations": [{"source": "Ann Lee", "relation": "took over", "target": "Search-Core", "confidence": 1}],
}
SECTIONS = """\
providers: [{{id: p, type: openai_compatible, base_url: "{url}/v1", prices: {{input: 2, output: 4}}}}]
agents: [{{id: clerk, model: p/m}}]
memory: {{extraction: {{agent: clerk}}, embedding: {{model: p/small}}}}
"""
HANDLER = """\
async def work(input, ctx):
    return await ctx.remember("team", input)
"""


async def tell(puppet: Process, *command: Any) -> Any:
    assert puppet.stdin is not None
    assert puppet.stdout is not None
    puppet.stdin.write(json.dumps(command).encode() + b"\n")
    answer = json.loads(await puppet.stdout.readline())
    assert "value" in answer, answer
    return answer["value"]


async def test_between_the_reading_and_the_put(tmp_path: Path) -> None:
    """Of the two requests before the put the second one, for vectors, hangs: the process dies there."""
    project, state = tmp_path / "project", tmp_path / "state"
    command = [sys.executable, str(HERE / "puppet.py"), str(project), str(state)]
    async with FakeProvider(Step(text=json.dumps(READ)), Step(hang=True), Step()) as fake:
        write_project(project, one_node("demo", "handlers:work") + SECTIONS.format(url=fake.url), HANDLER)
        puppet = await create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, cwd=tmp_path)
        run = await tell(puppet, "start", TEXT)
        async with asyncio.timeout(60):
            while len(fake.seen) < 2:
                await asyncio.sleep(0.02)
        puppet.kill()
        await puppet.communicate()
        again = await create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, cwd=tmp_path)
        async with asyncio.timeout(60):
            await tell(again, "resume", run)
            stands = await tell(again, "end", run)
            assert await tell(again, "verify") == []
            await tell(again, "close")
        await again.communicate(b"")
        assert Counter(one.path.rpartition("/")[2] for one in fake.seen) == {"completions": 1, "embeddings": 2}
    assert (stands["state"], stands["output"]) == ("completed", 1)
    with opened(Settings(state=str(state)), "project:demo") as scoped:
        (version,) = scoped.collection.log.history("team")
    assert ("Ann Lee", "took over", "clerk") in [(one.subject, one.relation, one.by) for one in version.relations]
