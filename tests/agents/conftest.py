"""A bench for the loop: a door over a record in memory, a model by script, tools that are functions."""

import asyncio

import msgspec
import pytest

from clew.agents import loop
from clew.gate.door import Door
from clew.gate.effect import Effect, Outcome
from clew.gate.ports.model import ModelRequest
from clew.gate.ports.tool import ToolSpec
from clew.manifest.compiled import AgentPlan, Limits
from clew.runtime.settling import all_settled
from clew.testing import MemoryRecord, ScriptedModel

OBJECT = {"type": "object"}


class Bench:
    """``work(agent fields)`` runs one loop; ``again()`` is a new door on the record. ``did``: tool calls performed."""

    def __init__(self):
        self.record = MemoryRecord()
        self.did = []
        self.answers = {}
        self.cost = "0.01"
        self.usage = None
        self.ms = 0
        self.seed = 7
        self.specs = {}
        self.under_way = self.most = 0
        self.model_client = ScriptedModel()
        self.again()

    def again(self, *interceptors):
        self._door = Door(self.record, interceptors, {"model": self, "tool": self})
        return self

    def script(self, *answers):
        self.model_client = ScriptedModel(*answers)
        return self.model_client

    def tool_of(self, name, answer=None, *, mutates=False, inputs=OBJECT):
        """A tool that answers ``answer``, or what the function returns for the arguments."""
        self.specs[name] = ToolSpec(
            id=name, description=f"does {name}", inputs=inputs, mutates=mutates, repeat_safe=not mutates
        )
        self.answers[name] = answer

    async def work(self, value="go", *, schema=None, labels=(), instructions="", limits=None, **fields):
        agent = AgentPlan(**{"model": "m", "limits": Limits(**(limits or {})), **fields})
        job = loop.Job(
            name="writer", agent=agent, input=value, schema=schema, labels=labels, instructions=instructions, tools=self.specs
        )  # fmt: skip
        return await loop.run(job, self)

    @property
    def keys(self):
        return [e.fact.key for e in self.record.events if type(e.fact).__name__ == "EffectFinished"]

    # -- AgentBody

    async def model(self, key, request):
        return await self._door.perform(self._effect(key, "model", request["model"], request, safe=True))

    async def tool(self, key, tool, arguments):
        return await self._door.perform(self._effect(key, "tool", tool, arguments, safe=self.specs[tool].repeat_safe))

    async def together(self, work):
        return await all_settled([(one, None) for one in work])

    def _effect(self, key, kind, name, request, *, safe):
        return Effect(key=f"0/a#1/{key}", kind=kind, name=name, request=request, task="0", node="a", repeat_safe=safe)

    # -- Driver

    async def perform(self, effect):
        if effect.kind == "model":
            return await self._answered(effect)
        self.did.append((effect.name, effect.request))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        answer = self.answers[effect.name]
        value = answer(effect.request) if callable(answer) else answer
        if isinstance(value, BaseException):
            raise value
        return value

    async def _answered(self, effect):
        answered = await self.model_client.ask(effect.name, msgspec.convert(effect.request, ModelRequest))
        self.record.time += self.ms
        usage = msgspec.structs.asdict(answered.usage) if self.usage is None else self.usage
        return Outcome(output=msgspec.to_builtins(answered.answer), usage=usage, cost=self.cost, by="p/m")


@pytest.fixture(scope="session")
def new_bench():
    return Bench


@pytest.fixture
def bench():
    return Bench()
