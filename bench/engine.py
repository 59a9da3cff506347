"""The engine, measured: µs per node, fan-out, many runs, resume, replay, size; beside its peers where they are installed.

    python bench/engine.py [--json] [--only NAME[,NAME]] [--stored 100000]

Every figure is the median of several rounds in one process; peers and the raw SQLite floor run in the same process, so that ratios
hold where absolute times drift. Peers are measured when installed (``pip install langgraph burr``), else named as missing.
"""

import argparse
import asyncio
import importlib.util
import itertools
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from clew.core.graph import Edge, Graph, Node
from clew.gate.ports.journal import Append
from clew.manifest.compiled import NodePlan, Plan
from clew.service.replay import replay
from clew.service.runs import RunRequest, start, world_of
from clew.service.settings import Settings
from clew.service.wiring import Workspace

HANDLERS = """
async def step(value, ctx):
    return value

async def fan(value, ctx):
    return {"items": list(range(value["n"]))}

async def join(value, ctx):
    return len(value["merge_inputs"])
"""


def chain(length: int) -> Plan:
    """start → ``length`` linear nodes with async handlers → exit."""
    names = [f"n{i}" for i in range(length)]
    nodes = [Node(id="start", role="start"), *(Node(id=n, role="linear") for n in names), Node(id="end", role="exit")]
    path = ["start", *names, "end"]
    edges = [Edge(source=a, target=b) for a, b in itertools.pairwise(path)]
    bodies = {n.id: NodePlan(handler="bench_handlers:step" if n.role == "linear" else None) for n in nodes}
    return Plan(
        workflow="chain", graph=Graph(nodes=tuple(nodes), edges=tuple(edges)), nodes=bodies, digest=f"chain{length}"
    )


def fan() -> Plan:
    """start → list → split over it → work → merge → exit."""
    nodes = (
        Node(id="start", role="start"), Node(id="list", role="linear"), Node(id="split", role="split", over="items"),
        Node(id="work", role="linear"), Node(id="join", role="merge"), Node(id="end", role="exit"),
    )  # fmt: skip
    path = [n.id for n in nodes]
    edges = tuple(Edge(source=a, target=b) for a, b in itertools.pairwise(path))
    handlers = {"list": "bench_handlers:fan", "work": "bench_handlers:step", "join": "bench_handlers:join"}
    bodies = {n: NodePlan(handler=handlers.get(n)) for n in path}
    return Plan(workflow="fan", graph=Graph(nodes=nodes, edges=edges), nodes=bodies, digest="fan")


class Bench:
    """A scratch directory with handlers, and workspaces in it."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.project = scratch / "project"
        self.project.mkdir()
        (self.project / "bench_handlers.py").write_text(HANDLERS)
        self._count = 0

    def workspace(self, *, durable: bool) -> Workspace:
        self._count += 1
        return Workspace(Settings(state=str(self.scratch / f"state{self._count}") if durable else ":memory:"))

    async def one(self, workspace: Workspace, plan: Plan, value: Any = None) -> str:
        host = await start(workspace, plan, self.project, RunRequest(input=value or {"a": 1}))
        assert not isinstance(host, str)
        await host.ended.wait()
        assert host.machine.state == "completed", host.machine.error
        return host.run


async def median_of(rounds: int, work: Callable[[], Awaitable[Any]]) -> float:
    """Seconds, after one round that is not counted."""
    await work()
    times: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        await work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


async def single(bench: Bench, out: dict[str, Any]) -> None:
    plan = chain(100)
    nodes = 102
    memory, durable = bench.workspace(durable=False), bench.workspace(durable=True)
    seconds = await median_of(15, lambda: bench.one(memory, plan))
    out["memory_us_per_node"] = round(seconds / nodes * 1e6, 1)
    floor = Floor(bench.scratch / "floor.db")
    ratios, engine, raw = [], [], []
    await bench.one(durable, plan)
    for _ in range(9):  # in turn, so that both see the same disk
        began = time.perf_counter()
        await bench.one(durable, plan)
        ours = (time.perf_counter() - began) / nodes
        began = time.perf_counter()
        floor.commits(nodes)
        theirs = (time.perf_counter() - began) / nodes
        engine.append(ours), raw.append(theirs), ratios.append(ours / theirs)
    out["durable_us_per_node"] = round(statistics.median(engine) * 1e6, 1)
    out["raw_wal_full_commit_us"] = round(statistics.median(raw) * 1e6, 1)
    out["durable_to_raw_commit"] = round(statistics.median(ratios), 2)
    floor.close()
    await memory.close()
    await durable.close()


class Floor:
    """What one durable commit costs here: WAL, synchronous=FULL, one row of the size of our two events."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)")

    def commits(self, count: int) -> None:
        for _ in range(count):
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("INSERT INTO t (body) VALUES (?)", (b"x" * 400,))
            self._db.execute("COMMIT")

    def close(self) -> None:
        self._db.close()


async def fan_out(bench: Bench, out: dict[str, Any]) -> None:
    plan = fan()
    for durable in (False, True):
        workspace = bench.workspace(durable=durable)
        for items in (1_000, 10_000):
            began = time.perf_counter()
            await bench.one(workspace, plan, {"n": items})
            took = time.perf_counter() - began
            out[f"fan_out_{items}_{'durable' if durable else 'memory'}_us_per_node"] = round(took / items * 1e6, 1)
        await workspace.close()


async def many(bench: Bench, out: dict[str, Any]) -> None:
    for runs, length in ((100, 20), (1000, 3)):
        workspace = bench.workspace(durable=True)
        plan = chain(length)
        await bench.one(workspace, plan)
        began = time.perf_counter()
        await asyncio.gather(*(bench.one(workspace, plan) for _ in range(runs)))
        took = time.perf_counter() - began
        out[f"concurrent_{runs}_runs_of_{length + 2}_us_per_node"] = round(took / runs / (length + 2) * 1e6, 1)
        await workspace.close()


async def looking_back(bench: Bench, out: dict[str, Any]) -> None:
    workspace = bench.workspace(durable=True)
    plan = chain(1000)
    run = await bench.one(workspace, plan)
    records = await workspace.journal.read(run)
    seconds = await median_of(5, lambda: replay(workspace, run))
    out["replay_us_per_event"] = round(seconds / len(records) * 1e6, 1)
    seconds = await median_of(5, lambda: replay(workspace, run, handlers=True))
    out["replay_handlers_us_per_node"] = round(seconds / 1002 * 1e6, 1)
    path = bench.scratch / f"state{bench._count}" / "journal.db"
    await workspace.close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.execute("VACUUM")
    database.close()
    out["bytes_per_event"] = round(path.stat().st_size / len(records))
    workspace = bench.workspace(durable=True)
    host = await start(workspace, plan, bench.project, RunRequest(input={"a": 1}))
    assert not isinstance(host, str)
    while host.seq < 1000:  # noqa: ASYNC110 - the host is at work on this very loop
        await asyncio.sleep(0)
    await workspace.scheduler.let_go(host)
    began = time.perf_counter()
    again = await workspace.scheduler.adopt(host.run, await world_of(workspace, host.run))
    out["resume_after_1000_events_ms"] = round((time.perf_counter() - began) * 1e3, 1)
    await again.ended.wait()
    await workspace.close()


async def stored(bench: Bench, out: dict[str, Any], count: int) -> None:
    """What a node costs when many runs lie in the journal already: whole events, written by the journal itself."""
    workspace = bench.workspace(durable=True)
    plan = chain(20)
    template = await workspace.journal.read(await bench.one(workspace, chain(1)))
    before = await median_of(7, lambda: bench.one(workspace, plan))

    async def copy(i: int) -> None:
        import msgspec

        run = f"copy{i:08d}"
        first = template[0].event
        origin = type(first)(msgspec.structs.replace(first.fact, run=run), first.payload, first.at)
        events = [origin, *(r.event for r in template[1:])]
        await workspace.journal.append(Append(run=run, expected=0, events=events, epoch=1, state="completed"))

    began = time.perf_counter()
    for base in range(0, count, 500):
        await asyncio.gather(*(copy(i) for i in range(base, min(base + 500, count))))
    out["stored_runs"] = count
    out["store_us_per_run"] = round((time.perf_counter() - began) / count * 1e6, 1)
    after = await median_of(7, lambda: bench.one(workspace, plan))
    out["durable_us_per_node_empty"] = round(before / 22 * 1e6, 1)
    out["durable_us_per_node_with_stored"] = round(after / 22 * 1e6, 1)
    await workspace.close()


async def peers(bench: Bench, out: dict[str, Any]) -> None:
    for name, measure in (("langgraph", _langgraph), ("burr", _burr)):
        if importlib.util.find_spec(name) is None:
            out[f"{name}_us_per_node"] = "not installed"
            continue
        out[f"{name}_us_per_node"] = round(await measure(100) / 100 * 1e6, 1)


async def _langgraph(length: int) -> float:
    from typing import TypedDict

    from langgraph.graph import END, START, StateGraph

    class State(TypedDict):
        a: int

    async def step(state: State) -> State:
        return {"a": state["a"]}

    graph = StateGraph(State)
    names = [f"n{i}" for i in range(length)]
    for name in names:
        graph.add_node(name, step)
    for a, b in zip([START, *names], [*names, END], strict=False):
        graph.add_edge(a, b)
    compiled = graph.compile()
    return await median_of(5, lambda: compiled.ainvoke({"a": 1}, {"recursion_limit": length + 10}))


async def _burr(length: int) -> float:
    from burr.core import ApplicationBuilder, State, action

    @action(reads=["a"], writes=["a"])
    async def step(state: State) -> State:
        return state.update(a=state["a"])

    names = [f"n{i}" for i in range(length)]

    async def once() -> None:
        application = (
            ApplicationBuilder()
            .with_actions(**dict.fromkeys(names, step))
            .with_transitions(*itertools.pairwise(names))
            .with_state(a=1)
            .with_entrypoint(names[0])
            .build()
        )
        began = time.perf_counter()
        await application.arun(halt_after=[names[-1]])
        spent.append(time.perf_counter() - began)

    spent: list[float] = []
    for _ in range(6):
        await once()
    return statistics.median(spent[1:])


def start_up(out: dict[str, Any]) -> None:
    """Whole processes, the bare interpreter subtracted; medians."""
    cases = {
        "bare": [sys.executable, "-c", "pass"],
        "import_clew": [sys.executable, "-c", "import clew"],
        "clew_help": [sys.executable, "-m", "clew.cli", "--help"],
    }
    medians: dict[str, float] = {}
    for name, command in cases.items():
        times: list[float] = []
        for _ in range(11):
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times.append(time.perf_counter() - began)
        medians[name] = statistics.median(times)
    out["import_clew_s"] = round(medians["import_clew"] - medians["bare"], 3)
    out["clew_help_s"] = round(medians["clew_help"] - medians["bare"], 3)


async def measure(only: set[str], count: int) -> dict[str, Any]:
    out: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="clew-bench-") as scratch:
        bench = Bench(Path(scratch))
        parts: dict[str, Callable[[], Awaitable[None]]] = {
            "single": lambda: single(bench, out),
            "fan_out": lambda: fan_out(bench, out),
            "many": lambda: many(bench, out),
            "looking_back": lambda: looking_back(bench, out),
            "stored": lambda: stored(bench, out, count),
            "peers": lambda: peers(bench, out),
        }
        for name, part in parts.items():
            if not only or name in only:
                print(f"… {name}", file=sys.stderr)
                await part()
    if not only or "start_up" in only:
        start_up(out)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", default="", help="single, fan_out, many, looking_back, stored, peers, start_up")
    parser.add_argument("--stored", type=int, default=100_000)
    given = parser.parse_args()
    out = asyncio.run(measure({p for p in given.only.split(",") if p}, given.stored))
    if given.json:
        print(json.dumps(out, indent=2))
    else:
        width = max(len(name) for name in out)
        for name, value in out.items():
            print(f"{name:<{width}}  {value}")


if __name__ == "__main__":
    main()
