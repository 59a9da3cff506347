"""Agents, measured: what the loop costs, in memory and durable, replayed, and how late a provider's first token comes.

    python bench/agent.py [--json] [--only NAME[,NAME]] [--runs 300]

Loop: runs of 6 requests and 5 tool calls; models answer at once from one script, tools do nothing, so that what is left is the
framework's own. Everybody takes turns in one process, garbage collection on, and is measured from input to result; ratios hold
where absolute times drift. Peers (``pip install pydantic-ai-slim openai-agents``) are measured when installed, else named as
missing; neither of them keeps a record of the run. First token: a provider in another process (``paced.py``) writes the time into
the first token of a stream over HTTP, and the caller of ``Handle.stream`` reads it there.
"""

import argparse
import asyncio
import gc
import importlib.util
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clew.core.codec import encode_payload
from clew.core.commands import RunNode
from clew.core.events import NodeCompleted
from clew.gate.ports.model import Answered, Emit, ModelAnswer, ModelRequest, Text, ToolCall, Usage
from clew.gate.ports.stream import Chunk
from clew.runtime.body import Body
from clew.runtime.record import History
from clew.service.engine import AsyncEngine, open_project
from clew.service.replay import _ReplayHost
from clew.service.runs import world_of

CALLS = 5
PLACES = ("Agra", "Bern", "Cork", "Delft", "Essen")
QUESTION = "How warm is it in " + ", ".join(PLACES) + "?"
INSTRUCTIONS = "Answer what is asked. Look everything up."
ANSWER = "It is 20 degrees in each of them."
WARM = {"degrees": 20, "sky": "clear"}
Once = Callable[[], Awaitable[Any]]

HANDLERS = f"""
async def look(args, context):
    return {WARM}
"""

PARAMETERS = {
    "type": "object",
    "properties": {"place": {"type": "string"}},
    "required": ["place"],
    "additionalProperties": False,
}


def project(directory: Path, provider: dict[str, Any], *, safe: bool = True) -> Path:
    """start → one agent → end. ``safe``: its tool is declared safe to repeat, so that a call leaves one fact and no intent."""
    tool = {
        "id": "look", "handler": "bench_tools:look", "description": "The weather of a place.", "inputs": PARAMETERS,
        "repeat_safe": safe,
    }  # fmt: skip
    plan = {
        "workflow": {
            "id": "bench",
            "nodes": [
                {"id": "start", "kind": "deterministic", "role": "start"},
                {"id": "work", "kind": "agent", "role": "linear", "agent": "clerk", "tools": ["look"]},
                {"id": "end", "kind": "deterministic", "role": "exit"},
            ],
            "edges": [{"from": "start", "to": "work"}, {"from": "work", "to": "end"}],
        },
        "agents": [{"id": "clerk", "model": "fast", "tools": ["look"], "instructions": INSTRUCTIONS}],
        "tools": [tool],
        "models": {"fast": {"use": ["main/m"]}},
        "providers": [{"id": "main", "prices": {"input": 1, "output": 4}, **provider}],
    }
    directory.mkdir()
    (directory / "clew.json").write_text(json.dumps(plan))
    (directory / "bench_tools.py").write_text(HANDLERS)
    return directory


class Scripted:
    """Answers by the number of tool results that it is shown; counts nothing."""

    async def ask(self, model: str, request: ModelRequest, emit: Emit | None = None) -> Answered:
        del model, emit
        turn = sum(message.role == "tool" for message in request.messages)
        if turn == CALLS:
            return Answered(answer=ModelAnswer(parts=(Text(ANSWER),)), usage=Usage(input_tokens=400, output_tokens=20))
        call = ToolCall(id=f"call-{turn}", name="look", arguments={"place": PLACES[turn]})
        usage = Usage(input_tokens=100 + 50 * turn, output_tokens=15)
        return Answered(answer=ModelAnswer(parts=(call,), finish="tool_call"), usage=usage)

    async def close(self) -> None:
        pass


# -- contestants -----------------------------------------------------------------------------------------------


def clew_once(engine: AsyncEngine) -> Once:
    async def once() -> None:
        result = await engine.run(QUESTION)
        assert result.output == ANSWER, result.error

    return once


def pydantic_ai_once() -> Once:
    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
    from pydantic_ai.models.function import AgentInfo, FunctionModel
    from pydantic_ai.usage import RequestUsage

    async def answer(messages: list[Any], info: AgentInfo) -> ModelResponse:
        del info
        turn = sum(isinstance(part, ToolReturnPart) for message in messages for part in message.parts)
        if turn == CALLS:
            usage = RequestUsage(input_tokens=400, output_tokens=20)
            return ModelResponse(parts=[TextPart(ANSWER)], usage=usage)
        call = ToolCallPart("look", {"place": PLACES[turn]}, f"call-{turn}")
        return ModelResponse(parts=[call], usage=RequestUsage(input_tokens=100 + 50 * turn, output_tokens=15))

    agent = Agent(FunctionModel(answer), instructions=INSTRUCTIONS)

    @agent.tool_plain
    async def look(place: str) -> dict[str, Any]:
        """The weather of a place."""
        del place
        return WARM

    async def once() -> None:
        assert (await agent.run(QUESTION)).output == ANSWER

    return once


def openai_agents_once() -> Once:
    from agents.items import ModelResponse
    from agents.usage import Usage as Used
    from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

    import agents

    agents.set_tracing_disabled(disabled=True)

    class Model(agents.Model):
        async def get_response(self, system_instructions: Any, input: Any, *_: Any, **__: Any) -> ModelResponse:  # noqa: A002
            del system_instructions
            turn = sum(isinstance(item, dict) and item.get("type") == "function_call_output" for item in input)
            said: Any
            if turn == CALLS:
                text = ResponseOutputText(text=ANSWER, type="output_text", annotations=[])
                said = ResponseOutputMessage(
                    id="m", content=[text], role="assistant", status="completed", type="message"
                )
            else:
                arguments = json.dumps({"place": PLACES[turn]})
                said = ResponseFunctionToolCall(
                    arguments=arguments, call_id=f"call-{turn}", name="look", type="function_call"
                )
            used = Used(requests=1, input_tokens=100 + 50 * turn, output_tokens=15, total_tokens=115 + 50 * turn)
            return ModelResponse(output=[said], usage=used, response_id=None)

        def stream_response(self, *_: Any, **__: Any) -> Any:
            raise NotImplementedError

    @agents.function_tool
    async def look(place: str) -> dict[str, Any]:
        """The weather of a place."""
        del place
        return WARM

    agent = agents.Agent(name="clerk", instructions=INSTRUCTIONS, model=Model(), tools=[look])

    async def once() -> None:
        assert (await agents.Runner.run(agent, QUESTION, max_turns=CALLS + 2)).final_output == ANSWER

    return once


PEERS: dict[str, tuple[str, Callable[[], Once]]] = {
    "pydantic_ai": ("pydantic_ai", pydantic_ai_once),
    "openai_agents": ("agents", openai_agents_once),
}
"""Name here → module it needs, and how one run of it is made."""


# -- loop ------------------------------------------------------------------------------------------------------


class Floor:
    """What a durable commit costs here: WAL, synchronous=FULL, one row of the size of a request with its answer."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)")

    async def commits(self, count: int) -> None:
        for _ in range(count):
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("INSERT INTO t (body) VALUES (?)", (b"x" * 1500,))
            self._db.execute("COMMIT")

    def close(self) -> None:
        self._db.close()


async def in_turn(contestants: dict[str, Once], runs: int) -> dict[str, tuple[list[float], list[float]]]:
    """Milliseconds by the clock and of processor, per run. Every round asks everybody once."""
    taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in contestants}
    for at in range(runs + runs // 10):
        for name, once in contestants.items():
            began, cpu = time.perf_counter(), time.process_time()
            await once()
            wall, used = time.perf_counter() - began, time.process_time() - cpu
            if at >= runs // 10:
                taken[name][0].append(wall * 1e3)
                taken[name][1].append(used * 1e3)
    return taken


def told(out: dict[str, Any], name: str, times: tuple[list[float], list[float]]) -> None:
    wall, cpu = times
    out[f"{name}_ms"] = round(statistics.median(wall), 3)
    out[f"{name}_p95_ms"] = round(statistics.quantiles(wall, n=20)[-1], 3)
    out[f"{name}_cpu_ms"] = round(statistics.mean(cpu), 3)


async def loop(scratch: Path, out: dict[str, Any], runs: int) -> None:
    provider = {"type": "openai_compatible", "base_url": "http://127.0.0.1:9"}
    safe, unsafe = project(scratch / "safe", provider), project(scratch / "unsafe", provider, safe=False)
    engines = {
        "memory": open_project(safe, ":memory:", models=Scripted()),
        "durable": open_project(safe, scratch / "state1", models=Scripted()),
        "durable_intents": open_project(unsafe, scratch / "state2", models=Scripted()),
    }
    contestants = {name: clew_once(engine) for name, engine in engines.items()}
    for name, (module, make) in PEERS.items():
        if importlib.util.find_spec(module) is None:
            out[f"{name}_ms"] = "not installed"
        else:
            contestants[name] = make()
    commits = await appends(engines["durable"])
    floor = Floor(scratch / "floor.db")
    contestants["raw_commits"] = lambda: floor.commits(commits)
    gc.collect()
    taken = await in_turn(contestants, runs)
    for name, times in taken.items():
        told(out, name, times)
    peers = [name for name in PEERS if name in taken]
    if peers:
        fastest = min(peers, key=lambda name: statistics.median(taken[name][0]))
        out["faster_peer"] = fastest
        for name in ("memory", "durable"):
            ratios = [ours / theirs for ours, theirs in zip(taken[name][0], taken[fastest][0], strict=True)]
            out[f"{name}_to_faster_peer"] = round(statistics.median(ratios), 3)
        cpu = statistics.mean(taken["memory"][1]) / statistics.mean(taken[fastest][1])
        out["memory_to_faster_peer_cpu"] = round(cpu, 3)
    out["durable_commits_a_run"] = commits
    ratios = [ours / raw for ours, raw in zip(taken["durable"][0], taken["raw_commits"][0], strict=True)]
    out["durable_to_raw_commits"] = round(statistics.median(ratios), 2)
    floor.close()
    for engine in engines.values():
        await engine.close()


async def appends(engine: AsyncEngine) -> int:
    """How often a run appends."""
    journal, count = engine.workspace.journal, 0
    append = journal.append

    async def counted(batch: Any) -> Any:
        nonlocal count
        count += 1
        return await append(batch)

    journal.append = counted
    await engine.run(QUESTION)
    journal.append = append
    return count


# -- replay ----------------------------------------------------------------------------------------------------


async def replayed(scratch: Path, out: dict[str, Any], runs: int) -> None:
    """A whole run verified with its bodies entered again, and the agent's body alone."""
    place = project(scratch / "replayed", {"type": "openai_compatible", "base_url": "http://127.0.0.1:9"})
    for state in (":memory:", str(scratch / "state3")):
        async with open_project(place, state, models=Scripted()) as engine:
            run = (await engine.run(QUESTION)).run_id

            async def whole(*, handlers: bool, engine: AsyncEngine = engine, run: str = run) -> None:
                report = await engine.replay(run, handlers=handlers)
                assert report.verdict == "identical", report.divergence

            records = await engine.workspace.journal.read(run)
            project_ = (await world_of(engine.workspace, run)).project
            host = _ReplayHost(project_, History(r.event for r in records), records)
            done = next(e for r in records if isinstance((e := r.event).fact, NodeCompleted) and e.fact.node == "work")
            command = RunNode(done.fact.task, "work", 1, 1, QUESTION)

            async def body(host: Any = host, command: RunNode = command) -> None:
                event = await Body(host, command).finish()
                assert event is not None
                assert event.payload == ANSWER

            contestants: dict[str, Once] = {
                "replayed_body": body,
                "replay": lambda whole=whole: whole(handlers=False),
                "replay_handlers": lambda whole=whole: whole(handlers=True),
            }
            kind = "memory" if state == ":memory:" else "durable"
            for name, times in (await in_turn(contestants, runs)).items():
                told(out, f"{name}_{kind}", times)
            out["events_a_run"] = len(records)
            out["journal_bytes_a_run"] = sum(len(encode_payload(r.event.payload)) for r in records)


# -- first token -----------------------------------------------------------------------------------------------

PROTOCOLS = {
    "chat": ("openai_compatible", "/v1", "openai"),
    "anthropic": ("anthropic", "", "anthropic"),
    "gemini": ("gemini", "", "google"),
}
"""Name here → provider's type, path, and the module that its client needs."""
AT_ONCE = 50
ROUNDS = 5


@contextmanager
def paced() -> Iterator[str]:
    """Address of a provider in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("paced.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


async def lateness(engine: AsyncEngine, question: str) -> float:
    """Of one run: milliseconds from the provider's first token to ours."""
    handle = await engine.start(question)
    late = None
    async for item in handle.stream():
        if late is None and isinstance(item, Chunk) and item.kind == "text":
            late = (time.monotonic_ns() - int(item.text)) / 1e6
    result = await handle.result()
    assert result.state == "completed", result.error
    assert late is not None
    return late


async def first_token(scratch: Path, out: dict[str, Any], runs: int) -> None:
    with paced() as address:
        for name, (kind, path, module) in PROTOCOLS.items():
            if importlib.util.find_spec(module) is None:
                out[f"first_token_{name}_p50_ms"] = "not installed"
                continue
            place = project(scratch / name, {"type": kind, "base_url": address + path})
            async with open_project(place, ":memory:") as engine:
                await lateness(engine, QUESTION)  # loads the library, connects
                spread(out, f"first_token_{name}", [await lateness(engine, QUESTION) for _ in range(min(runs, 200))])
                await crowd(engine, out, name)


async def crowd(engine: AsyncEngine, out: dict[str, Any], name: str) -> None:
    """Streams of two seconds, always so many at once: first all begun in the same moment (``herd``), then spread over time."""
    question = f"{QUESTION} Answer at length."

    async def one(delay: float) -> list[float]:
        await asyncio.sleep(delay)
        return [await lateness(engine, question) for _ in range(ROUNDS)]

    spread(out, f"first_token_{name}_herd", await asyncio.gather(*(lateness(engine, question) for _ in range(AT_ONCE))))
    began, cpu = time.perf_counter(), time.process_time()
    found = await asyncio.gather(*(one(2 * at / AT_ONCE) for at in range(AT_ONCE)))
    busy = (time.process_time() - cpu) / (time.perf_counter() - began)
    spread(out, f"first_token_{name}_{AT_ONCE}", [each for late in found for each in late])
    out[f"first_token_{name}_{AT_ONCE}_busy"] = round(busy, 2)


def spread(out: dict[str, Any], name: str, late: list[float]) -> None:
    cuts = statistics.quantiles(late, n=100)
    for at in (50, 95, 99):
        out[f"{name}_p{at}_ms"] = round(cuts[at - 1], 2)


# ----------------------------------------------------------------------------------------------------------------


async def measure(only: set[str], runs: int) -> dict[str, Any]:
    out: dict[str, Any] = {"load_before": round(os.getloadavg()[0], 2), "runs": runs}
    parts = {"loop": loop, "replay": replayed, "first_token": first_token}
    with tempfile.TemporaryDirectory(prefix="clew-bench-") as scratch:
        os.chdir(scratch)
        for name, part in parts.items():
            if not only or name in only:
                print(f"… {name}", file=sys.stderr)
                await part(Path(scratch), out, runs)
        os.chdir("/")
    out["load_after"] = round(os.getloadavg()[0], 2)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", default="", help="loop, replay, first_token")
    parser.add_argument("--runs", type=int, default=300)
    given = parser.parse_args()
    out = asyncio.run(measure({p for p in given.only.split(",") if p}, given.runs))
    if given.json:
        print(json.dumps(out, indent=2))
    else:
        width = max(len(name) for name in out)
        for name, value in out.items():
            print(f"{name:<{width}}  {value}")


if __name__ == "__main__":
    main()
