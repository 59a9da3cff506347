"""``clew context merge --agent``, interrupted while it is corrected and killed after the merge: asked for once, and made once."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from pathlib import Path
from typing import Any

import pytest

from clew.gate.ports.context import Put
from clew.service.context import opened
from clew.service.settings import Settings
from clew.testing import FakeProvider, one_node, write_project
from clew.testing.provider import Step

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

SECTIONS = """\
providers: [{{id: p, type: openai_compatible, base_url: "{url}/v1", prices: {{input: 2, output: 4}}}}]
agents: [{{id: clerk, model: p/m}}]
memory: {{extraction: {{agent: clerk}}}}
"""
BASE, OURS, THEIRS = (f"The pump in hall 3 {what}.\nAnn Lee leads Search-Core.\n" for what in ("is", "leaks", "is new"))
SETTLED = {"conflicts": [{"number": 1, "text": "The pump in hall 3 leaks, though it is new.", "why": "both hold"}]}
READ = {"entities": [{"name": "Ann Lee"}], "relations": []}


async def test_put_down_while_corrected_and_killed_after_the_merge(tmp_path: Path) -> None:
    project, state = tmp_path / "project", tmp_path / "state"
    steps = [
        Step(text="no JSON"), Step(hang=True), Step(text=json.dumps(SETTLED)), Step(hang=True), Step(text=json.dumps(READ)),
    ]  # fmt: skip
    with opened(Settings(state=str(state)), "project:demo", use="create") as scoped:
        for text in (BASE, OURS):
            scoped.collection.write([Put(id="hall", text=text)])

    async def clew(*args: str) -> Process:
        env = {**os.environ, "CLEW_STATE": str(state)}
        return await create_subprocess_exec(
            sys.executable, "-m", "clew.cli", *args, "--json", stdout=PIPE, stderr=PIPE, cwd=tmp_path, env=env
        )

    async def done(*args: str) -> Any:
        process = await clew(*args)
        out, err = await process.communicate()
        assert process.returncode == 0, err
        return json.loads(out)

    async with FakeProvider(*steps) as fake:
        manifest = one_node("demo", "handlers:work") + SECTIONS.format(url=fake.url)
        write_project(project, manifest, "def work(i, c): ...\n")

        async def ended_at(count: int, how: signal.Signals, *args: str) -> int | None:
            process = await clew(*args)
            async with asyncio.timeout(60):
                while len(fake.seen) < count:
                    await asyncio.sleep(0.02)
            process.send_signal(how)
            await process.communicate()
            return process.returncode

        merge = f"context merge hall --base 1 --agent clerk --project {project} --text".split()
        assert await ended_at(2, signal.SIGINT, *merge, THEIRS) == 4
        (run,) = [one["run"] for one in (await done("runs"))["runs"]]
        await ended_at(4, signal.SIGKILL, "resume", run)
        (outcome,) = (await done("resume", run))["runs"]
        assert len(fake.seen) == 5
        await done("replay", run, "--handlers")
        assert len(fake.seen) == 5
    assert outcome["output"]["by"] == "clerk"
    with opened(Settings(state=str(state)), "project:demo") as scoped:
        _, _, merged, read = scoped.collection.log.history("hall")
    text = "The pump in hall 3 leaks, though it is new.\nAnn Lee leads Search-Core.\n"
    assert merged.text == read.text == outcome["output"]["text"] == text
    assert outcome["output"]["version"] == read.version == 4
    assert "clerk" in {one.by for one in read.relations}
