"""Kills a process that does a task under an idempotency key, at every journal write, before and after it; then the task is asked
for again. ``python tasking.py DIRECTORY`` prints what came of each trial as one JSON list; every process is a fork of this one.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from deeds import DEED
from driving import Writes, watch_writes

from clew.core.envelopes import task_of, write
from clew.gate.ports.journal import RunFilter
from clew.service import tasks
from clew.service.engine import open_project
from clew.testing import one_node, write_project

HANDLERS = f"""{DEED}

async def work(input, ctx):
    await ctx.effect("one", deed, "one")
    await ctx.effect("two", deed, "two")
    return {{"summary": "both", "newTasks": [{{"agent": "deeds", "payload": n}} for n in range(2)]}}
"""
TASK = {"id": "t1", "agent": "deeds", "payload": 0, "constraints": {"idempotencyKey": "k"}}


async def ask() -> dict[str, Any]:
    """The answer, and what stands in the run list then."""
    async with open_project("../project", state="state") as engine:
        answer = await tasks.perform(engine.workspace, engine.plan, engine.directory, task_of(TASK))
        queued = await engine.runs(RunFilter(states=("queued",)))
        rows = await engine.runs()
        found = [str(finding) for finding in await engine.verify()]
        return {"answer": json.loads(write(answer)), "queued": len(queued), "runs": len(rows), "findings": found}


def forked(directory: Path, **job: Any) -> dict[str, Any]:
    """What a process says that is killed at a write, or is not."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        os.chdir(directory)
        watch_writes(job)
        said = asyncio.run(ask()) | {"writes": Writes.count}
        os.write(writing, json.dumps(said).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return json.loads(said) if said else {}


def trial(directory: Path, kill: dict[str, Any]) -> dict[str, Any]:
    directory.mkdir()
    killed = forked(directory, **kill)
    told = [forked(directory) for _ in range(2)]
    deeds = directory / "deeds"
    return {
        "kill": kill,
        "killed": killed == {},
        "told": told,
        "deeds": deeds.read_text().split() if deeds.exists() else [],
    }


def main(base: Path) -> None:
    write_project(base / "project", one_node("deeds", "handlers:work"), HANDLERS)
    (base / "whole").mkdir()
    writes = forked(base / "whole")["writes"]
    kills = [{"write": n, "phase": phase} for n in range(1, writes + 1) for phase in ("before", "after")]
    print(json.dumps([trial(base / f"{k['write']}-{k['phase']}", k) for k in kills]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
