"""Conversations of an agent with real provider clients: what the fake provider says and how it fails, by the request alone.

Live in ``tests/e2e/test_providers.py``, killed in ``tests/chaos/test_providers.py``. One server serves many runs side by side:
the first part of a path names the run, the second the provider (``a``, or ``b`` that answers when ``a`` does not).
"""

import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from clew.gate.ports.model import Usage
from clew.testing import FakeProvider, write_project
from clew.testing.provider import Call, Seen, Step

WORLD = Path(__file__).parent / "project"

PROTOCOLS = {
    "chat": ("openai_compatible", "/v1", "gpt-4o"),
    "responses": ("openai", "/v1", "gpt-5.2"),
    "anthropic": ("anthropic", "", "claude-opus-4-8"),
    "gemini": ("gemini", "", "gemini-2.5-flash"),
}
"""Protocol -> type of the provider, what its base_url ends with, a model of its kind."""

SECOND = {"chat": "anthropic", "responses": "chat", "anthropic": "responses", "gemini": "chat"}
"""What the second provider speaks."""

USAGE = Usage(input_tokens=1200, output_tokens=30, cache_read_tokens=1000, reasoning_tokens=10)
PRICES = {"a": {"input": "2", "cached_input": "0.5", "output": "8"}, "b": {"input": "1", "output": "3"}}
COSTS = {"a": "0.00114", "b": "0.00129"}
"""Of ``USAGE``: (200 · 2 + 1000 · 0.5 + 30 · 8) / 1e6 and (1200 · 1 + 30 · 3) / 1e6."""

HANDLERS = f"""
import sys

sys.path.append({str(WORLD)!r})
import world


def act(args, context):
    return world.perform(args["name"])
"""

INPUTS = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "n": {"type": "integer"}},
    "required": ["name", "n"],
    "additionalProperties": False,
}
TEXT = "Four was looked up, a seat is reserved, and that is all there is to say about any of it today."


def calls(*names: str, n: Any = 4) -> Step:
    """A turn that calls tools, each to do what its name says."""
    made = tuple(Call(tool_of(name), {"name": name, "n": n}, f"call_{name[:2]}") for name in names)
    return Step(calls=made, usage=USAGE)


def tool_of(name: str) -> str:
    return name.rpartition("/")[2]


LOOK = calls("one/lookup")
ANSWER = Step(text=TEXT, usage=USAGE)
BROKEN = Step(calls=(Call("lookup", '{"name": "one/lookup", "n": ', "call_w"),), usage=USAGE)


class Scenario(NamedTuple):
    """``says``: one step a turn. ``faults``: what provider ``a`` does first at the last turn; ``always``: it never does better.

    ``tries``: what the gateway then notes of that turn.
    """

    says: tuple[Step, ...]
    faults: tuple[Step, ...] = ()
    always: bool = False
    listens: bool = False
    timeout: str = "20s"
    tries: tuple[str, ...] = ("a ok",)
    error: str = ""

    def performed(self) -> list[str]:
        """Names of what the tools do, in order."""
        made = [call.arguments for step in self.says for call in step.calls]
        return [args["name"] for args in made if isinstance(args, dict) and isinstance(args["n"], int)]


SCENARIOS = {
    "plain": Scenario((ANSWER,)),
    "tools": Scenario((LOOK, calls("two/reserve"), calls("three/lookup", n=5), ANSWER)),
    "parallel": Scenario((calls("one/lookup", "two/lookup", "three/lookup", "four/reserve", "five/lookup"), ANSWER)),
    "stream": Scenario((msgspec.structs.replace(LOOK, text="I shall look it up."), ANSWER), listens=True),
    "limited": Scenario(
        (LOOK, ANSWER), (Step(status=429, headers={"retry-after": "0.2"}),), tries=("a rate_limited", "a ok")
    ),
    "failing": Scenario((LOOK, ANSWER), (Step(status=500),), tries=("a provider_error", "a ok")),
    "fallback": Scenario((LOOK, ANSWER), (Step(status=500),), always=True, tries=("a provider_error", "b ok")),
    "hang": Scenario(
        (LOOK, ANSWER), (Step(hang=True),), always=True, timeout="600ms", tries=("a provider_timeout", "b ok")
    ),
    "malformed": Scenario((LOOK, ANSWER), (Step(body='{"id": "x", "choi'),), tries=("a bad_answer", "a ok")),
    "truncated": Scenario(
        (LOOK, ANSWER), (msgspec.structs.replace(ANSWER, cut=6),), listens=True, tries=("a bad_answer", "a ok")
    ),
    "arguments": Scenario((BROKEN, calls("two/lookup", n="four"), LOOK, ANSWER), listens=True),
    "refusal": Scenario((LOOK, Step(text="I must not.", refusal=True, usage=USAGE)), error="refused"),
}


CASES = [
    (protocol, name) for protocol in PROTOCOLS for name in SCENARIOS if (protocol, name) != ("gemini", "arguments")
]
"""Gemini sends arguments as an object: text in their place is a malformed answer."""


class Asked(NamedTuple):
    """A request as it came: which turn, of which provider, by which process of its run."""

    turn: int
    provider: str
    incarnation: int
    streamed: bool
    raw: bytes


@dataclass
class Run:
    """One run and what it is to meet. ``kill_at``: numbers of requests with which its process dies, unanswered; ``hold``: the first
    process's last answer stops in the middle of its stream.
    """

    directory: Path
    scenario: Scenario
    kill_at: tuple[int, ...] = ()
    hold: bool = False
    asked: list[Asked] = field(default_factory=list)
    faults: Counter[int] = field(default_factory=Counter)

    def incarnation(self) -> int:
        return int((self.directory / "incarnation").read_text())

    def step(self, seen: Seen, provider: str) -> Step:
        scenario = self.scenario
        turn = turn_of(scenario, results_in(seen))
        self.asked.append(Asked(turn, provider, self.incarnation(), seen.streamed, seen.raw))
        seen.number = turn  # ids of an answer follow from what was asked
        if len(self.asked) in self.kill_at:
            os.kill(int((self.directory / "pid").read_text()), signal.SIGKILL)
            return Step(hang=True)
        said = scenario.says[turn - 1]
        if turn < len(scenario.says) or provider == "b":
            return said
        if scenario.faults and (scenario.always or self.faults[turn] < len(scenario.faults)):
            self.faults[turn] += 1
            return scenario.faults[min(self.faults[turn], len(scenario.faults)) - 1]
        return msgspec.structs.replace(said, hold=8) if self.hold and self.incarnation() == 1 else said


class House:
    """A fake provider for many runs."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.fake = FakeProvider(script=self._answer)

    def _answer(self, seen: Seen) -> Step:
        _, run, provider, *_ = seen.path.split("/")
        return self.runs[run].step(seen, provider)

    def move_in(self, directory: Path, protocol: str, scenario: Scenario, **options: Any) -> Run:
        """A run in ``directory``, with its project there."""
        run = self.runs[directory.name] = Run(directory, scenario, **options)
        (directory / "incarnation").write_text("1")
        write_project(directory / "project", self._manifest(directory.name, protocol, scenario), HANDLERS)
        return run

    def _manifest(self, run: str, protocol: str, scenario: Scenario) -> dict[str, Any]:
        spoken = {"a": protocol, "b": SECOND[protocol]} if scenario.always else {"a": protocol}
        nodes = [
            {"id": "start", "kind": "deterministic", "role": "start"},
            {"id": "talk", "kind": "agent", "role": "linear", "agent": "clerk"},
            {"id": "done", "kind": "deterministic", "role": "exit"},
        ]
        return {
            "workflow": {
                "id": "talks",
                "nodes": nodes,
                "edges": [{"from": "start", "to": "talk"}, {"from": "talk", "to": "done"}],
            },
            "agents": [
                {
                    "id": "clerk",
                    "model": "m",
                    "instructions": "Do it.",
                    "tools": ["lookup", "reserve", "ticket"],
                    "parameters": {"max_tokens": 2000},  # Anthropic's client streams what may become long
                }
            ],
            "tools": [
                {"id": "lookup", "handler": "handlers:act", "repeat_safe": True, "inputs": INPUTS},
                {"id": "reserve", "handler": "handlers:act", "inputs": INPUTS},
                {"id": "ticket", "handler": "handlers:act", "inputs": INPUTS, "on_in_doubt": "ask"},
            ],
            "models": {"m": {"use": [f"{name}/{PROTOCOLS[spoken[name]][2]}" for name in spoken]}},
            "providers": [
                {
                    "id": name,
                    "type": PROTOCOLS[spoken[name]][0],
                    "base_url": f"{self.fake.url}/{run}/{name}{PROTOCOLS[spoken[name]][1]}",
                    "timeout": scenario.timeout if name == "a" else "20s",
                    "prices": PRICES[name],
                }
                for name in spoken
            ],
        }


def turn_of(scenario: Scenario, results: int) -> int:
    """The turn at which so many results of tools are known, counted from 1."""
    turn = 1
    while results > 0:
        results -= len(scenario.says[turn - 1].calls)
        turn += 1
    return turn


def results_in(seen: Seen) -> int:
    """Results of tools that a request tells of."""
    return RESULTS[seen.api or "chat"](seen.body)


RESULTS: dict[str, Callable[[Any], int]] = {
    "chat": lambda body: sum(m["role"] == "tool" for m in body["messages"]),
    "responses": lambda body: sum(item.get("type") == "function_call_output" for item in body["input"]),
    "anthropic": lambda body: sum(
        block["type"] == "tool_result"
        for m in body["messages"]
        if isinstance(m["content"], list)
        for block in m["content"]
    ),
    "gemini": lambda body: sum("functionResponse" in part for c in body["contents"] for part in c["parts"]),
}
