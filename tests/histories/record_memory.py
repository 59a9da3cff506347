"""Records a history of memory, with all that bodies ask of it: ``python tests/histories/record_memory.py NAME``.

Like ``record.py``; its test enters the bodies again, so that what they ask cannot change unseen either. The project stays as it is.
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

from clew.service.bundles import export_run
from clew.service.engine import open_project
from clew.service.runs import RunRequest
from clew.testing import write_project

HERE = Path(__file__).parent
MANIFEST: dict[str, Any] = {
    "workflow": {
        "id": "remembers",
        "nodes": [
            {"id": "start", "kind": "deterministic", "role": "start"},
            {"id": "keep", "kind": "deterministic", "role": "linear", "handler": "handlers:keep"},
            {"id": "look", "kind": "deterministic", "role": "linear", "handler": "handlers:look", "context": "notes"},
            {"id": "say", "kind": "agent", "role": "linear", "agent": "clerk", "context": "chat"},
            {"id": "done", "kind": "deterministic", "role": "exit", "context": "global"},
        ],
        "edges": [{"from": a, "to": b} for a, b in (("start", "keep"), ("keep", "look"), ("look", "say"), ("say", "done"))],
    },
    "agents": [{"id": "clerk", "model": "local/plain"}],
    "providers": [{"id": "local", "type": "offline"}],
    "memory": {
        "context_profiles": [
            {"id": "notes", "max_tokens": 500, "sources": [{"store": "project", "tags": ["notes"]}, {"store": "task"}]},
            {"id": "chat", "sources": [{"store": "session"}]},
        ],
        "conversation": {"keep_turns": 1, "summarise_after": 2},
    },
}  # fmt: skip
HANDLERS = """
async def keep(value, ctx):
    for name, text in value.items():
        await ctx.remember(name, text, {"tags": {"notes", "halls", "plant"}})
    await ctx.remember("mine", "for this run alone", scope="task", expected=0)
    merged = await ctx.merge("pump", value["pump"] + " Much.", base=1)
    await ctx.forget("oven")
    return merged["version"]


async def look(value, ctx):
    found = await ctx.search("which pump leaks?", scope=["project", "task"], k=3, filter={"term": {"tags": "notes"}})
    return [[hit["doc_id"], hit["version"]] for hit in found] + [item["id"] for item in ctx.context["items"]]
"""
INPUT = {"pump": "The pump in hall 3 leaks.", "oven": "The oven is hot at night."}


def project(directory: Path) -> Path:
    return write_project(directory, MANIFEST, HANDLERS)


async def record(name: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        async with open_project(project(Path(scratch) / "project"), Path(scratch) / "state") as engine:
            result = await (await engine.start(request=RunRequest(input=INPUT, session="s"))).result()
            assert result.status == "success", result
            await export_run(engine.workspace, result.run_id, HERE / f"{name}.clew.gz")
            with (HERE / "traces.txt").open("a") as traces:
                traces.write(f"{name}.clew.gz {(await engine.replay(result.run_id)).trace}\n")


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1]))
