"""Records histories: ``python tests/histories/record.py NAME``. A history is never recorded again, only added (another NAME).

Each is the export of one run of the project below, driven through an approval, a question, retries, failures and a restart;
``test_histories.py`` replays all of them for ever, so that rules which affect replay cannot change unseen.
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

from clew.gate.ports.journal import RunFilter
from clew.service.bundles import export_run
from clew.service.engine import AsyncEngine, open_project
from clew.testing import write_project

HERE = Path(__file__).parent

NODES: list[dict[str, Any]] = [
    {"id": "start", "kind": "deterministic", "role": "start"},
    {"id": "fan", "kind": "deterministic", "role": "branch"},
    {"id": "items", "kind": "deterministic", "role": "split", "over": "items", "max_parallel": 2},
    {"id": "item", "kind": "deterministic", "role": "linear", "handler": "handlers:item",
     "retry": {"max_attempts": 2, "backoff": {"initial": "1ms"}}},
    {"id": "gather", "kind": "deterministic", "role": "merge", "handler": "handlers:gather", "on_failure": "partial"},
    {"id": "ask", "kind": "deterministic", "role": "linear", "handler": "handlers:ask", "approval": {"editable": True}},
    {"id": "way", "kind": "deterministic", "role": "decision"},
    {"id": "long", "kind": "deterministic", "role": "linear", "handler": "handlers:long"},
    {"id": "short", "kind": "deterministic", "role": "linear"},
    {"id": "again", "kind": "deterministic", "role": "merge", "joins": "way"},
    {"id": "breaks", "kind": "deterministic", "role": "linear", "handler": "handlers:breaks"},
    {"id": "mended", "kind": "deterministic", "role": "linear"},
    {"id": "all", "kind": "deterministic", "role": "merge", "joins": "fan"},
    {"id": "done", "kind": "deterministic", "role": "exit"},
]  # fmt: skip
EDGES: list[dict[str, Any]] = [
    {"from": "start", "to": "fan"},
    {"from": "fan", "to": "items"},
    {"from": "fan", "to": "ask"},
    {"from": "fan", "to": "breaks"},
    {"from": "items", "to": "item"},
    {"from": "item", "to": "gather"},
    {"from": "gather", "to": "all"},
    {"from": "ask", "to": "way"},
    {"from": "way", "to": "long", "label": "long"},
    {"from": "way", "to": "short", "label": "short"},
    {"from": "long", "to": "again"},
    {"from": "short", "to": "again"},
    {"from": "again", "to": "all"},
    {"from": "breaks", "to": "mended", "on": "failure"},
    {"from": "breaks", "to": "all"},
    {"from": "mended", "to": "all"},
    {"from": "all", "to": "done"},
]
HANDLERS = """
from clew import Failure


async def item(value, ctx):
    if value == 3 or (value == 2 and ctx.attempt == 1):
        raise Failure(f"no {value}", code="refused", details={"value": value})
    return await ctx.effect("square", lambda n: n * n, value, repeat_safe=value == 1)


async def gather(value, ctx):
    return {"kept": [e["output"] for e in value["merge_inputs"]], "lost": len(value["failures"])}


async def ask(value, ctx):
    return {"route": "long", "answer": await ctx.ask("how long?", {"type": "integer"}), "at": ctx.now() > 0}


def long(value, ctx):
    ctx.sleep(0.001)
    return {**value, "luck": ctx.random.random()}


async def breaks(value, ctx):
    both = await ctx.gather(ctx.effect("a", lambda: 1), ctx.effect("b", lambda: 2, once=True))
    raise Failure(f"broken after {both}")
"""


async def record(name: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        workflow = {"id": "history", "nodes": NODES, "edges": EDGES}
        project = write_project(Path(scratch) / "project", {"workflow": workflow}, HANDLERS)
        state = Path(scratch) / "state"
        async with open_project(project, state) as engine:
            run = (await engine.run({"items": [1, 2, 3, 4]})).run_id
        async with open_project(project, state) as engine:
            await engine.approve(run, {"edited": True})
            result = await engine.approve(run, 7)
            assert result.status == "partial", result
            await _export(engine, name)
            await engine.fork(run, 4, {"items.0": 3})
            await _export(engine, f"{name}-fork")


async def _export(engine: AsyncEngine, name: str) -> None:
    newest = (await engine.runs(RunFilter(limit=1)))[0].run
    await export_run(engine.workspace, newest, HERE / f"{name}.clew.gz")
    with (HERE / "traces.txt").open("a") as traces:
        traces.write(f"{name}.clew.gz {(await engine.replay(newest)).trace}\n")


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1]))
